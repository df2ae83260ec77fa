//! Which packages fulfil a list of requests.

use std::collections::BTreeMap;
use std::fmt;

use resolvo::utils::{Pool, VersionSet};
use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider,
    HintDependenciesAvailable, Interner, KnownDependencies, NameId, Problem, Requirement, SolvableId, Solver,
    SolverCache, StringId, UnsolvableOrCancelled, VersionSetId, VersionSetUnionId,
};

use crate::capability::{compare, usr_merged};
use crate::{Capability, Package, SolveError, contradiction, explain};

/// The packages that fulfil the requests and all that they require, sorted by name.
///
/// A request is the name of a package, a capability (`libz.so.1()(64bit)`), the path of a file, or one of these with a
/// version (`zlib >= 1.3`). Where several packages would do, the one that has the required name itself comes first,
/// then the newest, then the first by name; the order of `available` does not matter.
///
/// # Errors
/// When something is required that nothing provides, or when packages exclude each other.
pub fn solve<'a>(requests: &[String], available: &'a [Package]) -> Result<Vec<&'a Package>, SolveError> {
    let requests: Vec<Capability> = requests.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let universe = Universe::new(available);
    let requirements = requests.iter().map(|request| universe.requirement(request)).collect();
    let mut solver = Solver::new(universe);
    let problem = Problem::new().requirements(requirements);
    let chosen = match solver.solve(problem) {
        Ok(chosen) => chosen,
        Err(UnsolvableOrCancelled::Cancelled(_)) => Vec::new(),
        Err(UnsolvableOrCancelled::Unsolvable(conflict)) => {
            let missing = explain::missing(&requests, &solver.provider().providers);
            if !missing.is_empty() {
                return Err(SolveError::Missing { missing });
            }
            let known = contradiction::contradiction(&requests, &solver.provider().providers);
            let explanation = known.unwrap_or_else(|| conflict.display_user_friendly(&solver).to_string());
            return Err(SolveError::Conflict {
                explanation: explanation.trim_end().to_owned(),
            });
        }
    };
    let universe = solver.provider();
    let mut packages: Vec<&Package> = chosen
        .into_iter()
        .map(|id| &available[universe.pool.resolve_solvable(id).record.0])
        .collect();
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(packages)
}

/// Who provides what.
pub(crate) struct Providers<'a> {
    pub(crate) packages: &'a [Package],
    by_name: BTreeMap<String, Vec<usize>>,
}

impl<'a> Providers<'a> {
    fn new(packages: &'a [Package]) -> Self {
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut add = |name: String, index| {
            let list = by_name.entry(name).or_default();
            if list.last() != Some(&index) {
                list.push(index);
            }
        };
        for (index, package) in packages.iter().enumerate() {
            for capability in &package.provides {
                add(capability.name.clone(), index);
            }
            for file in &package.files {
                add(usr_merged(file), index);
            }
        }
        Self { packages, by_name }
    }

    /// The packages that provide something, the best first.
    pub(crate) fn of(&self, wanted: &Capability) -> Vec<usize> {
        let is_path = wanted.name.starts_with('/');
        let key = if is_path {
            usr_merged(&wanted.name)
        } else {
            wanted.name.clone()
        };
        let fits = |&index: &usize| {
            let mut provides = self.packages[index].provides.iter();
            is_path || provides.any(|capability| capability.satisfies(wanted))
        };
        let listed = self.by_name.get(&key).into_iter().flatten().copied();
        let mut found: Vec<usize> = listed.filter(fits).collect();
        found.sort_by(|&one, &other| {
            let (one, other) = (&self.packages[one], &self.packages[other]);
            let namesake = |package: &Package| package.name == wanted.name;
            namesake(other)
                .cmp(&namesake(one))
                .then_with(|| one.name.cmp(&other.name))
                .then_with(|| compare(&other.evr(), &one.evr()))
        });
        found.dedup();
        found
    }
}

/// A package in the solver's pool: its place in the list, and its version.
struct Candidate(usize, String);

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

/// Those packages of one name that fulfil a requirement, and how the requirement reads.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Fitting {
    packages: Vec<usize>,
    text: String,
}

impl VersionSet for Fitting {
    type V = Candidate;
}

/// Everything that is available, in the solver's terms.
struct Universe<'a> {
    pool: Pool<Fitting>,
    providers: Providers<'a>,
    by_name: BTreeMap<NameId, Vec<SolvableId>>,
}

impl<'a> Universe<'a> {
    fn new(packages: &'a [Package]) -> Self {
        let pool = Pool::default();
        let mut by_name: BTreeMap<NameId, Vec<SolvableId>> = BTreeMap::new();
        for (index, package) in packages.iter().enumerate() {
            let name = pool.intern_package_name(package.name.as_str());
            let id = pool.intern_solvable(name, Candidate(index, package.evr()));
            by_name.entry(name).or_default().push(id);
        }
        Self {
            pool,
            providers: Providers::new(packages),
            by_name,
        }
    }

