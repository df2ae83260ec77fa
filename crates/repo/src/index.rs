//! Index of provided capabilities, for solving many requests among the same packages.
//!
//! ```text
//! packages --add--> PackageIndex
//! requests + PackageIndex --solve--> without a choice: traversal of the requirements
//!                                --> with a choice, or without a solution: the solver (module solve)
//! ```

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use crate::capability::{compare, usr_merged};
use crate::file_index::FileIndex;
use crate::solve::{self, Request, SolveError};
use crate::{Capability, Dependency, Package};

/// Packages indexed by the capabilities that they provide.
#[derive(Debug)]
pub struct PackageIndex<P> {
    packages: Vec<P>,
    /// Numbers of the names of capabilities, provided or required.
    names: HashMap<String, usize>,
    /// For each name: what is known about packages that have to do with it.
    by_name: Vec<NameEntry>,
    /// Numbers of the dependencies that packages require.
    numbers: HashMap<Dependency, usize>,
    /// Required dependencies by number, with the numbers of the names of those that are capabilities.
    required: Vec<(Dependency, Option<usize>)>,
    /// For each package, the number of its name.
    own_names: Vec<usize>,
    /// For each package, the numbers of the dependencies that it requires.
    requires: Vec<Vec<usize>>,
    files: RefCell<FileIndex>,
}

/// Packages that have to do with a name, by position.
#[derive(Debug, Default)]
struct NameEntry {
    /// Packages of that name.
    named: Vec<usize>,
    /// Packages that provide the name, and the index of the capability in their `provides`.
    providers: Vec<(usize, usize)>,
    /// Packages that obsolete the name, and the index of the capability in their `obsoletes`.
    obsoleters: Vec<(usize, usize)>,
}

impl<P> Default for PackageIndex<P> {
    fn default() -> Self {
        Self {
            packages: Vec::new(),
            names: HashMap::new(),
            by_name: Vec::new(),
            numbers: HashMap::new(),
            required: Vec::new(),
            own_names: Vec::new(),
            requires: Vec::new(),
            files: RefCell::default(),
        }
    }
}

impl<P: AsRef<Package>> FromIterator<P> for PackageIndex<P> {
    fn from_iter<I: IntoIterator<Item = P>>(packages: I) -> Self {
        let mut index = Self::default();
        packages.into_iter().for_each(|package| index.add(package));
        index
    }
}

impl<P: AsRef<Package>> PackageIndex<P> {
    /// Adds a package.
    pub fn add(&mut self, package: P) {
        let position = self.packages.len();
        let data = package.as_ref();
        for (place, capability) in data.provides.iter().enumerate() {
            let name = self.name(&capability.name);
            self.by_name[name].providers.push((position, place));
        }
        for (place, capability) in data.obsoletes.iter().enumerate() {
            let name = self.name(&capability.name);
            self.by_name[name].obsoleters.push((position, place));
        }
        let own_name = self.name(&data.name);
        self.by_name[own_name].named.push(position);
        self.own_names.push(own_name);
        let requires = data.requires.iter().map(|wanted| self.number(wanted)).collect();
        self.requires.push(requires);
        let conflicts = data.conflicts.iter().flat_map(Dependency::capabilities);
        conflicts.for_each(|capability| self.want_path(capability));
        self.packages.push(package);
    }

    fn name(&mut self, name: &str) -> usize {
        if let Some(known) = self.names.get(name) {
            return *known;
        }
        self.names.insert(name.to_owned(), self.by_name.len());
        self.by_name.push(NameEntry::default());
        self.by_name.len() - 1
    }

    fn number(&mut self, wanted: &Dependency) -> usize {
        if let Some(known) = self.numbers.get(wanted) {
            return *known;
        }
        for capability in wanted.capabilities() {
            self.want_path(capability);
        }
        let name = wanted.as_capability().map(|capability| self.name(&capability.name));
        self.numbers.insert(wanted.clone(), self.required.len());
        self.required.push((wanted.clone(), name));
        self.required.len() - 1
    }

