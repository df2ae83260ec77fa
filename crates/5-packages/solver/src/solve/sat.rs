//! Boolean satisfiability: unit propagation, conflict analysis and backjumping, without any policy.
//!
//! Clauses may be added during the search (lazy clause generation), and the caller makes all decisions. There are neither
//! restarts nor an activity heuristic, as general SAT solvers have them: the order of decisions is the policy of dependency
//! solving, and only without them does a model have the decisions that the policy prefers. Every variable without a value
//! counts as false in the model.

use crate::table::{ClauseId, ClauseNumber, Literal, Number as _, Table, Variable};

impl Literal {
    /// Literal that holds when the variable is true.
    pub(crate) fn is(variable: Variable) -> Self {
        Self::of(variable.index() * 2)
    }

    /// Literal that holds when the variable is false.
    pub(crate) fn not(variable: Variable) -> Self {
        Self::of(variable.index() * 2 + 1)
    }

    fn variable(self) -> Variable {
        Variable::of(self.index() / 2)
    }

    fn negated(self) -> Self {
        Self::of(self.index() ^ 1)
    }

    fn is_negative(self) -> bool {
        self.index() % 2 == 1
    }
}

#[derive(Debug)]
struct Clause {
    /// Literals; the first two are watched.
    literals: Vec<Literal>,
    origin: Origin,
}

/// Derivation of a clause.
#[derive(Debug)]
enum Origin {
    Added(ClauseId),
    /// Clauses that this one was learned from.
    Learned(Vec<ClauseNumber>),
}

/// Value of a variable, and the reason of it.
#[derive(Debug, Clone, Copy)]
struct Assignment {
    value: bool,
    level: usize,
    /// Clause that implied the value; none for decisions.
    reason: Option<ClauseNumber>,
}

/// Clauses contradict each other: the ids of those that take part, in ascending order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unsatisfiable(pub(crate) Vec<ClauseId>);

/// State of a search.
#[derive(Debug, Default)]
pub(crate) struct Sat {
    clauses: Table<ClauseNumber, Clause>,
    added: usize,
    /// For each literal, the clauses that watch it.
    watches: Table<Literal, Vec<ClauseNumber>>,
    assignments: Table<Variable, Option<Assignment>>,
    /// Literals that hold, in the order in which they were assigned.
    trail: Vec<Literal>,
    /// Number of literals on the trail whose consequences are known.
    propagated: usize,
    /// Length of the trail at each decision.
    decisions: Vec<usize>,
    /// Clause without a literal that can hold, of those that were added since the last propagation.
    pending_conflict: Option<ClauseNumber>,
}

impl Sat {
    /// Adds a variable.
    pub(crate) fn variable(&mut self) -> Variable {
        self.watches.push(Vec::new());
        self.watches.push(Vec::new());
        self.assignments.push(None)
    }

    /// Returns the value of a variable, if it has one.
    pub(crate) fn value(&self, variable: Variable) -> Option<bool> {
        self.assignments[variable].map(|assignment| assignment.value)
    }

    /// Iterates over the variables that are true, in the order in which they became so.
    pub(crate) fn truths(&self) -> impl Iterator<Item = Variable> {
        let positive = self.trail.iter().filter(|literal| !literal.is_negative());
        positive.map(|literal| literal.variable())
    }

    /// Adds a clause: at least one of its literals holds. A clause that is added after the first decision must have a
    /// literal that became false at the current decision, or one that can hold.
    pub(crate) fn add(&mut self, mut literals: Vec<Literal>) -> ClauseId {
        literals.sort_unstable();
        literals.dedup();
        let id = ClauseId::of(self.added);
        self.added += 1;
        let is_tautology = literals
            .iter()
            .zip(literals.iter().skip(1))
            .any(|(one, next)| one.negated() == *next);
        if !is_tautology {
            self.insert(literals, Origin::Added(id));
        }
        id
    }

    fn holds(&self, literal: Literal) -> Option<bool> {
        self.value(literal.variable())
            .map(|value| value != literal.is_negative())
    }

    fn level_of(&self, literal: Literal) -> usize {
        self.assignments[literal.variable()].map_or(usize::MAX, |assignment| assignment.level)
    }

    fn insert(&mut self, mut literals: Vec<Literal>, origin: Origin) -> ClauseNumber {
        // Watched first: what holds or can hold, then what became false last.
        literals.sort_by_key(|literal| match self.holds(*literal) {
            Some(true) => (0, 0),
            None => (1, 0),
            Some(false) => (2, usize::MAX - self.level_of(*literal)),
        });
        let index = self.clauses.next();
        for literal in literals.iter().take(2) {
            self.watches[*literal].push(index);
        }
        let first = literals.first().copied();
        let second = literals.get(1).copied();
        self.clauses.push(Clause { literals, origin });
        let may_hold = |literal: Option<Literal>| literal.is_some_and(|literal| self.holds(literal) != Some(false));
        match first {
            Some(first) if may_hold(Some(first)) => {
                if !may_hold(second) && self.holds(first).is_none() {
                    self.assign(first, Some(index));
                }
            }
            _ => {
                self.pending_conflict.get_or_insert(index);
            }
        }
        index
    }

