//! Candidates for a dependency, in the order of preference that [`PackageIndex::solve`] documents.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::PoisonError;

use basalt_rpm::capability::{compare, usr_merged};
use basalt_rpm::{Capability, Dependency, Package};

use crate::index::PackageIndex;
use crate::request::Request;
use crate::table::{NameNumber, PackageNumber};

/// The packages of an index that are candidates for a solution.
pub(crate) struct Providers<'a, P> {
    index: &'a PackageIndex<P>,
    among: &'a dyn Fn(&P) -> bool,
}

impl<'a, P: AsRef<Package>> Providers<'a, P> {
    /// Packages of an index for which `among` holds.
    pub(crate) fn new(index: &'a PackageIndex<P>, among: &'a dyn Fn(&P) -> bool) -> Self {
        Self { index, among }
    }

    /// Index that the candidates are from.
    pub(crate) fn index(&self) -> &'a PackageIndex<P> {
        self.index
    }

    /// Returns the package at a position.
    pub(crate) fn package(&self, position: PackageNumber) -> &'a Package {
        self.index.packages[position].as_ref()
    }

    /// Iterates over all candidates.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &'a Package> {
        let packages = self.index.packages.rows().filter(|package| (self.among)(package));
        packages.map(AsRef::as_ref)
    }

    fn is_candidate(&self, position: PackageNumber) -> bool {
        (self.among)(&self.index.packages[position])
    }

    /// Returns the positions of the candidates that fulfil a dependency, the preferred one first. The dependency is one
    /// that a single package can fulfil: a capability, or capabilities joined by `with`, `without` and `or`.
    pub(crate) fn of(&self, wanted: &Dependency) -> Vec<PackageNumber> {
        match wanted {
            Dependency::Capability(capability) => self.of_capability(capability),
            Dependency::With(operands) => {
                let mut sets = operands.iter().map(|operand| self.of(operand));
                let first = sets.next().unwrap_or_default();
                sets.fold(first, |mut left, set| {
                    left.retain(|position| set.contains(position));
                    left
                })
            }
            Dependency::Without(operands) => {
                let [mut left, without] = operands.each_ref().map(|operand| self.of(operand));
                left.retain(|position| !without.contains(position));
                left
            }
            Dependency::Or(operands) => {
                let mut found: Vec<PackageNumber> = Vec::new();
                for position in operands.iter().flat_map(|operand| self.of(operand)) {
                    if !found.contains(&position) {
                        found.push(position);
                    }
                }
                found
            }
            Dependency::And(_) | Dependency::If(_) | Dependency::Unless(_) => Vec::new(),
        }
    }

    /// Returns the positions of the candidates that provide a capability, the preferred one first.
    pub(crate) fn of_capability(&self, wanted: &Capability) -> Vec<PackageNumber> {
        let mut found = Vec::new();
        let name = self.index.names.get(&wanted.name).copied();
        self.each(wanted, name, |position| found.push(position));
        self.sorted(found, wanted)
    }

    /// Sorts packages by the order of preference, each once.
    fn sorted(&self, mut found: Vec<PackageNumber>, wanted: &Capability) -> Vec<PackageNumber> {
        found.sort_unstable();
        found.dedup();
        if found.len() < 2 {
            return found;
        }
        found.sort_by(|&one, &other| {
            let (one, other) = (self.package(one), self.package(other));
            let by_name = one.name.cmp(&other.name);
            by_name.then_with(|| compare(&other.evr(), &one.evr()))
        });
        let same_name =
            |one: &PackageNumber, other: &PackageNumber| self.package(*one).name == self.package(*other).name;
        let mut names: Vec<&[PackageNumber]> = found.chunk_by(same_name).collect();
        // What goes for the newest package of a name goes for the name.
        let newest: Vec<PackageNumber> = names.iter().filter_map(|packages| packages.first().copied()).collect();
        names.sort_by_cached_key(|packages| {
            packages.first().map(|&first| {
                let is_obsoleted = newest.iter().any(|other| self.obsoletes(*other, first));
                let has_the_name = self.package(first).name == wanted.name;
                (
                    is_obsoleted,
                    !has_the_name,
                    Reverse(self.provided_version(first, wanted)),
                )
            })
        });
        names.concat()
    }

    /// Brings packages of one name together, the newest first, where the first one of the name is: the operands of an
    /// expression may name versions of one package.
    pub(crate) fn newest_first(&self, packages: Vec<PackageNumber>) -> Vec<PackageNumber> {
        let mut names: Vec<Vec<PackageNumber>> = Vec::new();
        for position in packages {
            let own = self.index.own_names[position];
            match names
                .iter_mut()
                .find(|packages| packages.first().is_some_and(|it| self.index.own_names[*it] == own))
            {
                Some(packages) => packages.push(position),
                None => names.push(vec![position]),
            }
        }
        for packages in &mut names {
            packages.sort_by(|one, other| compare(&self.package(*other).evr(), &self.package(*one).evr()));
        }
        names.concat()
    }

    /// Returns the highest version of a capability that a package provides.
    fn provided_version(&self, position: PackageNumber, wanted: &Capability) -> Option<ProvidedVersion<'a>> {
        let provides = self.package(position).provides.iter();
        let matching = provides.filter(|provided| provided.satisfies(wanted));
        let versions = matching.filter_map(|provided| provided.version.as_ref());
        versions.map(|(_, version)| ProvidedVersion(version)).max()
    }

    /// Returns `true` if one package obsoletes another.
    fn obsoletes(&self, position: PackageNumber, other: PackageNumber) -> bool {
        let (package, other) = (self.package(position), self.package(other));
        package.name != other.name
            && package
                .obsoletes
                .iter()
                .any(|obsoleted| obsoleted.name == other.name && other.capability().satisfies(obsoleted))
    }

    /// Returns the candidates that a package obsoletes: by their own names, never by what they provide.
    pub(crate) fn obsoleted_by(&self, position: PackageNumber) -> Vec<PackageNumber> {
        let package = self.package(position);
        let named = package
            .obsoletes
            .iter()
            .filter_map(|obsoleted| self.index.entry(&obsoleted.name));
        let named = named.flat_map(|entry| entry.named.iter().copied());
        let mut found: Vec<PackageNumber> = named
            .filter(|other| self.is_candidate(*other) && self.obsoletes(position, *other))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns the other candidates of the same name, of which only one can be installed.
    pub(crate) fn namesakes(&self, position: PackageNumber) -> impl Iterator<Item = PackageNumber> {
        let named = &self.index.by_name[self.index.own_names[position]].named;
        let others = named.iter().copied().filter(move |other| *other != position);
        others.filter(|other| self.is_candidate(*other))
    }

    /// Returns the candidates that obsolete the newest package of a name; none for other dependencies than names.
    pub(crate) fn replacements(&self, dependency: &Dependency) -> Vec<PackageNumber> {
        let entry = dependency
            .as_capability()
            .filter(|capability| capability.version.is_none());
        let Some(entry) = entry.and_then(|capability| self.index.entry(&capability.name)) else {
            return Vec::new();
        };
        let obsoleters = entry.obsoleters.iter().map(|(position, _)| *position);
        let obsoleters: BTreeSet<PackageNumber> = obsoleters.filter(|position| self.is_candidate(*position)).collect();
        let named = entry
            .named
            .iter()
            .copied()
            .filter(|position| self.is_candidate(*position));
        let newest = named.max_by(|one, other| compare(&self.package(*one).evr(), &self.package(*other).evr()));
        let fits = |position: &PackageNumber| newest.is_none_or(|newest| self.obsoletes(*position, newest));
        obsoleters.into_iter().filter(fits).collect()
    }

    /// Returns the candidates of a request and the packages that replace them, the preferred one first.
    pub(crate) fn with_replacements(&self, request: &Request, candidates: &[PackageNumber]) -> Vec<PackageNumber> {
        match request.dependency.as_capability() {
            Some(wanted) if !request.replacements.is_empty() => {
                self.sorted([candidates, &request.replacements].concat(), wanted)
            }
            _ => candidates.to_vec(),
        }
    }

    /// Calls a function with the position of each candidate that provides a capability, with some more than once.
    /// `name` is the number of the capability's name.
    fn each(&self, wanted: &Capability, name: Option<NameNumber>, mut take: impl FnMut(PackageNumber)) {
        let listed = name.map_or(&[] as &[_], |name| &self.index.by_name[name].providers);
        for &(position, place) in listed {
            let provided = self.package(position).provides.get(place);
            if self.is_candidate(position) && provided.is_some_and(|provided| provided.satisfies(wanted)) {
                take(position);
            }
        }
        // A file has no version.
        if wanted.name.starts_with('/') && wanted.version.is_none() {
            let mut files = self.index.files.lock().unwrap_or_else(PoisonError::into_inner);
            let with_file = files
                .with_path(&usr_merged(&wanted.name), &self.index.packages)
                .iter()
                .copied();
            with_file.filter(|position| self.is_candidate(*position)).for_each(take);
        }
    }

    /// Returns the position of the only candidate that provides a capability; none when there are several, or none.
    pub(crate) fn only(&self, wanted: &Capability, name: Option<NameNumber>) -> Option<PackageNumber> {
        let (mut found, mut is_only) = (None, true);
        self.each(wanted, name, |position| {
            is_only &= found.is_none_or(|known| known == position);
            found = Some(position);
        });
        found.filter(|_| is_only)
    }
}

/// Version in a capability, ordered as rpm compares versions.
#[derive(PartialEq, Eq)]
struct ProvidedVersion<'p>(&'p str);

impl Ord for ProvidedVersion<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        compare(self.0, other.0)
    }
}

impl PartialOrd for ProvidedVersion<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
