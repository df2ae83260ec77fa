//! Index of provided capabilities, for solving many requests among the same packages.
//!
//! ```text
//! packages --add--> PackageIndex
//! requests + PackageIndex --solve--> without a choice: traversal of the requirements
//!                                --> with a choice, or without a solution: the solver (module solve)
//! ```

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use crate::{SolveError, solve};
use basalt_rpm::capability::{compare, usr_merged};
use basalt_rpm::{Capability, Package};

/// Packages indexed by the capabilities that they provide.
#[derive(Debug)]
pub struct PackageIndex<P> {
    packages: Vec<P>,
    /// Numbers of the names of capabilities, provided or required.
    names: HashMap<String, usize>,
    /// For each name: positions of packages, and the index of the capability in that package's `provides`.
    providers: Vec<Vec<(usize, usize)>>,
    /// Numbers of the capabilities that packages require.
    numbers: HashMap<Capability, usize>,
    /// Required capabilities by number, with the numbers of their names.
    required: Vec<(Capability, usize)>,
    /// For each package, the number of its name.
    own_names: Vec<usize>,
    /// For each package, the numbers of the capabilities that it requires.
    requires: Vec<Vec<usize>>,
    files: RefCell<FileIndex>,
}

/// Packages by the paths of their files; made at the first lookup of a path.
#[derive(Debug, Default)]
struct FileIndex {
    by_path: HashMap<String, Vec<usize>>,
    /// Number of packages whose files are indexed.
    indexed: usize,
}

