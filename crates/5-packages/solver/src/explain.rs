//! Explanation of requests without a solution: missing requirements and conflicts.

use std::collections::BTreeSet;

use miette::Diagnostic;
use thiserror::Error;

use crate::index::Providers;
use basalt_rpm::capability::{InvalidCapability, compare};
use basalt_rpm::{Capability, Package};

/// A requirement that no package fulfils.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The required capability.
    pub capability: Capability,
    /// Packages that lead from the request to the requirement, the requested one first. Empty when the capability
    /// itself was requested.
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

/// No set of packages fulfils the requests.
#[derive(Debug, Error, Diagnostic)]
pub enum SolveError {
    /// A request does not have the form of a capability.
    #[error(transparent)]
    #[diagnostic(code(repo::request))]
    Request(#[from] InvalidCapability),
    /// A required capability is provided by no package.
    #[error("{}", list(missing))]
    #[diagnostic(
        code(repo::missing),
        help("correct the name, or add the package that provides it under distro/packages/")
    )]
    Missing {
        /// The missing capabilities, each with the chain of packages that requires it.
        missing: Vec<Missing>,
    },
    /// The solver was cancelled before it had a result; basalt never cancels it.
    #[error("the solver stopped without a result: a bug of basalt")]
    #[diagnostic(code(repo::cancelled))]
    Cancelled,
    /// Every required package exists, but some exclude each other.
    #[error("the packages that were asked for cannot be installed together:\n{explanation}")]
    #[diagnostic(
        code(repo::conflict),
        help("look at the Conflicts, Obsoletes and versions of these packages' specs")
    )]
    Conflict {
        /// The exclusion, in words: the packages, and the requirements that lead to them.
        explanation: String,
    },
}

fn list(missing: &[Missing]) -> String {
    missing.iter().map(Missing::to_string).collect::<Vec<_>>().join("\n")
}

/// Returns every capability that is required, directly or indirectly, by the requests and provided by no package.
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

/// Returns suggestions for a missing capability: other versions of the name, or names that are nearly the same.
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