    fn requirement(&self, wanted: &Capability) -> ConditionalRequirement {
        let mut names: Vec<(NameId, Vec<usize>)> = Vec::new();
        for index in self.providers.of(wanted) {
            let name = self
                .pool
                .intern_package_name(self.providers.packages[index].name.as_str());
            match names.iter_mut().find(|(known, _)| *known == name) {
                Some((_, packages)) => packages.push(index),
                None => names.push((name, vec![index])),
            }
        }
        if names.is_empty() {
            // A name that no package has: the solver finds no candidates for it.
            names.push((self.pool.intern_package_name(wanted.to_string()), Vec::new()));
        }
        let sets: Vec<_> = names
            .into_iter()
            .map(|(name, packages)| self.set(name, packages, &wanted.to_string()))
            .collect();
        let requirement = match sets.as_slice() {
            [one] => Requirement::Single(*one),
            [first, others @ ..] => {
                Requirement::Union(self.pool.intern_version_set_union(*first, others.iter().copied()))
            }
            [] => unreachable!("there is one name at least"),
        };
        ConditionalRequirement {
            condition: None,
            requirement,
        }
    }

    fn set(&self, name: NameId, packages: Vec<usize>, text: &str) -> VersionSetId {
        self.pool.intern_version_set(
            name,
            Fitting {
                packages,
                text: text.to_owned(),
            },
        )
    }

    /// For each package name that a conflict hits: the packages of that name that it does not hit.
    fn constraints(&self, index: usize) -> Vec<VersionSetId> {
        let package = &self.providers.packages[index];
        let mut sets = Vec::new();
        let excluded = package
            .conflicts
            .iter()
            .map(|capability| (capability, self.providers.of(capability)));
        // An Obsoletes means packages by their own names only.
        let replaced = package.obsoletes.iter().map(|capability| {
            let mut hit = self.providers.of(capability);
            hit.retain(|&other| self.providers.packages[other].name == capability.name);
            (capability, hit)
        });
        for (capability, mut hit) in excluded.chain(replaced) {
            hit.retain(|&other| other != index);
            let mut names: Vec<_> = hit
                .iter()
                .map(|&other| self.providers.packages[other].name.as_str())
                .collect();
            names.dedup();
            for name in names {
                let id = self.pool.intern_package_name(name);
                let all = self.by_name.get(&id).into_iter().flatten();
                let allowed = all.map(|solvable| self.pool.resolve_solvable(*solvable).record.0);
                let allowed = allowed.filter(|other| !hit.contains(other)).collect();
                sets.push(self.set(id, allowed, &format!("not {capability}")));
            }
        }
        sets
    }
}

impl Interner for Universe<'_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl fmt::Display + '_ {
        let solvable = self.pool.resolve_solvable(solvable);
        format!("{}-{}", self.pool.resolve_package_name(solvable.name), solvable.record)
    }

    fn display_merged_solvables(&self, solvables: &[SolvableId]) -> impl fmt::Display + '_ {
        let mut texts: Vec<_> = solvables
            .iter()
            .map(|id| self.display_solvable(*id).to_string())
            .collect();
        texts.sort();
        texts.join(" | ")
    }

    fn display_name(&self, name: NameId) -> impl fmt::Display + '_ {
        self.pool.resolve_package_name(name).clone()
    }

    fn display_version_set(&self, version_set: VersionSetId) -> impl fmt::Display + '_ {
        let text = &self.pool.resolve_version_set(version_set).text;
        format!("(for {text})")
    }

    fn display_string(&self, string_id: StringId) -> impl fmt::Display + '_ {
        self.pool.resolve_string(string_id).to_owned()
    }

    fn version_set_name(&self, version_set: VersionSetId) -> NameId {
        self.pool.resolve_version_set_package_name(version_set)
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        self.pool.resolve_solvable(solvable).name
    }

    fn version_sets_in_union(&self, union: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        self.pool.resolve_version_set_union(union)
    }

    fn resolve_condition(&self, condition: ConditionId) -> Condition {
        self.pool.resolve_condition(condition).clone()
    }
}

impl DependencyProvider for Universe<'_> {
    async fn filter_candidates(&self, candidates: &[SolvableId], set: VersionSetId, inverse: bool) -> Vec<SolvableId> {
        let fitting = &self.pool.resolve_version_set(set).packages;
        let fits = |id: &SolvableId| {
            let index = self.pool.resolve_solvable(*id).record.0;
            fitting.contains(&index) != inverse
        };
        candidates.iter().copied().filter(fits).collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        Some(Candidates {
            candidates: self.by_name.get(&name).cloned().unwrap_or_default(),
            hint_dependencies_available: HintDependenciesAvailable::All,
            ..Candidates::default()
        })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, solvables: &mut [SolvableId]) {
        solvables.sort_by(|one, other| {
            let evr = |id: &SolvableId| self.pool.resolve_solvable(*id).record.1.clone();
            compare(&evr(other), &evr(one)).then_with(|| one.cmp(other))
        });
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        let index = self.pool.resolve_solvable(solvable).record.0;
        let package = &self.providers.packages[index];
        let foreign = |capability: &&Capability| !self.providers.of(capability).contains(&index);
        Dependencies::Known(KnownDependencies {
            requirements: package
                .requires
                .iter()
                .filter(foreign)
                .map(|it| self.requirement(it))
                .collect(),
            constrains: self.constraints(index),
        })
    }
}
