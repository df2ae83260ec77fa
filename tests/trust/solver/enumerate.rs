//! All sets of a small repository's packages: which are solutions, by the meaning of rpm's dependencies.
//!
//! Independent of the solver: dependencies are evaluated for each set, without clauses.

use std::cmp::Ordering;

use basalt_rpm::{Capability, Dependency, Operator, Package};

/// Set of packages; bit n is the package at position n.
type Set = u32;

/// Solutions of a repository, whose first package is the request.
pub struct Enumeration<'p> {
    packages: &'p [Package],
    solutions: Vec<Set>,
}

/// Expression whose capabilities are the sets of packages that provide them.
enum Meaning {
    Has(Set),
    And(Vec<Meaning>),
    Or(Vec<Meaning>),
    If(Box<[Meaning; 3]>),
    Unless(Box<[Meaning; 3]>),
}

/// Conditions for one package.
struct Conditions {
    requires: Vec<Meaning>,
    conflicts: Vec<Meaning>,
    /// Packages that it obsoletes, and others of its name.
    excluded: Set,
}

impl<'p> Enumeration<'p> {
    /// Tries all sets.
    pub fn of(packages: &'p [Package]) -> Self {
        let conditions: Vec<Conditions> = (0..packages.len()).map(|index| conditions(packages, index)).collect();
        let holds = |set: &Set| {
            let installed = conditions.iter().enumerate().filter(|(index, _)| set >> index & 1 == 1);
            set & 1 == 1
                && installed
                    .into_iter()
                    .all(|(index, conditions)| conditions.hold(index, *set))
        };
        Self {
            packages,
            solutions: (0..1 << packages.len()).filter(holds).collect(),
        }
    }

    /// Returns `true` if there is a solution.
    pub fn is_solvable(&self) -> bool {
        !self.solutions.is_empty()
    }

    /// Returns `true` if the packages of these names are a solution.
    pub fn is_solution(&self, names: &[String]) -> bool {
        self.solutions.contains(&self.set(names))
    }

    /// Returns `true` if the packages of these names are a solution, and no part of them is.
    pub fn is_minimal(&self, names: &[String]) -> bool {
        let wanted = self.set(names);
        self.minimal().any(|set| set == wanted)
    }

    /// Returns the only set that the policy allows: without a needless package, and with the newest versions.
    pub fn determined(&self) -> Option<Vec<String>> {
        let minimal: Vec<Set> = self.minimal().collect();
        let is_best = |set: &&Set| {
            minimal
                .iter()
                .all(|other| other == *set || !self.is_newer(*other, **set))
        };
        let best: Vec<&Set> = minimal.iter().filter(is_best).collect();
        match best.as_slice() {
            [one] => Some(self.names(**one)),
            _ => None,
        }
    }

    fn minimal(&self) -> impl Iterator<Item = Set> {
        let is_minimal = |set: &Set| !self.solutions.iter().any(|other| other != set && other & set == *other);
        self.solutions.iter().copied().filter(is_minimal)
    }

    /// Returns `true` if a set has the same names as another, and for each a version that is as new or newer.
    fn is_newer(&self, one: Set, other: Set) -> bool {
        let (one, other) = (self.versions(one), self.versions(other));
        one.len() == other.len()
            && one
                .iter()
                .zip(&other)
                .all(|(one, other)| one.0 == other.0 && compare(&one.1, &other.1) != Ordering::Less)
    }

    fn versions(&self, set: Set) -> Vec<(&str, String)> {
        let mut found: Vec<_> = self
            .members(set)
            .map(|package| (package.name.as_str(), package.evr()))
            .collect();
        found.sort();
        found
    }

    fn members(&self, set: Set) -> impl Iterator<Item = &'p Package> {
        let members = self.packages.iter().enumerate();
        members
            .filter(move |(index, _)| set >> index & 1 == 1)
            .map(|(_, package)| package)
    }

    fn names(&self, set: Set) -> Vec<String> {
        let mut names: Vec<String> = self.members(set).map(Package::nevra).collect();
        names.sort();
        names
    }

    fn set(&self, names: &[String]) -> Set {
        let members = self.packages.iter().enumerate();
        let named = members.filter(|(_, package)| names.contains(&package.nevra()));
        named.fold(0, |set, (index, _)| set | 1 << index)
    }
}

