//! Dependency solving: the set of packages that fulfils requests.
//!
//! Every package is a variable, true when it is installed; dependencies become clauses (module `formula`) once a package
//! that has them is chosen, and module `sat` draws the conclusions. Module `search` decides, by the policy that
//! docs/decisions/0018 states:
//!
//! 1. Only what is required is installed. Requirements are looked at breadth first, from the requests.
//! 2. A requirement whose providers have one name gets the newest version that the others allow.
//! 3. When only requirements with providers of several names are left, the first one gets the first provider in the
//!    order of [`PackageIndex::solve`].
//! 4. A package that the result does not need is taken out again: no subset of a solution is a solution.
//!
//! A decision is given up only when it contradicts the clauses and the decisions before it. So the result does not depend
//! on the way of the search.

mod contradiction;
mod explain;
mod formula;
mod reason;
mod sat;
mod search;

use std::collections::BTreeSet;

use basalt_rpm::{Dependency, Package};

pub use explain::{Missing, SolveError};
use sat::Unsatisfiable;
use search::{Failure, Search};

use crate::index::PackageIndex;
use crate::providers::Providers;
use crate::request::Request;
use crate::table::PackageNumber;

impl<P: AsRef<Package>> PackageIndex<P> {
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
        self.solve_requests(&requests.collect::<Vec<_>>(), &Providers::new(self, &among))
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
        let providers = Providers::new(self, &among);
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
            None => solution(requests, providers)?,
        };
        let mut chosen: Vec<&P> = chosen.into_iter().map(|position| &self.packages[position]).collect();
        chosen.sort_by(|one, other| one.as_ref().name.cmp(&other.as_ref().name));
        Ok(chosen)
    }
}

/// Returns the positions of the packages that fulfil the requests.
fn solution<P: AsRef<Package>>(
    requests: &[Request],
    providers: &Providers<'_, P>,
) -> Result<BTreeSet<PackageNumber>, SolveError> {
    let mut search = Search::new(requests, providers, None);
    match search.run() {
        Ok(()) => Ok(minimal(search.forced_and_chosen(), requests, providers)),
        Err(Failure::Unsatisfiable(Unsatisfiable(core))) => {
            let reasons = core.iter().map(|id| search.reasons[*id]).collect();
            Err(explain::failure(requests, &reasons, providers))
        }
        Err(Failure::TooComplex(dependency)) => Err(SolveError::TooComplex { dependency }),
    }
}

/// Takes packages out of a solution, the last chosen one first, as long as what is left is a solution.
fn minimal<P: AsRef<Package>>(
    solution: Vec<PackageNumber>,
    requests: &[Request],
    providers: &Providers<'_, P>,
) -> BTreeSet<PackageNumber> {
    let mut left: BTreeSet<PackageNumber> = solution.iter().copied().collect();
    let mut needed = needed_within(&left, requests, providers);
    for package in solution.into_iter().rev() {
        if !left.contains(&package) || needed.contains(&package) {
            continue;
        }
        let mut without = left.clone();
        without.remove(&package);
        let mut search = Search::new(requests, providers, Some(&without));
        if search.run().is_ok() {
            left = search.forced_and_chosen().into_iter().collect();
            needed = needed_within(&left, requests, providers);
        }
    }
    left
}

/// Returns the packages that every solution within a set has, as far as unit propagation shows.
fn needed_within<P: AsRef<Package>>(
    set: &BTreeSet<PackageNumber>,
    requests: &[Request],
    providers: &Providers<'_, P>,
) -> BTreeSet<PackageNumber> {
    let mut search = Search::new(requests, providers, Some(set));
    match search.conclude() {
        Ok(()) => search.forced_and_chosen().into_iter().collect(),
        Err(_) => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::table::Number as _;

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
        Providers::new(index, &|_| true)
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
                let solved = solution(&requests, &providers(&index)).expect("there is a set");
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

    proptest! {
        /// An index that grows and has answered other requests, by name and by path, answers as a new one does.
        #[test]
        fn an_index_that_is_kept_answers_as_a_new_one(
            packages in packages(),
            requests in prop::collection::vec((any::<bool>(), 0..12_usize), 1..6),
        ) {
            let packages: Vec<Package> = packages
                .into_iter()
                .enumerate()
                .map(|(number, package)| Package {
                    files: vec![format!("/usr/bin/f{}", number % 4), "/usr/share/all".to_owned()],
                    requires: package.requires.into_iter().chain([Dependency::any(format!("/bin/f{}", number / 3))]).collect(),
                    ..package
                })
                .collect();
            let names = |index: &PackageIndex<Package>, request: &str| {
                let solution = index.install(&[request.to_owned()], |_| true);
                solution.map(|packages| packages.into_iter().map(Package::nevra).collect::<Vec<_>>()).map_err(|error| error.to_string())
            };
            let mut kept: PackageIndex<Package> = PackageIndex::default();
            for (number, package) in packages.iter().enumerate() {
                kept.add(package.clone());
                let fresh: PackageIndex<Package> = packages.iter().take(number + 1).cloned().collect();
                for (is_path, request) in &requests {
                    let request = if *is_path { format!("/usr/bin/f{}", request % 5) } else { format!("p{request}") };
                    prop_assert_eq!(names(&kept, &request), names(&fresh, &request));
                }
            }
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
        assert_eq!(only("b"), Some(BTreeSet::from([PackageNumber::of(1)])));
        assert!(only("e").is_none(), "b excludes it");
        assert!(only("x").is_none(), "there is none");
    }
}