    /// Has the files indexed that have the path of a dependency.
    fn want_path(&mut self, capability: &Capability) {
        if capability.name.starts_with('/') {
            self.files.get_mut().want(&usr_merged(&capability.name));
        }
    }

    /// Returns the packages that fulfil dependencies, and all that they require, sorted by name. Only packages for which
    /// `among` holds are candidates.
    ///
    /// Of several providers, a package that is needed anyhow is preferred, whatever its name. Otherwise the order is:
    ///
    /// 1. those that no other provider obsoletes;
    /// 2. those that have the required name themselves;
    /// 3. those that provide a higher version of the capability;
    /// 4. by name, in the order of the alphabet; of one name, the newest first.
    ///
    /// The operands of `or` come in the order in which they are written. Weak dependencies (Recommends, Suggests,
    /// Supplements, Enhances) are never followed. The order in which packages were added does not matter.
    ///
    /// # Errors
    /// When a required capability is provided by no package, or when packages exclude each other.
    pub fn solve(&self, wanted: &[Dependency], among: impl Fn(&P) -> bool) -> Result<Vec<&P>, SolveError> {
        let requests = wanted.iter().cloned().map(Request::from);
        self.solve_requests(&requests.collect::<Vec<_>>(), &self.providers(&among))
    }

    /// Returns the packages to install for requests, like [`solve`](Self::solve). A package that is requested by its name
    /// alone, and that another one obsoletes, is replaced by that one, as dnf does it.
    ///
    /// A request is the name of a package, a capability (`libz.so.1()(64bit)`), the path of a file, one of these with a
    /// version (`zlib >= 1.3`), or an expression of them (`(a or b)`).
    ///
    /// # Errors
    /// When a request is none of these, a required capability is provided by no package, or packages exclude each other.
    pub fn install(&self, requests: &[String], among: impl Fn(&P) -> bool) -> Result<Vec<&P>, SolveError> {
        let providers = self.providers(&among);
        let requests = requests.iter().map(|text| {
            let dependency: Dependency = text.parse()?;
            let replacements = providers.replacements(&dependency);
            Ok::<_, SolveError>(Request {
                dependency,
                replacements,
            })
        });
        self.solve_requests(&requests.collect::<Result<Vec<_>, _>>()?, &providers)
    }

    fn solve_requests(&self, requests: &[Request], providers: &Providers<'_, P>) -> Result<Vec<&P>, SolveError> {
        let chosen = match providers.only_solution(requests) {
            Some(chosen) => chosen,
            None => solve::solve(requests, providers)?,
        };
        let mut chosen: Vec<&P> = chosen.into_iter().map(|position| &self.packages[position]).collect();
        chosen.sort_by(|one, other| one.as_ref().name.cmp(&other.as_ref().name));
        Ok(chosen)
    }

    fn providers<'a>(&'a self, among: &'a dyn Fn(&P) -> bool) -> Providers<'a, P> {
        Providers { index: self, among }
    }

    fn entry(&self, name: &str) -> Option<&NameEntry> {
        self.names.get(name).map(|number| &self.by_name[*number])
    }
}

/// The packages of an index that are candidates for a solution.
pub(crate) struct Providers<'a, P> {
    index: &'a PackageIndex<P>,
    among: &'a dyn Fn(&P) -> bool,
}

