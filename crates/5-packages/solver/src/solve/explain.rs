//! Explanation of requests without a solution: missing requirements and conflicts.

use std::collections::{BTreeSet, VecDeque};

use miette::Diagnostic;
use thiserror::Error;

use super::contradiction::contradiction;
use super::formula::clauses;
use super::reason::Reason;
use crate::providers::Providers;
use crate::request::Request;
use crate::table::PackageNumber;
use basalt_rpm::capability::{InvalidCapability, compare};
use basalt_rpm::{Capability, Dependency, Package};

/// A requirement that no package fulfils.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The required capability, or expression.
    pub wanted: Dependency,
    /// Packages that lead from the request to the requirement, the requested one first. Empty when the capability
    /// itself was requested.
    pub chain: Vec<String>,
    /// Packages that have the name but not the version, or a name that is nearly the same.
    pub near: Vec<String>,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.chain.as_slice() {
            [] => write!(f, "no package provides `{}`, which was asked for", self.wanted)?,
            [one] => write!(f, "`{one}` needs `{}`, which no package provides", self.wanted)?,
            [.., last] => write!(
                f,
                "`{last}` needs `{}`, which no package provides ({})",
                self.wanted,
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
    #[diagnostic(code(solver::request))]
    Request(#[from] InvalidCapability),
    /// A required capability is provided by no package.
    #[error("{}", list(missing))]
    #[diagnostic(
        code(solver::missing),
        help("correct the name, or add the package that provides it under distro/packages/")
    )]
    Missing {
        /// The missing capabilities, each with the chain of packages that requires it.
        missing: Vec<Missing>,
    },
    /// An expression has too many cases.
    #[error("`{dependency}` has too many cases to be solved")]
    #[diagnostic(code(solver::complex), help("split the expression into several dependencies"))]
    TooComplex {
        /// The expression.
        dependency: Dependency,
    },
    /// Every required package exists, but some exclude each other.
    #[error("the packages that were asked for cannot be installed together:\n{explanation}")]
    #[diagnostic(
        code(solver::conflict),
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

/// Returns the error of requests without a solution. `reasons` are those of the clauses that contradict each other.
pub(crate) fn failure(
    requests: &[Request],
    reasons: &BTreeSet<Reason>,
    providers: &Providers<'_, impl AsRef<Package>>,
) -> SolveError {
    let missing = missing(requests, providers);
    if !missing.is_empty() {
        return SolveError::Missing { missing };
    }
    let explanation = contradiction(requests, providers).unwrap_or_else(|| {
        let lines = reasons.iter().filter_map(|reason| line(*reason, requests, providers));
        lines.collect::<Vec<_>>().join("\n")
    });
    SolveError::Conflict { explanation }
}

/// Returns the line of an explanation about a clause.
fn line(reason: Reason, requests: &[Request], providers: &Providers<'_, impl AsRef<Package>>) -> Option<String> {
    let package = |number: PackageNumber| providers.package(number);
    match reason {
        Reason::Root => None,
        Reason::Request(index) => {
            let wanted = &requests.get(index)?.dependency;
            Some(format!("  `{wanted}` was asked for{}", provided_by(wanted, providers)))
        }
        Reason::Requires(position, index) => {
            let wanted = package(position).requires.get(index)?;
            Some(format!(
                "  `{}` needs `{wanted}`{}",
                package(position),
                provided_by(wanted, providers)
            ))
        }
        Reason::Conflicts(position, index) => {
            let excluded = package(position).conflicts.get(index)?;
            Some(format!("  `{}` conflicts with `{excluded}`", package(position)))
        }
        Reason::Obsoletes(one, other) => Some(format!("  `{}` replaces `{}`", package(one), package(other))),
        Reason::SameName(one, other) => Some(format!(
            "  only one of `{}` and `{}` can be installed",
            package(one),
            package(other)
        )),
    }
}

/// Returns a clause about the packages that provide a dependency; nothing for expressions.
fn provided_by(wanted: &Dependency, providers: &Providers<'_, impl AsRef<Package>>) -> String {
    const SHOWN: usize = 5;
    let found = providers.of(wanted);
    let mut names: Vec<String> = found
        .iter()
        .map(|position| format!("`{}`", providers.package(*position)))
        .collect();
    if names.len() > SHOWN {
        let more = names.len() - SHOWN;
        names.truncate(SHOWN);
        names.push(format!("{more} more"));
    }
    match (wanted, names.as_slice()) {
        (Dependency::And(_) | Dependency::Or(_) | Dependency::If(_) | Dependency::Unless(_), _) => String::new(),
        (_, []) => ", which no package provides".to_owned(),
        (_, [one]) => format!(", which {one} provides"),
        (_, names) => format!(", which {} provide", names.join(", ")),
    }
}

/// Returns every dependency of the requests, directly or indirectly, that no package can fulfil.
fn missing(requests: &[Request], providers: &Providers<'_, impl AsRef<Package>>) -> Vec<Missing> {
    let mut found: Vec<Missing> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut queue: VecDeque<(Dependency, Vec<String>)> = VecDeque::new();
    for request in requests.iter().filter(|request| request.replacements.is_empty()) {
        queue.push_back((request.dependency.clone(), Vec::new()));
    }
    while let Some((wanted, chain)) = queue.pop_front() {
        if let Dependency::And(operands) = wanted {
            queue.extend(operands.into_iter().map(|operand| (operand, chain.clone())));
            continue;
        }
        for clause in clauses(&wanted, providers).unwrap_or_default() {
            let Some(&chosen) = clause.candidates.first() else {
                let is_known = found.iter().any(|missing| missing.wanted == wanted);
                if clause.absent.is_empty() && !is_known {
                    let near = wanted
                        .as_capability()
                        .map_or_else(Vec::new, |wanted| near(wanted, providers));
                    let (wanted, chain) = (wanted.clone(), chain.clone());
                    found.push(Missing { wanted, chain, near });
                }
                continue;
            };
            // Where a condition has to hold first, nothing is certain.
            if clause.absent.is_empty() && seen.insert(chosen) {
                let package = providers.package(chosen);
                let chain: Vec<_> = chain.iter().cloned().chain([package.name.clone()]).collect();
                queue.extend(
                    package
                        .requires
                        .iter()
                        .map(|required| (required.clone(), chain.clone())),
                );
            }
        }
    }
    found
}

/// Returns suggestions for a missing capability: other versions of the name, or names that are nearly the same.
fn near(wanted: &Capability, providers: &Providers<'_, impl AsRef<Package>>) -> Vec<String> {
    let other_versions = providers.of_capability(&Capability::any(wanted.name.as_str()));
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
