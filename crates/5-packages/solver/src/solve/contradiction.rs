//! Explanation of conflicts: why packages that all exist cannot be installed together.
//!
//! Mandatory packages are followed from the requests: where all providers have one name, that name is unavoidable, and
//! so is what all its fitting versions require. Two unavoidable names that exclude each other are the reason. Where
//! there is a choice on the way, no reason is found, and the solver's own account is shown.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::providers::Providers;
use crate::request::Request;
use crate::table::PackageNumber;
use basalt_rpm::capability::compare;
use basalt_rpm::{Dependency, Package};

/// A requirement, with the chain of packages that leads to it from the request; the chain of a request is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ChainedRequirement {
    capability: String,
    chain: Vec<String>,
}

/// A name of which one package must be installed.
struct MandatoryName {
    /// Packages of that name that fulfil all requirements so far.
    left: BTreeSet<PackageNumber>,
    requirements: Vec<ChainedRequirement>,
}

/// Returns the explanation of the contradiction among mandatory packages; none when a choice is involved.
pub(crate) fn contradiction(requests: &[Request], providers: &Providers<'_, impl AsRef<Package>>) -> Option<String> {
    let mut needed: BTreeMap<&str, MandatoryName> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let certain = requests.iter().filter(|request| request.replacements.is_empty());
    let mut queue: VecDeque<(Dependency, Vec<String>)> = certain
        .map(|request| (request.dependency.clone(), Vec::new()))
        .collect();
    while let Some((wanted, chain)) = queue.pop_front() {
        let requirement = ChainedRequirement {
            capability: wanted.to_string(),
            chain,
        };
        if !seen.insert((requirement.capability.clone(), requirement.chain.last().cloned())) {
            continue;
        }
        let fitting: BTreeSet<PackageNumber> = providers.of(&wanted).into_iter().collect();
        let mut names = fitting.iter().map(|&index| providers.package(index).name.as_str());
        let Some(name) = names.next() else { continue };
        if names.any(|other| other != name) {
            continue;
        }
        let way: Vec<String> = requirement.chain.iter().cloned().chain([name.to_owned()]).collect();
        let known = needed.entry(name).or_insert_with(|| MandatoryName {
            left: fitting.clone(),
            requirements: Vec::new(),
        });
        known.left.retain(|index| fitting.contains(index));
        known.requirements.push(requirement);
        if known.left.is_empty() {
            return Some(no_version(name, &known.requirements, providers));
        }
        for required in required_by_all(&known.left, providers) {
            queue.push_back((required.clone(), way.clone()));
        }
    }
    for (name, one) in &needed {
        for (other_name, other) in &needed {
            if let Some(verb) = excludes(one, other, providers) {
                return Some(excluded(name, one, verb, other_name, other));
            }
        }
    }
    None
}

/// Returns the capabilities that all of some packages require.
fn required_by_all<'p>(
    packages: &BTreeSet<PackageNumber>,
    providers: &Providers<'p, impl AsRef<Package>>,
) -> Vec<&'p Dependency> {
    let mut packages = packages.iter().map(|&index| providers.package(index));
    let Some(first) = packages.next() else {
        return Vec::new();
    };
    let rest: Vec<_> = packages.collect();
    let by_all = |required: &&Dependency| rest.iter().all(|package| package.requires.contains(required));
    first.requires.iter().filter(by_all).collect()
}

/// Returns the verb of the exclusion when all packages left of one name exclude all that are left of the other.
fn excludes(
    one: &MandatoryName,
    other: &MandatoryName,
    providers: &Providers<'_, impl AsRef<Package>>,
) -> Option<&'static str> {
    let covers = |hit: Vec<PackageNumber>, index: PackageNumber| {
        let hit: BTreeSet<PackageNumber> = hit.into_iter().filter(|hit| *hit != index).collect();
        !other.left.is_empty() && other.left.iter().all(|index| hit.contains(index))
    };
    let conflicts = |index: &PackageNumber| {
        let excluded = providers.package(*index).conflicts.iter();
        excluded
            .map(|excluded| providers.of(excluded))
            .any(|hit| covers(hit, *index))
    };
    if one.left.iter().all(conflicts) {
        Some("conflicts with")
    } else if one
        .left
        .iter()
        .all(|index| covers(providers.obsoleted_by(*index), *index))
    {
        Some("replaces")
    } else {
        None
    }
}

fn no_version(
    name: &str,
    requirements: &[ChainedRequirement],
    providers: &Providers<'_, impl AsRef<Package>>,
) -> String {
    let mut text = format!("no version of `{name}` is right for all who want it:\n");
    for requirement in requirements {
        text += &format!("  `{}`, {}\n", requirement.capability, requirer(&requirement.chain));
    }
    let mut there: Vec<_> = providers.packages().filter(|package| package.name == name).collect();
    there.sort_by(|one, other| compare(&other.evr(), &one.evr()));
    let there: Vec<_> = there.iter().map(|package| format!("`{}`", package.evr())).collect();
    text + &format!("there is {}", there.join(", "))
}

fn excluded(name: &str, one: &MandatoryName, verb: &str, other_name: &str, other: &MandatoryName) -> String {
    let why = |unavoidable: &MandatoryName| {
        let shortest = unavoidable
            .requirements
            .iter()
            .min_by_key(|requirement| requirement.chain.len());
        shortest.map_or(String::new(), |requirement| {
            format!("`{}`, {}", requirement.capability, requirer(&requirement.chain))
        })
    };
    format!(
        "`{name}` {verb} `{other_name}`, and both are needed:\n  {}\n  {}",
        why(one),
        why(other)
    )
}

fn requirer(chain: &[String]) -> String {
    match chain {
        [] => "which was asked for".to_owned(),
        [one] => format!("which `{one}` needs"),
        [.., last] => format!("which `{last}` needs ({})", chain.join(" needs ")),
    }
}
