//! Dependency solving: the set of packages that fulfils requests.
//!
//! Every package is a variable, true when it is installed; dependencies become clauses (module `formula`) once a package
//! that has them is chosen, and module `sat` draws the conclusions. This module decides, by the policy that
//! docs/decisions/0016 states:
//!
//! 1. Only what is required is installed. Requirements are looked at breadth first, from the requests.
//! 2. A requirement whose providers have one name gets the newest version that the others allow.
//! 3. When only requirements with providers of several names are left, the first one gets the first provider in the
//!    order of [`PackageIndex::solve`](crate::PackageIndex::solve).
//! 4. A package that the result does not need is taken out again: no subset of a solution is a solution.
//!
//! A decision is given up only when it contradicts the clauses and the decisions before it. So the result does not depend
//! on the way of the search.

mod contradiction;
mod explain;
mod formula;
mod reason;
mod sat;

use std::collections::{BTreeSet, HashMap};

pub use explain::{Missing, SolveError};
use formula::{DependencyClause, TooComplex, clauses, clauses_against};
pub(crate) use reason::{Reason, Request};
use sat::{ClauseId, Literal, Sat, Unsatisfiable};

use crate::index::Providers;
use crate::{Dependency, Package};

/// Variable that stands for the requests: it is true, and its dependencies are the requests.
const ROOT: usize = 0;

/// Returns the positions of the packages that fulfil the requests.
pub(crate) fn solve<P: AsRef<Package>>(
    requests: &[Request],
    providers: &Providers<'_, P>,
) -> Result<BTreeSet<usize>, SolveError> {
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
    solution: Vec<usize>,
    requests: &[Request],
    providers: &Providers<'_, P>,
) -> BTreeSet<usize> {
    let mut left: BTreeSet<usize> = solution.iter().copied().collect();
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
    set: &BTreeSet<usize>,
    requests: &[Request],
    providers: &Providers<'_, P>,
) -> BTreeSet<usize> {
    let mut search = Search::new(requests, providers, Some(set));
    match search.conclude() {
        Ok(()) => search.forced_and_chosen().into_iter().collect(),
        Err(_) => BTreeSet::new(),
    }
}

/// End of a search without a solution.
enum Failure {
    Unsatisfiable(Unsatisfiable),
    TooComplex(Dependency),
}

impl From<Unsatisfiable> for Failure {
    fn from(error: Unsatisfiable) -> Self {
        Self::Unsatisfiable(error)
    }
}

/// Clause that is to be fulfilled by a decision.
struct Requirement {
    /// Variables that must all be true for the clause to count.
    conditions: Vec<usize>,
    /// Variables of which one has to be true, the preferred one first.
    candidates: Vec<usize>,
}

struct Search<'a, P> {
    providers: &'a Providers<'a, P>,
    requests: &'a [Request],
    /// Packages that may be installed; none means all.
    within: Option<&'a BTreeSet<usize>>,
    sat: Sat,
    /// Variables by positions of packages, and positions by variables; the variable [`ROOT`] has none.
    variables: HashMap<usize, usize>,
    positions: Vec<usize>,
    /// For each variable with known clauses, its requirements.
    requirements: Vec<Option<Vec<Requirement>>>,
    /// Reasons of the clauses.
    reasons: Vec<Reason>,
}

impl<'a, P: AsRef<Package>> Search<'a, P> {
    fn new(requests: &'a [Request], providers: &'a Providers<'a, P>, within: Option<&'a BTreeSet<usize>>) -> Self {
        let mut search = Self {
            providers,
            requests,
            within,
            sat: Sat::default(),
            variables: HashMap::new(),
            positions: Vec::new(),
            requirements: Vec::new(),
            reasons: Vec::new(),
        };
        search.add_variable(usize::MAX);
        search
    }

    fn add_variable(&mut self, position: usize) -> usize {
        self.positions.push(position);
        self.requirements.push(None);
        self.sat.variable()
    }

    fn variable(&mut self, position: usize) -> usize {
        if let Some(known) = self.variables.get(&position) {
            return *known;
        }
        let variable = self.add_variable(position);
        self.variables.insert(position, variable);
        variable
    }

    /// Returns the positions of the installed packages, in the order in which they became so.
    fn forced_and_chosen(&self) -> Vec<usize> {
        let truths = self.sat.truths().filter(|variable| *variable != ROOT);
        truths.map(|variable| self.positions[variable]).collect()
    }

    fn run(&mut self) -> Result<(), Failure> {
        self.conclude()?;
        while let Some(variable) = self.decision() {
            self.sat.decide(variable);
            self.conclude()?;
        }
        Ok(())
    }

    /// Adds the clauses of the packages that became true, and draws the conclusions, until there are none.
    fn conclude(&mut self) -> Result<(), Failure> {
        if self.requirements[ROOT].is_none() {
            self.add(vec![Literal::is(ROOT)], Reason::Root);
        }
        loop {
            self.sat.propagate()?;
            let is_new = |variable: &usize| self.requirements[*variable].is_none();
            let new: Vec<usize> = self.sat.truths().filter(is_new).collect();
            if new.is_empty() {
                return Ok(());
            }
            for variable in new {
                self.expand(variable)?;
            }
        }
    }

