//! Why there is no solution, in words.

use std::collections::BTreeSet;

use miette::Diagnostic;
use thiserror::Error;

use crate::capability::{InvalidCapability, compare};
use crate::index::Providers;
use crate::{Capability, Package};

/// A requirement that nothing fulfils, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What is required.
    pub capability: Capability,
    /// Who requires it: from what was asked for, package by package. Empty when it was asked for itself.
    pub chain: Vec<String>,
    /// Packages that have the name but not the version, or a name that is nearly the same.
    pub near: Vec<String>,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.chain.as_slice() {
            [] => write!(f, "no package provides `{}`, which was asked for", self.capability)?,
            [one] => write!(f, "`{one}` needs `{}`, which no package provides", self.capability)?,
            [.., last] => write!(
                f,
                "`{last}` needs `{}`, which no package provides ({})",
                self.capability,
                self.chain.join(" needs ")
            )?,
        }
        match self.near.as_slice() {
            [] => Ok(()),
            near => write!(f, "; there is {}", near.join(", ")),
        }
    }
}

/// There is no set of packages that fulfils the requests.
#[derive(Debug, Error, Diagnostic)]
pub enum SolveError {
    /// A request is not written as one.
    #[error(transparent)]
    #[diagnostic(code(repo::request))]
    Request(#[from] InvalidCapability),
    /// Something is required that nothing provides.
    #[error("{}", list(missing))]
    #[diagnostic(
        code(repo::missing),
        help("correct the name, or add the package that provides it under distro/packages/")
    )]
    Missing {
        /// What, and by whom.
        missing: Vec<Missing>,
    },
    /// The solver stopped before it came to a result, which nothing here asks it to.
    #[error("the solver stopped without a result: a bug of basalt")]
    #[diagnostic(code(repo::cancelled))]
    Cancelled,
    /// Everything is there, but not together.
    #[error("the packages that were asked for cannot be installed together:\n{explanation}")]
    #[diagnostic(
        code(repo::conflict),
        help("look at the Conflicts, Obsoletes and versions of these packages' specs")
    )]
    Conflict {
        /// Who excludes whom.
        explanation: String,
    },
}

fn list(missing: &[Missing]) -> String {
    missing.iter().map(Missing::to_string).collect::<Vec<_>>().join("\n")
}

/// Everything that is required on the way from the requests and provided by nobody.
pub(crate) fn missing(requests: &[Capability], providers: &Providers<'_, impl AsRef<Package>>) -> Vec<Missing> {
    let mut found: Vec<Missing> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut queue: std::collections::VecDeque<(Capability, Vec<String>)> =
        requests.iter().map(|request| (request.clone(), Vec::new())).collect();
    while let Some((wanted, chain)) = queue.pop_front() {
        let Some(&chosen) = providers.of(&wanted).first() else {
            if !found.iter().any(|missing| missing.capability == wanted) {
                let near = near(&wanted, providers);
                found.push(Missing {
                    capability: wanted,
                    chain,
                    near,
                });
            }
            continue;
        };
        if seen.insert(chosen) {
            let package = providers.package(chosen);
            let chain: Vec<_> = chain.into_iter().chain([package.name.clone()]).collect();
            queue.extend(
                package
                    .requires
                    .iter()
                    .map(|required| (required.clone(), chain.clone())),
            );
        }
    }
    found
}

/// What a reader may have meant.
fn near(wanted: &Capability, providers: &Providers<'_, impl AsRef<Package>>) -> Vec<String> {
    let other_versions = providers.of(&Capability::any(wanted.name.as_str()));
    let mut names: Vec<String> = if other_versions.is_empty() {
        let close = |name: &str| strsim::levenshtein(name, &wanted.name) <= 1 + wanted.name.len() / 8;
        let names = providers.packages().map(|package| package.name.as_str());
        let close: BTreeSet<_> = names.filter(|name| close(name)).collect();
        close.into_iter().map(|name| format!("`{name}`")).collect()
    } else {
        let mut packages: Vec<_> = other_versions.iter().map(|&index| providers.package(index)).collect();
        packages.sort_by(|one, other| compare(&other.evr(), &one.evr()));
        packages
            .iter()
            .map(|package| format!("`{} = {}`", package.name, package.evr()))
            .collect()
    };
    names.dedup();
    names.truncate(3);
    names
}
