//! Dependency solving with resolvo, for requests with a choice and for those without a solution.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use resolvo::utils::{Pool, VersionSet};
use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider,
    HintDependenciesAvailable, Interner, KnownDependencies, NameId, Problem, Requirement, SolvableId, Solver,
    SolverCache, StringId, UnsolvableOrCancelled, VersionSetId, VersionSetUnionId,
};

use crate::index::Providers;
use crate::{SolveError, contradiction, explain};
use basalt_rpm::capability::compare;
use basalt_rpm::{Capability, Package};

/// Returns the positions of the packages that fulfil the requests.
pub(crate) fn solve<P: AsRef<Package>>(
    requests: &[Capability],
    providers: &Providers<'_, P>,
) -> Result<BTreeSet<usize>, SolveError> {
    let provider = SolverProvider::new(requests, providers);
    let requirements = requests.iter().map(|request| provider.requirement(request)).collect();
    let mut solver = Solver::new(provider);
    let problem = Problem::new().requirements(requirements);
    match solver.solve(problem) {
        Ok(chosen) => {
            let pool = &solver.provider().pool;
            let positions = chosen.into_iter().map(|id| pool.resolve_solvable(id).record.0);
            Ok(positions.collect())
        }
        Err(UnsolvableOrCancelled::Cancelled(_)) => Err(SolveError::Cancelled),
        Err(UnsolvableOrCancelled::Unsolvable(conflict)) => {
            let missing = explain::missing(requests, providers);
            if !missing.is_empty() {
                return Err(SolveError::Missing { missing });
            }
            let known = contradiction::contradiction(requests, providers);
            let explanation = known.unwrap_or_else(|| conflict.display_user_friendly(&solver).to_string());
            Err(SolveError::Conflict {
                explanation: explanation.trim_end().to_owned(),
            })
        }
    }
}

/// A package in the solver's pool: its position in the index, and its version.
struct Candidate(usize, String);

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

/// Packages of one name that fulfil a requirement, and the text of the requirement.
#[derive(Clone, PartialEq, Eq, Hash)]
struct ProviderSet {
    packages: Vec<usize>,
    text: String,
}

impl VersionSet for ProviderSet {
    type V = Candidate;
}

/// Provider of the packages that can be reached from the requests, in the solver's terms.
struct SolverProvider<'a, P> {
    pool: Pool<ProviderSet>,
    providers: &'a Providers<'a, P>,
    /// Packages that provide each capability required on the way, the preferred one first.
    provider_indexes: HashMap<&'a Capability, Vec<usize>>,
    by_name: BTreeMap<NameId, Vec<SolvableId>>,
}

impl<'a, P: AsRef<Package>> SolverProvider<'a, P> {
    /// Collects the packages that can be reached from the requests; no other can be part of a solution.
    fn new(requests: &'a [Capability], providers: &'a Providers<'a, P>) -> Self {
        let mut provider_indexes: HashMap<&Capability, Vec<usize>> = HashMap::new();
        let mut reachable = BTreeMap::new();
        let mut rest: Vec<&Capability> = requests.iter().collect();
        while let Some(wanted) = rest.pop() {
            if provider_indexes.contains_key(wanted) {
                continue;
            }
            let found = providers.of(wanted);
            for index in &found {
                let package = providers.package(*index);
                // By name first: the choice does not depend on the order in which packages were indexed.
                let is_new = reachable.insert((package.name.as_str(), package.evr(), *index), package);
                if is_new.is_none() {
                    rest.extend(&package.requires);
                }
            }
            provider_indexes.insert(wanted, found);
        }
        let pool = Pool::default();
        let mut by_name: BTreeMap<NameId, Vec<SolvableId>> = BTreeMap::new();
        for (name, evr, index) in reachable.into_keys() {
            let name = pool.intern_package_name(name);
            let id = pool.intern_solvable(name, Candidate(index, evr));
            by_name.entry(name).or_default().push(id);
        }
        Self {
            pool,
            providers,
            provider_indexes,
            by_name,
        }
    }

    /// Returns the positions of the packages that provide a capability required on the way.
    fn provider_indexes(&self, wanted: &Capability) -> &[usize] {
        self.provider_indexes.get(wanted).map_or(&[], Vec::as_slice)
    }

    fn requirement(&self, wanted: &Capability) -> ConditionalRequirement {
        let mut names: Vec<(NameId, Vec<usize>)> = Vec::new();
        for &index in self.provider_indexes(wanted) {
            let package = self.providers.package(index);
            let name = self.pool.intern_package_name(package.name.as_str());
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
            ProviderSet {
                packages,
                text: text.to_owned(),
            },
        )
    }

    /// Returns, for each package name that a conflict hits, the packages of that name that it does not hit.
    fn constraints(&self, index: usize) -> Vec<VersionSetId> {
        let package = self.providers.package(index);
        let mut sets = Vec::new();
        let excluded = package
            .conflicts
            .iter()
            .map(|capability| (capability, self.providers.of(capability)));
        // An Obsoletes matches packages by their own names only.
        let replaced = package.obsoletes.iter().map(|capability| {
            let mut hit = self.providers.of(capability);
            hit.retain(|&other| self.providers.package(other).name == capability.name);
            (capability, hit)
        });
        for (capability, mut hit) in excluded.chain(replaced) {
            hit.retain(|&other| other != index);
            let mut names: Vec<_> = hit
                .iter()
                .map(|&other| self.providers.package(other).name.as_str())
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

impl<P: AsRef<Package>> Interner for SolverProvider<'_, P> {
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

impl<P: AsRef<Package>> DependencyProvider for SolverProvider<'_, P> {
    async fn filter_candidates(&self, candidates: &[SolvableId], set: VersionSetId, inverse: bool) -> Vec<SolvableId> {
        let allowed = &self.pool.resolve_version_set(set).packages;
        let fits = |id: &SolvableId| {
            let index = self.pool.resolve_solvable(*id).record.0;
            allowed.contains(&index) != inverse
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
        let package = self.providers.package(index);
        let foreign = |capability: &&Capability| !self.provider_indexes(capability).contains(&index);
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