    fn add(&mut self, literals: Vec<Literal>, reason: Reason) -> ClauseId {
        self.reasons.push(reason);
        self.sat.add(literals)
    }

    /// Adds the clauses of a package, or of the requests.
    fn expand(&mut self, variable: usize) -> Result<(), Failure> {
        self.requirements[variable] = Some(Vec::new());
        if variable == ROOT {
            return self.expand_requests();
        }
        let position = self.positions[variable];
        let package = self.providers.package(position);
        for (index, required) in package.requires.iter().enumerate() {
            let clauses = clauses(required, self.providers).map_err(too_complex(required))?;
            for clause in clauses {
                self.require(variable, clause, Reason::Requires(position, index));
            }
        }
        for (index, excluded) in package.conflicts.iter().enumerate() {
            let clauses = clauses_against(excluded, self.providers).map_err(too_complex(excluded))?;
            // A package does not conflict with itself alone.
            let is_own = |clause: &DependencyClause| {
                let mut absent = clause.absent.iter();
                clause.candidates.is_empty() && !clause.absent.is_empty() && absent.all(|other| *other == position)
            };
            for clause in clauses.into_iter().filter(|clause| !is_own(clause)) {
                self.require(variable, clause, Reason::Conflicts(position, index));
            }
        }
        for other in self.providers.obsoleted_by(position) {
            self.exclude(variable, other, Reason::Obsoletes(position, other));
        }
        for other in self.providers.namesakes(position) {
            self.exclude(variable, other, Reason::SameName(position, other));
        }
        Ok(())
    }

    fn expand_requests(&mut self) -> Result<(), Failure> {
        for (index, request) in self.requests.iter().enumerate() {
            let dependency = &request.dependency;
            let mut clauses = clauses(dependency, self.providers).map_err(too_complex(dependency))?;
            if let [clause] = clauses.as_mut_slice() {
                clause.candidates = self.providers.with_replacements(request, &clause.candidates);
            }
            for clause in clauses {
                self.require(ROOT, clause, Reason::Request(index));
            }
        }
        Ok(())
    }

    fn exclude(&mut self, variable: usize, other: usize, reason: Reason) {
        let clause = DependencyClause {
            candidates: Vec::new(),
            absent: vec![other],
        };
        self.require(variable, clause, reason);
    }

    /// Adds a clause that counts when a variable is true.
    fn require(&mut self, variable: usize, clause: DependencyClause, reason: Reason) {
        let position = self.positions[variable];
        let is_allowed = |package: &usize| self.within.is_none_or(|within| within.contains(package));
        if clause.candidates.contains(&position) || !clause.absent.iter().all(is_allowed) {
            return;
        }
        let candidates: Vec<usize> = clause.candidates.into_iter().filter(is_allowed).collect();
        let candidates = self.providers.newest_first(candidates);
        let candidates: Vec<usize> = candidates.into_iter().map(|package| self.variable(package)).collect();
        let absent = clause.absent.into_iter().map(|package| self.variable(package));
        let conditions: Vec<usize> = std::iter::once(variable).chain(absent.collect::<Vec<_>>()).collect();
        let literals = conditions.iter().map(|condition| Literal::not(*condition));
        let literals = literals.chain(candidates.iter().map(|candidate| Literal::is(*candidate)));
        let literals = literals.collect();
        self.add(literals, reason);
        if !candidates.is_empty()
            && let Some(requirements) = &mut self.requirements[variable]
        {
            requirements.push(Requirement { conditions, candidates });
        }
    }

    /// Returns the package to choose next; none when everything is fulfilled.
    fn decision(&self) -> Option<usize> {
        let mut choice = None;
        for variable in self.sat.truths() {
            for requirement in self.requirements[variable].iter().flatten() {
                let Some(open) = self.open(requirement) else { continue };
                let mut names = open.iter().map(|variable| self.name(*variable));
                let first = names.next();
                if names.all(|name| Some(name) == first) {
                    return open.first().copied();
                }
                choice = choice.or_else(|| open.first().copied());
            }
        }
        choice
    }

    /// Returns the candidates of a requirement that is not fulfilled; none if it is, or does not count.
    fn open(&self, requirement: &Requirement) -> Option<Vec<usize>> {
        let is_true = |variable: &usize| self.sat.value(*variable) == Some(true);
        if requirement.candidates.iter().any(is_true) || !requirement.conditions.iter().all(is_true) {
            return None;
        }
        let is_open = |variable: &usize| self.sat.value(*variable).is_none();
        Some(requirement.candidates.iter().copied().filter(is_open).collect())
    }

    fn name(&self, variable: usize) -> &'a str {
        self.providers.package(self.positions[variable]).name.as_str()
    }
}

fn too_complex(dependency: &Dependency) -> impl FnOnce(TooComplex) -> Failure + '_ {
    |TooComplex| Failure::TooComplex(dependency.clone())
}