    fn assign(&mut self, literal: Literal, reason: Option<ClauseNumber>) {
        self.assignments[literal.variable()] = Some(Assignment {
            value: !literal.is_negative(),
            level: self.decisions.len(),
            reason,
        });
        self.trail.push(literal);
    }

    /// Decides that a variable is true.
    pub(crate) fn decide(&mut self, variable: Variable) {
        self.decisions.push(self.trail.len());
        self.assign(Literal::is(variable), None);
    }

    /// Draws all conclusions. After a contradiction, decisions are taken back, and what led to it is learned.
    ///
    /// Returns `true` if decisions were taken back.
    ///
    /// # Errors
    /// When no decision is left to take back: the clauses contradict each other.
    pub(crate) fn propagate(&mut self) -> Result<bool, Unsatisfiable> {
        let mut was_back = false;
        while let Some(conflict) = self.pending_conflict.take().or_else(|| self.conflict()) {
            let Some((literals, sources)) = self.analyse(conflict) else {
                return Err(self.unsatisfiable(conflict));
            };
            was_back = true;
            let level = literals.iter().skip(1).map(|literal| self.level_of(*literal)).max();
            self.back_to(level.unwrap_or(0));
            self.insert(literals, Origin::Learned(sources));
        }
        Ok(was_back)
    }

    /// Propagates units; returns a clause that is violated, if there is one.
    fn conflict(&mut self) -> Option<ClauseNumber> {
        while let Some(literal) = self.trail.get(self.propagated).copied() {
            self.propagated += 1;
            let fallen = literal.negated();
            let watching = std::mem::take(&mut self.watches[fallen]);
            let mut kept = Vec::with_capacity(watching.len());
            let mut conflict = None;
            for clause in watching {
                if conflict.is_some() || !self.moves_watch(clause, fallen) {
                    kept.push(clause);
                    conflict = conflict.or_else(|| self.unit(clause));
                }
            }
            self.watches[fallen].append(&mut kept);
            if conflict.is_some() {
                return conflict;
            }
        }
        None
    }

    /// Lets a clause watch another literal than one that became false, if another one can hold.
    fn moves_watch(&mut self, clause: ClauseNumber, fallen: Literal) -> bool {
        let literals = &self.clauses[clause].literals;
        let is_first = literals.first() == Some(&fallen);
        let other = literals.get(usize::from(is_first)).copied();
        if other.is_none_or(|other| self.holds(other) == Some(true)) {
            return false;
        }
        let mut others = literals.iter().copied().enumerate().skip(2);
        let next = others.find(|(_, literal)| self.holds(*literal) != Some(false));
        let Some((next, watched)) = next else { return false };
        self.clauses[clause].literals.swap(usize::from(!is_first), next);
        self.watches[watched].push(clause);
        true
    }

    /// Assigns the one literal of a clause that can hold; returns the clause if there is none.
    fn unit(&mut self, clause: ClauseNumber) -> Option<ClauseNumber> {
        let watched = self.clauses[clause].literals.iter().take(2).copied();
        let open: Vec<Literal> = watched.filter(|literal| self.holds(*literal) != Some(false)).collect();
        match open.as_slice() {
            [] => return Some(clause),
            [one] if self.holds(*one).is_none() => self.assign(*one, Some(clause)),
            _ => {}
        }
        None
    }

    /// Returns the clause that follows from a contradiction (first unique implication point), the literal that it
    /// asserts first, and the clauses that it follows from. None when the contradiction depends on no decision.
    fn analyse(&self, conflict: ClauseNumber) -> Option<(Vec<Literal>, Vec<ClauseNumber>)> {
        let violated = &self.clauses[conflict].literals;
        let level = violated
            .iter()
            .map(|literal| self.level_of(*literal))
            .max()
            .unwrap_or(0);
        if level == 0 {
            return None;
        }
        let mut seen = self.assignments.filled(false);
        let (mut learned, mut sources) = (Vec::new(), vec![conflict]);
        let mut open = 0_usize;
        let mut trail = self.trail.iter().rev();
        let mut clause = conflict;
        loop {
            for literal in &self.clauses[clause].literals {
                let variable = literal.variable();
                // The literal that a reason implied holds; all others are false.
                if self.holds(*literal) != Some(false) || std::mem::replace(&mut seen[variable], true) {
                    continue;
                }
                match self.level_of(*literal) {
                    at if at == level => open += 1,
                    // Level 0 does not depend on decisions, but explanations need its clauses.
                    0 => sources.extend(self.reasons_below(variable, &mut seen)),
                    _ => learned.push(*literal),
                }
            }
            // The literals of a level come from a decision, so that there is one.
            let literal = trail.find(|literal| seen[literal.variable()] && self.level_of(**literal) == level)?;
            open -= 1;
            let reason = self.assignments[literal.variable()].and_then(|assignment| assignment.reason);
            match reason {
                Some(reason) if open > 0 => {
                    sources.push(reason);
                    clause = reason;
                }
                _ => {
                    learned.insert(0, literal.negated());
                    return Some((learned, sources));
                }
            }
        }
    }