impl<P> Default for PackageIndex<P> {
    fn default() -> Self {
        Self {
            packages: Vec::new(),
            names: HashMap::new(),
            providers: Vec::new(),
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
        for (place, capability) in package.as_ref().provides.iter().enumerate() {
            let name = self.name(&capability.name);
            self.providers[name].push((position, place));
        }
        let own_name = self.name(&package.as_ref().name);
        self.own_names.push(own_name);
        let requires = package
            .as_ref()
            .requires
            .iter()
            .map(|wanted| self.number(wanted))
            .collect();
        self.requires.push(requires);
        self.packages.push(package);
    }

    fn name(&mut self, name: &str) -> usize {
        if let Some(known) = self.names.get(name) {
            return *known;
        }
        self.names.insert(name.to_owned(), self.providers.len());
        self.providers.push(Vec::new());
        self.providers.len() - 1
    }

    fn number(&mut self, wanted: &Capability) -> usize {
        if let Some(known) = self.numbers.get(wanted) {
            return *known;
        }
        let name = self.name(&wanted.name);
        self.numbers.insert(wanted.clone(), self.required.len());
        self.required.push((wanted.clone(), name));
        self.required.len() - 1
    }

    /// Returns the packages that fulfil the requests, and all that they require, sorted by name. Only packages for
    /// which `among` holds are candidates.
    ///
    /// A request is the name of a package, a capability (`libz.so.1()(64bit)`), the path of a file, or one of these
    /// with a version (`zlib >= 1.3`). Of several providers, the one that has the required name itself is preferred,
    /// then the first by name; of several versions of one name, the newest. The order in which packages were added does
    /// not matter.
    ///
    /// # Errors
    /// When a required capability is provided by no package, or when packages exclude each other.
    pub fn solve(&self, requests: &[String], among: impl Fn(&P) -> bool) -> Result<Vec<&P>, SolveError> {
        let requests: Vec<Capability> = requests.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let providers = Providers {
            index: self,
            among: &among,
        };
        let chosen = match providers.only_solution(&requests) {
            Some(chosen) => chosen,
            None => solve::solve(&requests, &providers)?,
        };
        let mut chosen: Vec<&P> = chosen.into_iter().map(|position| &self.packages[position]).collect();
        chosen.sort_by(|one, other| one.as_ref().name.cmp(&other.as_ref().name));
        Ok(chosen)
    }

    fn with_file(&self, path: &str) -> Vec<usize> {
        let mut files = self.files.borrow_mut();
        let FileIndex { by_path, indexed } = &mut *files;
        for (position, package) in self.packages.iter().enumerate().skip(*indexed) {
            for file in &package.as_ref().files {
                by_path.entry(usr_merged(file)).or_default().push(position);
            }
        }
        *indexed = self.packages.len();
        by_path.get(path).cloned().unwrap_or_default()
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

    /// Returns the positions of the candidates that provide a capability, the preferred one first.
    pub(crate) fn of(&self, wanted: &Capability) -> Vec<usize> {
        let mut found = Vec::new();
        let name = self.index.names.get(&wanted.name).copied();
        self.each(wanted, name, |position| found.push(position));
        found.sort_unstable();
        found.dedup();
        found.sort_by(|&one, &other| {
            let (one, other) = (self.package(one), self.package(other));
            let namesake = |package: &Package| package.name == wanted.name;
            namesake(other)
                .cmp(&namesake(one))
                .then_with(|| one.name.cmp(&other.name))
                .then_with(|| compare(&other.evr(), &one.evr()))
        });
        found
    }

    /// Calls a function with the position of each candidate that provides a capability, with some more than once.
    /// `name` is the number of the capability's name.
    fn each(&self, wanted: &Capability, name: Option<usize>, mut take: impl FnMut(usize)) {
        let is_there = |position: usize| (self.among)(&self.index.packages[position]);
        let listed = name.map_or(&[] as &[_], |name| &self.index.providers[name]);
        for &(position, place) in listed {
            if is_there(position) && self.package(position).provides[place].satisfies(wanted) {
                take(position);
            }
        }
        if wanted.name.starts_with('/') {
            let with_file = self.index.with_file(&usr_merged(&wanted.name)).into_iter();
            with_file.filter(|position| is_there(*position)).for_each(take);
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

    /// Returns the set that fulfils the requests where nothing is to be chosen: every required capability has one
    /// provider, and no package excludes or replaces another. A distribution's own packages are nearly always so, and
    /// thousands of them are resolved at each start; all other requests are left to the solver.
    fn only_solution(&self, requests: &[Capability]) -> Option<BTreeSet<usize>> {
        let mut chosen = BTreeSet::new();
        let mut looked_up = vec![false; self.index.required.len()];
        // Of two packages of one name, only one can be installed.
        let mut has_name = vec![false; self.index.providers.len()];
        let asked = |request: &Capability| self.only(request, self.index.names.get(&request.name).copied());
        let mut rest: Vec<usize> = requests.iter().map(asked).collect::<Option<_>>()?;
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
                    rest.push(self.only(wanted, Some(*name))?);
                }
            }
        }
        let excludes = |position: &usize| {
            let package = self.package(*position);
            let excluded = package.conflicts.iter().chain(&package.obsoletes);
            excluded
                .flat_map(|wanted| self.of(wanted))
                .any(|hit| hit != *position && chosen.contains(&hit))
        };
        (!chosen.iter().any(excludes)).then_some(chosen)
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
        Providers {
            index,
            among: &|_| true,
        }
    }

    proptest! {
        /// Without a choice, the traversal and the solver come to the same set.
        #[test]
        fn the_only_solution_is_the_solvers(packages in packages(), first in 0..10_usize) {
            let requests = vec![Capability::any(packages[first % packages.len()].name.as_str())];
            let index: PackageIndex<Package> = packages.into_iter().collect();
            if let Some(only) = providers(&index).only_solution(&requests) {
                let solved = solve::solve(&requests, &providers(&index)).expect("there is a set");
                prop_assert_eq!(only, solved.into_iter().collect());
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
                text(whole.solve(&requests, |package| package.name != left_out)),
                text(part.solve(&requests, |_| true))
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
        let only = |name: &str| providers(&index).only_solution(&[Capability::any(name)]);
        assert!(only("a").is_none(), "b or d");
        assert_eq!(only("b"), Some(BTreeSet::from([1])));
        assert!(only("e").is_none(), "b excludes it");
        assert!(only("x").is_none(), "there is none");
    }
}