impl<'a, P: AsRef<Package>> Providers<'a, P> {
    /// Returns the package at a position.
    pub(crate) fn package(&self, position: usize) -> &'a Package {
        self.index.packages[position].as_ref()
    }

    /// Iterates over all candidates.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &'a Package> {
        let packages = self.index.packages.iter().filter(|package| (self.among)(package));
        packages.map(AsRef::as_ref)
    }

    fn is_candidate(&self, position: usize) -> bool {
        (self.among)(&self.index.packages[position])
    }

    /// Returns the positions of the candidates that fulfil a dependency, the preferred one first. The dependency is one
    /// that a single package can fulfil: a capability, or capabilities joined by `with`, `without` and `or`.
    pub(crate) fn of(&self, wanted: &Dependency) -> Vec<usize> {
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
                let [mut left, without] = [&operands[0], &operands[1]].map(|operand| self.of(operand));
                left.retain(|position| !without.contains(position));
                left
            }
            Dependency::Or(operands) => {
                let mut found: Vec<usize> = Vec::new();
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
    pub(crate) fn of_capability(&self, wanted: &Capability) -> Vec<usize> {
        let mut found = Vec::new();
        let name = self.index.names.get(&wanted.name).copied();
        self.each(wanted, name, |position| found.push(position));
        self.sorted(found, wanted)
    }

    /// Sorts packages by the order of preference, each once.
    fn sorted(&self, mut found: Vec<usize>, wanted: &Capability) -> Vec<usize> {
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
        let same_name = |one: &usize, other: &usize| self.package(*one).name == self.package(*other).name;
        let mut names: Vec<&[usize]> = found.chunk_by(same_name).collect();
        // What goes for the newest package of a name goes for the name.
        let newest: Vec<usize> = names.iter().filter_map(|packages| packages.first().copied()).collect();
        names.sort_by_cached_key(|packages| {
            let first = packages.first().copied().unwrap_or_default();
            let is_obsoleted = newest.iter().any(|other| self.obsoletes(*other, first));
            let has_the_name = self.package(first).name == wanted.name;
            (
                is_obsoleted,
                !has_the_name,
                Reverse(self.provided_version(first, wanted)),
            )
        });
        names.concat()
    }

    /// Brings packages of one name together, the newest first, where the first one of the name is: the operands of an
    /// expression may name versions of one package.
    pub(crate) fn newest_first(&self, packages: Vec<usize>) -> Vec<usize> {
        let mut names: Vec<Vec<usize>> = Vec::new();
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
    fn provided_version(&self, position: usize, wanted: &Capability) -> Option<ProvidedVersion<'a>> {
        let provides = self.package(position).provides.iter();
        let matching = provides.filter(|provided| provided.satisfies(wanted));
        let versions = matching.filter_map(|provided| provided.version.as_ref());
        versions.map(|(_, version)| ProvidedVersion(version)).max()
    }

    /// Returns `true` if one package obsoletes another.
    fn obsoletes(&self, position: usize, other: usize) -> bool {
        let (package, other) = (self.package(position), self.package(other));
        package.name != other.name
            && package
                .obsoletes
                .iter()
                .any(|obsoleted| obsoleted.name == other.name && Capability::of_package(other).satisfies(obsoleted))
    }

    /// Returns the candidates that a package obsoletes: by their own names, never by what they provide.
    pub(crate) fn obsoleted_by(&self, position: usize) -> Vec<usize> {
        let package = self.package(position);
        let named = package
            .obsoletes
            .iter()
            .filter_map(|obsoleted| self.index.entry(&obsoleted.name));
        let named = named.flat_map(|entry| entry.named.iter().copied());
        let mut found: Vec<usize> = named
            .filter(|other| self.is_candidate(*other) && self.obsoletes(position, *other))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns the other candidates of the same name, of which only one can be installed.
    pub(crate) fn namesakes(&self, position: usize) -> impl Iterator<Item = usize> {
        let named = &self.index.by_name[self.index.own_names[position]].named;
        let others = named.iter().copied().filter(move |other| *other != position);
        others.filter(|other| self.is_candidate(*other))
    }

    /// Returns the candidates that obsolete the newest package of a name; none for other dependencies than names.
    pub(crate) fn replacements(&self, dependency: &Dependency) -> Vec<usize> {
        let entry = dependency
            .as_capability()
            .filter(|capability| capability.version.is_none());
        let Some(entry) = entry.and_then(|capability| self.index.entry(&capability.name)) else {
            return Vec::new();
        };
        let obsoleters = entry.obsoleters.iter().map(|(position, _)| *position);
        let obsoleters: BTreeSet<usize> = obsoleters.filter(|position| self.is_candidate(*position)).collect();
        let named = entry
            .named
            .iter()
            .copied()
            .filter(|position| self.is_candidate(*position));
        let newest = named.max_by(|one, other| compare(&self.package(*one).evr(), &self.package(*other).evr()));
        let fits = |position: &usize| newest.is_none_or(|newest| self.obsoletes(*position, newest));
        obsoleters.into_iter().filter(fits).collect()
    }

    /// Returns the candidates of a request and the packages that replace them, the preferred one first.
    pub(crate) fn with_replacements(&self, request: &Request, candidates: &[usize]) -> Vec<usize> {
        match request.dependency.as_capability() {
            Some(wanted) if !request.replacements.is_empty() => {
                self.sorted([candidates, &request.replacements].concat(), wanted)
            }
            _ => candidates.to_vec(),
        }
    }

    /// Calls a function with the position of each candidate that provides a capability, with some more than once.
    /// `name` is the number of the capability's name.
    fn each(&self, wanted: &Capability, name: Option<usize>, mut take: impl FnMut(usize)) {
        let listed = name.map_or(&[] as &[_], |name| &self.index.by_name[name].providers);
        for &(position, place) in listed {
            if self.is_candidate(position) && self.package(position).provides[place].satisfies(wanted) {
                take(position);
            }
        }
        // A file has no version.
        if wanted.name.starts_with('/') && wanted.version.is_none() {
            let mut files = self.index.files.borrow_mut();
            let with_file = files
                .with_path(&usr_merged(&wanted.name), &self.index.packages)
                .iter()
                .copied();
            with_file.filter(|position| self.is_candidate(*position)).for_each(take);
        }
    }

    /// Returns the position of the only candidate that provides a capability; none when there are several, or none.
    fn only(&self, wanted: &Capability, name: Option<usize>) -> Option<usize> {
        let (mut found, mut is_only) = (None, true);
        self.each(wanted, name, |position| {
            is_only &= found.is_none_or(|known| known == position);
            found = Some(position);
        });
        found.filter(|_| is_only)
    }

    /// Returns the only candidate for a request; none for expressions, and where packages replace others.
    fn only_requested(&self, request: &Request) -> Option<usize> {
        let wanted = request.dependency.as_capability()?;
        let name = self.index.names.get(&wanted.name).copied();
        self.only(wanted, name).filter(|_| request.replacements.is_empty())
    }

    /// Returns the set that fulfils the requests where nothing is to be chosen: every requirement is a capability with
    /// one provider, and no package excludes or replaces another. A distribution's own packages are nearly always so,
    /// and thousands of them are resolved at each start; all other requests are left to the solver.
    pub(crate) fn only_solution(&self, requests: &[Request]) -> Option<BTreeSet<usize>> {
        let mut chosen = BTreeSet::new();
        let mut looked_up = vec![false; self.index.required.len()];
        // Of two packages of one name, only one can be installed.
        let mut has_name = vec![false; self.index.by_name.len()];
        let requested = requests.iter().map(|request| self.only_requested(request));
        let mut rest: Vec<usize> = requested.collect::<Option<_>>()?;
        while let Some(position) = rest.pop() {
            if !chosen.insert(position) {
                continue;
            }
            if std::mem::replace(&mut has_name[self.index.own_names[position]], true) {
                return None;
            }
            for &number in &self.index.requires[position] {
                if !std::mem::replace(&mut looked_up[number], true) {
                    let (wanted, name) = &self.index.required[number];
                    rest.push(self.only(wanted.as_capability()?, *name)?);
                }
            }
        }
        (!chosen.iter().any(|position| self.excludes(*position, &chosen))).then_some(chosen)
    }

    /// Returns `true` if a package excludes one of the chosen ones. Expressions count as such: the solver looks at them.
    fn excludes(&self, position: usize, chosen: &BTreeSet<usize>) -> bool {
        let conflicts = |excluded: &Dependency| match excluded.as_capability() {
            Some(excluded) => {
                let hit = self.of_capability(excluded).into_iter();
                hit.filter(|hit| *hit != position).any(|hit| chosen.contains(&hit))
            }
            None => true,
        };
        self.package(position).conflicts.iter().any(conflicts)
            || self.obsoleted_by(position).iter().any(|hit| chosen.contains(hit))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn package(name: &str, provides: &[String], requires: &[String], conflicts: &[String]) -> Package {
        let package = serde_json::json!({
            "name": name, "version": "1", "release": "1", "arch": "noarch", "license": "MIT", "summary": "",
            "source": "", "size": 0, "files": [],
            "provides": provides, "requires": requires, "conflicts": conflicts,
        });
        serde_json::from_value(package).expect("a package")
    }

    /// Generates packages `p0`, `p1`, ... with one capability of several each, which any of them may require or
    /// conflict with.
    fn packages() -> impl Strategy<Value = Vec<Package>> {
        let capabilities = |least, most| prop::collection::vec(0..12_usize, least..most);
        let one = (0..12_usize, capabilities(0, 4), capabilities(0, 2), 0..4_usize);
        prop::collection::vec(one, 1..10).prop_map(|packages| {
            let names = |numbers: Vec<usize>| {
                numbers
                    .into_iter()
                    .map(|number| format!("c{number}"))
                    .collect::<Vec<_>>()
            };
            let made = packages
                .into_iter()
                .enumerate()
                .map(|(index, (provided, required, excluded, named))| {
                    // Some share a name, as versions of one package do.
                    let name = format!("p{}", index - index.min(usize::from(named == 0)));
                    let provided = [name.clone(), format!("c{provided}")];
                    Package {
                        version: index.to_string(),
                        ..package(&name, &provided, &names(required), &names(excluded))
                    }
                });
            made.collect()
        })
    }

    fn providers(index: &PackageIndex<Package>) -> Providers<'_, Package> {
        index.providers(&|_| true)
    }

    fn request(name: &str) -> Request {
        Dependency::any(name).into()
    }

    proptest! {
        /// Without a choice, the traversal and the solver come to the same set.
        #[test]
        fn the_only_solution_is_the_solvers(packages in packages(), first in 0..10_usize) {
            let requests = vec![request(&packages[first % packages.len()].name)];
            let index: PackageIndex<Package> = packages.into_iter().collect();
            if let Some(only) = providers(&index).only_solution(&requests) {
                let solved = solve::solve(&requests, &providers(&index)).expect("there is a set");
                prop_assert_eq!(only, solved);
            }
        }

        /// Solutions in a part of the index equal those in an index of that part; the order of addition does not
        /// matter.
        #[test]
        fn a_part_of_the_index_is_an_index_of_the_part(packages in packages(), first in 0..10_usize, without in 0..10_usize) {
            let requests = vec![packages[first % packages.len()].name.clone()];
            let left_out = format!("p{without}");
            let part = packages.iter().rev().filter(|package| package.name != left_out);
            let part: PackageIndex<&Package> = part.collect();
            let whole: PackageIndex<&Package> = packages.iter().collect();
            let text = |solution: Result<Vec<&&Package>, SolveError>| {
                let names = |packages: Vec<&&Package>| packages.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
                solution.map(names).map_err(|_| ())
            };
            prop_assert_eq!(
                text(whole.install(&requests, |package| package.name != left_out)),
                text(part.install(&requests, |_| true))
            );
        }
    }

    #[test]
    fn choices_and_exclusions_are_left_to_the_solver() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let index: PackageIndex<Package> = [
            package("a", &words(&["a"]), &words(&["c"]), &[]),
            package("b", &words(&["b", "c"]), &[], &words(&["e"])),
            package("d", &words(&["d", "c"]), &[], &[]),
            package("e", &words(&["e"]), &words(&["b"]), &[]),
        ]
        .into_iter()
        .collect();
        let only = |name: &str| providers(&index).only_solution(&[request(name)]);
        assert!(only("a").is_none(), "b or d");
        assert_eq!(only("b"), Some(BTreeSet::from([1])));
        assert!(only("e").is_none(), "b excludes it");
        assert!(only("x").is_none(), "there is none");
    }
}