    /// Returns the clauses that gave a variable its value at level 0.
    fn reasons_below(&self, variable: Variable, seen: &mut Table<Variable, bool>) -> Vec<ClauseNumber> {
        let (mut found, mut rest) = (Vec::new(), vec![variable]);
        while let Some(variable) = rest.pop() {
            let Some(reason) = self.assignments[variable].and_then(|assignment| assignment.reason) else {
                continue;
            };
            found.push(reason);
            for literal in &self.clauses[reason].literals {
                if !std::mem::replace(&mut seen[literal.variable()], true) {
                    rest.push(literal.variable());
                }
            }
        }
        found
    }

    fn back_to(&mut self, level: usize) {
        let Some(length) = self.decisions.get(level).copied() else {
            return;
        };
        for literal in self.trail.drain(length..) {
            self.assignments[literal.variable()] = None;
        }
        self.decisions.truncate(level);
        self.propagated = self.propagated.min(length);
    }

    /// Collects the clauses that a contradiction at level 0 follows from.
    fn unsatisfiable(&self, conflict: ClauseNumber) -> Unsatisfiable {
        let mut seen = self.assignments.filled(false);
        let mut rest = vec![conflict];
        for literal in &self.clauses[conflict].literals {
            seen[literal.variable()] = true;
            rest.extend(self.reasons_below(literal.variable(), &mut seen));
        }
        let mut known = self.clauses.filled(false);
        let mut found = Vec::new();
        while let Some(clause) = rest.pop() {
            if std::mem::replace(&mut known[clause], true) {
                continue;
            }
            match &self.clauses[clause].origin {
                Origin::Added(id) => found.push(*id),
                Origin::Learned(sources) => rest.extend(sources),
            }
        }
        found.sort_unstable();
        Unsatisfiable(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Decides variables in their order until all have values or the clauses are found to contradict each other.
    fn solved(count: usize, clauses: &[Vec<(usize, bool)>]) -> Result<Vec<bool>, Unsatisfiable> {
        let mut sat = Sat::default();
        for _ in 0..count {
            sat.variable();
        }
        for clause in clauses {
            sat.add(clause.iter().map(|literal| literal_of(*literal)).collect());
        }
        loop {
            sat.propagate()?;
            let variables = (0..count).map(Variable::of);
            match variables.clone().find(|variable| sat.value(*variable).is_none()) {
                Some(variable) => sat.decide(variable),
                None => return Ok(variables.map(|variable| sat.value(variable) == Some(true)).collect()),
            }
        }
    }

    fn literal_of((variable, value): (usize, bool)) -> Literal {
        let variable = Variable::of(variable);
        if value {
            Literal::is(variable)
        } else {
            Literal::not(variable)
        }
    }

    fn satisfies(model: impl Fn(usize) -> bool, clauses: &[Vec<(usize, bool)>]) -> bool {
        let holds = |clause: &Vec<(usize, bool)>| clause.iter().any(|(variable, value)| model(*variable) == *value);
        clauses.iter().all(holds)
    }

    fn is_satisfiable(count: usize, clauses: &[Vec<(usize, bool)>]) -> bool {
        (0..1_usize << count).any(|bits| satisfies(|variable| bits >> variable & 1 == 1, clauses))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Verdicts are those of trying all assignments; models are models; a core is unsatisfiable by itself.
        #[test]
        fn verdicts_are_right(
            count in 1..9_usize,
            clauses in prop::collection::vec(prop::collection::vec((0..9_usize, any::<bool>()), 1..4), 0..40),
        ) {
            let clauses: Vec<Vec<_>> = clauses
                .into_iter()
                .map(|clause| clause.into_iter().map(|(variable, value)| (variable % count, value)).collect())
                .collect();
            match solved(count, &clauses) {
                Ok(model) => prop_assert!(satisfies(|variable| model[variable], &clauses)),
                Err(Unsatisfiable(core)) => {
                    let core: Vec<_> = core.into_iter().map(|id| clauses[id.index()].clone()).collect();
                    prop_assert!(!is_satisfiable(count, &core));
                }
            }
        }
    }

    #[test]
    fn an_empty_clause_is_a_contradiction() {
        let mut sat = Sat::default();
        let id = sat.add(Vec::new());
        assert_eq!(sat.propagate(), Err(Unsatisfiable(vec![id])));
    }
}
