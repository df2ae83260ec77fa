//! Why packages that are all there cannot be installed together, in words.
//!
//! What must be installed is followed from the requests: where only packages of one name will do, that name is
//! unavoidable, and so is what all its versions that will do require. Two unavoidable things that exclude each other
//! are the reason. Where there is a choice on the way, this finds nothing, and the solver's own account is shown.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::capability::compare;
use crate::index::Providers;
use crate::{Capability, Package};

/// A wish, and who has it: from what was asked for, package by package. Empty when it was asked for itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Wish {
    capability: String,
    chain: Vec<String>,
}

/// A name that cannot be avoided.
struct Unavoidable {
    /// The packages of that name that all wishes leave.
    left: BTreeSet<usize>,
    wishes: Vec<Wish>,
}

/// The contradiction in what must be installed, if there is one.
pub(crate) fn contradiction(requests: &[Capability], providers: &Providers<'_, impl AsRef<Package>>) -> Option<String> {
    let mut needed: BTreeMap<&str, Unavoidable> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut queue: VecDeque<(Capability, Vec<String>)> =
        requests.iter().map(|request| (request.clone(), Vec::new())).collect();
    while let Some((wanted, chain)) = queue.pop_front() {
        let wish = Wish {
            capability: wanted.to_string(),
            chain,
        };
        if !seen.insert((wish.capability.clone(), wish.chain.last().cloned())) {
            continue;
        }
        let fitting: BTreeSet<usize> = providers.of(&wanted).into_iter().collect();
        let mut names = fitting.iter().map(|&index| providers.package(index).name.as_str());
        let Some(name) = names.next() else { continue };
        if names.any(|other| other != name) {
            continue;
        }
        let way: Vec<String> = wish.chain.iter().cloned().chain([name.to_owned()]).collect();
        let known = needed.entry(name).or_insert_with(|| Unavoidable {
            left: fitting.clone(),
            wishes: Vec::new(),
        });
        known.left.retain(|index| fitting.contains(index));
        known.wishes.push(wish);
        if known.left.is_empty() {
            return Some(no_version(name, &known.wishes, providers));
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

/// What each of some packages requires.
fn required_by_all<'p>(
    packages: &BTreeSet<usize>,
    providers: &Providers<'p, impl AsRef<Package>>,
) -> Vec<&'p Capability> {
    let mut packages = packages.iter().map(|&index| providers.package(index));
    let Some(first) = packages.next() else {
        return Vec::new();
    };
    let rest: Vec<_> = packages.collect();
    let by_all = |required: &&Capability| rest.iter().all(|package| package.requires.contains(required));
    first.requires.iter().filter(by_all).collect()
}

/// How all that is left of one excludes all that is left of the other.
fn excludes(
    one: &Unavoidable,
    other: &Unavoidable,
    providers: &Providers<'_, impl AsRef<Package>>,
) -> Option<&'static str> {
    let hits = |capability: &Capability, index: usize, by_name: bool| {
        let mut hit: BTreeSet<usize> = providers.of(capability).into_iter().collect();
        hit.remove(&index);
        if by_name {
            hit.retain(|&hit| providers.package(hit).name == capability.name);
        }
        !other.left.is_empty() && other.left.iter().all(|index| hit.contains(index))
    };
    let all = |by_name: bool| {
        one.left.iter().all(|&index| {
            let package = providers.package(index);
            let list = if by_name {
                &package.obsoletes
            } else {
                &package.conflicts
            };
            list.iter().any(|capability| hits(capability, index, by_name))
        })
    };
    if all(false) {
        Some("conflicts with")
    } else if all(true) {
        Some("replaces")
    } else {
        None
    }
}

fn no_version(name: &str, wishes: &[Wish], providers: &Providers<'_, impl AsRef<Package>>) -> String {
    let mut text = format!("no version of `{name}` is right for all who want it:\n");
    for wish in wishes {
        text += &format!("  `{}`, {}\n", wish.capability, who(&wish.chain));
    }
    let mut there: Vec<_> = providers.packages().filter(|package| package.name == name).collect();
    there.sort_by(|one, other| compare(&other.evr(), &one.evr()));
    let there: Vec<_> = there.iter().map(|package| format!("`{}`", package.evr())).collect();
    text + &format!("there is {}", there.join(", "))
}

fn excluded(name: &str, one: &Unavoidable, verb: &str, other_name: &str, other: &Unavoidable) -> String {
    let why = |unavoidable: &Unavoidable| {
        let shortest = unavoidable.wishes.iter().min_by_key(|wish| wish.chain.len());
        shortest.map_or(String::new(), |wish| {
            format!("`{}`, {}", wish.capability, who(&wish.chain))
        })
    };
    format!(
        "`{name}` {verb} `{other_name}`, and both are needed:\n  {}\n  {}",
        why(one),
        why(other)
    )
}

fn who(chain: &[String]) -> String {
    match chain {
        [] => "which was asked for".to_owned(),
        [one] => format!("which `{one}` needs"),
        [.., last] => format!("which `{last}` needs ({})", chain.join(" needs ")),
    }
}