impl Conditions {
    fn hold(&self, index: usize, set: Set) -> bool {
        // A package neither conflicts with itself nor replaces itself.
        let others = set & !(1 << index);
        self.requires.iter().all(|required| required.holds(set))
            && !self.conflicts.iter().any(|excluded| excluded.holds(others))
            && self.excluded & others == 0
    }
}

impl Meaning {
    fn holds(&self, set: Set) -> bool {
        match self {
            Self::Has(providers) => providers & set != 0,
            Self::And(operands) => operands.iter().all(|operand| operand.holds(set)),
            Self::Or(operands) => operands.iter().any(|operand| operand.holds(set)),
            Self::If(operands) => {
                let [then, condition, otherwise] = operands.as_ref();
                if condition.holds(set) {
                    then.holds(set)
                } else {
                    otherwise.holds(set)
                }
            }
            Self::Unless(operands) => {
                let [then, condition, otherwise] = operands.as_ref();
                if condition.holds(set) {
                    otherwise.holds(set)
                } else {
                    then.holds(set)
                }
            }
        }
    }
}

fn conditions(packages: &[Package], index: usize) -> Conditions {
    let package = &packages[index];
    let meanings = |found: &[Dependency]| found.iter().map(|it| meaning(it, packages)).collect();
    let is_excluded = |other: &Package| {
        let own = Capability {
            name: other.name.clone(),
            version: Some((Operator::Equal, other.evr())),
        };
        other.name == package.name || package.obsoletes.iter().any(|obsoleted| own.satisfies(obsoleted))
    };
    Conditions {
        requires: meanings(&package.requires),
        conflicts: meanings(&package.conflicts),
        excluded: set_of(packages, is_excluded),
    }
}

fn set_of(packages: &[Package], holds: impl Fn(&Package) -> bool) -> Set {
    let members = packages.iter().enumerate().filter(|(_, package)| holds(package));
    members.fold(0, |set, (index, _)| set | 1 << index)
}

fn meaning(dependency: &Dependency, packages: &[Package]) -> Meaning {
    let of = |operand: &Dependency| meaning(operand, packages);
    let conditional = |operands: &basalt_rpm::Conditional, without: bool| {
        let otherwise = match &operands.otherwise {
            Some(otherwise) => of(otherwise),
            // An empty `and` holds, an empty `or` does not.
            None if without => Meaning::And(Vec::new()),
            None => Meaning::Or(Vec::new()),
        };
        Box::new([of(&operands.then), of(&operands.condition), otherwise])
    };
    match dependency {
        Dependency::Capability(_) | Dependency::With(_) | Dependency::Without(_) => {
            Meaning::Has(set_of(packages, |package| fulfils(package, dependency)))
        }
        Dependency::And(operands) => Meaning::And(operands.iter().map(of).collect()),
        Dependency::Or(operands) => Meaning::Or(operands.iter().map(of).collect()),
        Dependency::If(operands) => Meaning::If(conditional(operands, true)),
        Dependency::Unless(operands) => Meaning::Unless(conditional(operands, false)),
    }
}

/// Returns `true` if a package by itself fulfils a dependency.
fn fulfils(package: &Package, dependency: &Dependency) -> bool {
    match dependency {
        Dependency::Capability(wanted) => {
            package.provides.iter().any(|provided| provided.satisfies(wanted)) || package.files.contains(&wanted.name)
        }
        Dependency::With(operands) => operands.iter().all(|operand| fulfils(package, operand)),
        Dependency::Without(operands) => fulfils(package, &operands[0]) && !fulfils(package, &operands[1]),
        Dependency::Or(operands) => operands.iter().any(|operand| fulfils(package, operand)),
        Dependency::And(_) | Dependency::If(_) | Dependency::Unless(_) => false,
    }
}

/// Compares versions by what [`Capability::satisfies`] says of them.
fn compare(one: &str, other: &str) -> Ordering {
    let capability = |operator: Operator, version: &str| Capability {
        name: String::new(),
        version: Some((operator, version.to_owned())),
    };
    let one = capability(Operator::Equal, one);
    if one.satisfies(&capability(Operator::Equal, other)) {
        Ordering::Equal
    } else if one.satisfies(&capability(Operator::Less, other)) {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}
