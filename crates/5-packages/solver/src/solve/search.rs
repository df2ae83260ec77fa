//! Search: decisions among the candidates of open requirements, and the clauses of packages that become installed.

use std::collections::{BTreeSet, HashMap};

use basalt_rpm::{Dependency, Package};

use super::formula::{DependencyClause, TooComplex, clauses, clauses_against};
use super::reason::Reason;
use super::sat::{Sat, Unsatisfiable};
use crate::providers::Providers;
use crate::request::Request;
use crate::table::{ClauseId, Literal, Number as _, PackageNumber, Table, Variable};

/// Variable that stands for the requests: it is true, and its dependencies are the requests.
const ROOT: Variable = Variable::FIRST;

/// End of a search without a solution.
pub(super) enum Failure {
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
    conditions: Vec<Variable>,
    /// Variables of which one has to be true, the preferred one first.
    candidates: Vec<Variable>,
}

pub(super) struct Search<'a, P> {
    providers: &'a Providers<'a, P>,
    requests: &'a [Request],
    /// Packages that may be installed; none means all.
    within: Option<&'a BTreeSet<PackageNumber>>,
    sat: Sat,
    /// Variables by packages, and packages by variables; the variable [`ROOT`] has none.
    variables: HashMap<PackageNumber, Variable>,
    positions: Table<Variable, Option<PackageNumber>>,
    /// For each variable with known clauses, its requirements.
    requirements: Table<Variable, Option<Vec<Requirement>>>,
    /// Reasons of the clauses.
    pub(super) reasons: Table<ClauseId, Reason>,
}

impl<'a, P: AsRef<Package>> Search<'a, P> {
    pub(super) fn new(
        requests: &'a [Request],
        providers: &'a Providers<'a, P>,
        within: Option<&'a BTreeSet<PackageNumber>>,
    ) -> Self {
        let mut search = Self {
            providers,
            requests,
            within,
            sat: Sat::default(),
            variables: HashMap::new(),
            positions: Table::default(),
            requirements: Table::default(),
            reasons: Table::default(),
        };
        search.add_variable(None);
        search
    }

    fn add_variable(&mut self, position: Option<PackageNumber>) -> Variable {
        self.positions.push(position);
        self.requirements.push(None);
        self.sat.variable()
    }

    fn variable(&mut self, position: PackageNumber) -> Variable {
        if let Some(known) = self.variables.get(&position) {
            return *known;
        }
        let variable = self.add_variable(Some(position));
        self.variables.insert(position, variable);
        variable
    }

    /// Returns the installed packages, in the order in which they became so.
    pub(super) fn forced_and_chosen(&self) -> Vec<PackageNumber> {
        self.sat
            .truths()
            .filter_map(|variable| self.positions[variable])
            .collect()
    }

    pub(super) fn run(&mut self) -> Result<(), Failure> {
        self.conclude()?;
        while let Some(variable) = self.decision() {
            self.sat.decide(variable);
            self.conclude()?;
        }
        Ok(())
    }

    /// Adds the clauses of the packages that became true, and draws the conclusions, until there are none.
    pub(super) fn conclude(&mut self) -> Result<(), Failure> {
        if self.requirements[ROOT].is_none() {
            self.add(vec![Literal::is(ROOT)], Reason::Root);
        }
        loop {
            self.sat.propagate()?;
            let is_new = |variable: &Variable| self.requirements[*variable].is_none();
            let new: Vec<Variable> = self.sat.truths().filter(is_new).collect();
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
    fn expand(&mut self, variable: Variable) -> Result<(), Failure> {
        self.requirements[variable] = Some(Vec::new());
        let Some(position) = self.positions[variable] else {
            return self.expand_requests();
        };
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

    fn exclude(&mut self, variable: Variable, other: PackageNumber, reason: Reason) {
        let clause = DependencyClause {
            candidates: Vec::new(),
            absent: vec![other],
        };
        self.require(variable, clause, reason);
    }

    /// Adds a clause that counts when a variable is true.
    fn require(&mut self, variable: Variable, clause: DependencyClause, reason: Reason) {
        let position = self.positions[variable];
        let is_allowed = |package: &PackageNumber| self.within.is_none_or(|within| within.contains(package));
        let is_candidate = position.is_some_and(|own| clause.candidates.contains(&own));
        if is_candidate || !clause.absent.iter().all(is_allowed) {
            return;
        }
        let candidates: Vec<PackageNumber> = clause.candidates.into_iter().filter(is_allowed).collect();
        let candidates = self.providers.newest_first(candidates);
        let candidates: Vec<Variable> = candidates.into_iter().map(|package| self.variable(package)).collect();
        let absent = clause.absent.into_iter().map(|package| self.variable(package));
        let conditions: Vec<Variable> = std::iter::once(variable).chain(absent.collect::<Vec<_>>()).collect();
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
    fn decision(&self) -> Option<Variable> {
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
    fn open(&self, requirement: &Requirement) -> Option<Vec<Variable>> {
        let is_true = |variable: &Variable| self.sat.value(*variable) == Some(true);
        if requirement.candidates.iter().any(is_true) || !requirement.conditions.iter().all(is_true) {
            return None;
        }
        let is_open = |variable: &Variable| self.sat.value(*variable).is_none();
        Some(requirement.candidates.iter().copied().filter(is_open).collect())
    }

    fn name(&self, variable: Variable) -> &'a str {
        self.positions[variable].map_or("", |package| self.providers.package(package).name.as_str())
    }
}

fn too_complex(dependency: &Dependency) -> impl FnOnce(TooComplex) -> Failure + '_ {
    |TooComplex| Failure::TooComplex(dependency.clone())
}
