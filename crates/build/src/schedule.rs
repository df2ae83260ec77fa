//! What to build next: a state machine without clocks or processes.
//!
//! A package is ready when everything that it needs is done. Of those that are ready, the one with the longest way of
//! work still depending on it goes first, as long as the memory that it may take is free.

use std::collections::BTreeSet;

/// How much work a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Seconds that it took when last measured, or an estimate.
    pub seconds: u64,
    /// The most memory that it takes, in MiB.
    pub memory: u64,
}

/// Where a package stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Done,
    /// It failed, or something that it needs did.
    Failed,
}

/// A plan under way.
#[derive(Debug)]
pub struct Schedule {
    needs: Vec<BTreeSet<usize>>,
    efforts: Vec<Effort>,
    priority: Vec<u64>,
    states: Vec<State>,
    memory: u64,
}

/// What there is to do just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Build this package.
    Build(usize),
    /// Nothing until something that is running ends.
    Wait,
    /// All that can be done is done.
    Finished,
}

impl Schedule {
    /// A plan for packages with what each needs (indexes; those that `needs` names but the plan should not build are
    /// marked by [`Schedule::done`] first), and `memory` MiB for all that runs at the same time.
    pub fn new(needs: Vec<BTreeSet<usize>>, efforts: Vec<Effort>, memory: u64) -> Self {
        let count = needs.len();
        let mut schedule = Self {
            needs,
            efforts,
            priority: vec![0; count],
            states: vec![State::Waiting; count],
            memory,
        };
        schedule.priority = schedule.critical_paths();
        schedule
    }

    /// For each package, the seconds of the longest chain of builds that begins with it.
    fn critical_paths(&self) -> Vec<u64> {
        let mut users = vec![Vec::new(); self.needs.len()];
        for (package, needs) in self.needs.iter().enumerate() {
            for need in needs {
                users[*need].push(package);
            }
        }
        fn path(package: usize, users: &[Vec<usize>], efforts: &[Effort], known: &mut [Option<u64>]) -> u64 {
            if let Some(known) = known[package] {
                return known;
            }
            let above = users[package]
                .iter()
                .map(|user| path(*user, users, efforts, known))
                .max()
                .unwrap_or(0);
            let total = above + efforts[package].seconds.max(1);
            known[package] = Some(total);
            total
        }
        let mut known = vec![None; users.len()];
        (0..users.len())
            .map(|package| path(package, &users, &self.efforts, &mut known))
            .collect()
    }

    /// What to do next. A package that is returned counts as running until it is [`done`](Self::done) or
    /// [`failed`](Self::failed).
    pub fn next(&mut self) -> Next {
        let running: Vec<_> = self.all(State::Running).collect();
        let used: u64 = running.iter().map(|package| self.efforts[*package].memory).sum();
        let ready = self
            .all(State::Waiting)
            .filter(|package| {
                self.needs[*package]
                    .iter()
                    .all(|need| self.states[*need] == State::Done)
            })
            // One that wants more than there is at all is let in when it is alone.
            .filter(|package| running.is_empty() || used + self.efforts[*package].memory <= self.memory)
            .max_by_key(|package| (self.priority[*package], std::cmp::Reverse(*package)));
        match ready {
            Some(package) => {
                self.states[package] = State::Running;
                Next::Build(package)
            }
            None if running.is_empty() => Next::Finished,
            None => Next::Wait,
        }
    }

    /// Says that a package is built.
    pub fn done(&mut self, package: usize) {
        self.states[package] = State::Done;
    }

    /// Says that a package failed; whatever needs it will not be built.
    pub fn failed(&mut self, package: usize) {
        self.states[package] = State::Failed;
        loop {
            let hit: Vec<_> = self
                .all(State::Waiting)
                .filter(|package| {
                    self.needs[*package]
                        .iter()
                        .any(|need| self.states[*need] == State::Failed)
                })
                .collect();
            if hit.is_empty() {
                return;
            }
            for package in hit {
                self.states[package] = State::Failed;
            }
        }
    }

    /// Those that are still to be built, the most urgent first: the order in which to fetch their sources.
    pub fn pending(&self) -> Vec<usize> {
        let mut pending: Vec<_> = self.all(State::Waiting).collect();
        pending.sort_by_key(|package| std::cmp::Reverse(self.priority[*package]));
        pending
    }

    fn all(&self, state: State) -> impl Iterator<Item = usize> {
        self.states
            .iter()
            .enumerate()
            .filter(move |(_, is)| **is == state)
            .map(|(package, _)| package)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn efforts(seconds: &[u64]) -> Vec<Effort> {
        seconds
            .iter()
            .map(|seconds| Effort {
                seconds: *seconds,
                memory: 1,
            })
            .collect()
    }

    #[test]
    fn the_critical_path_goes_first() {
        // 0 is long but nobody waits for it; 1 carries 2, which is longer still.
        let needs = vec![BTreeSet::new(), BTreeSet::new(), BTreeSet::from([1])];
        let mut schedule = Schedule::new(needs, efforts(&[50, 5, 60]), 8);
        assert_eq!(schedule.pending(), [1, 2, 0]);
        assert_eq!(schedule.next(), Next::Build(1));
        assert_eq!(schedule.next(), Next::Build(0));
        assert_eq!(schedule.next(), Next::Wait);
        schedule.done(1);
        assert_eq!(schedule.next(), Next::Build(2));
    }

    #[test]
    fn memory_keeps_heavy_builds_apart_but_never_out() {
        let heavy = Effort {
            seconds: 1,
            memory: 100,
        };
        let mut schedule = Schedule::new(vec![BTreeSet::new(); 2], vec![heavy; 2], 10);
        let Next::Build(first) = schedule.next() else {
            panic!("one must start")
        };
        assert_eq!(schedule.next(), Next::Wait);
        schedule.done(first);
        assert!(matches!(schedule.next(), Next::Build(_)));
    }

    #[test]
    fn what_needs_a_failure_is_not_built() {
        let needs = vec![
            BTreeSet::new(),
            BTreeSet::from([0]),
            BTreeSet::from([1]),
            BTreeSet::new(),
        ];
        let mut schedule = Schedule::new(needs, efforts(&[9, 1, 1, 1]), 8);
        assert_eq!(schedule.next(), Next::Build(0));
        schedule.failed(0);
        assert_eq!(schedule.next(), Next::Build(3));
        schedule.done(3);
        assert_eq!(schedule.next(), Next::Finished);
    }

    proptest! {
        /// Whatever the graph and however many work at once: everything is built once, after what it needs, and the
        /// plan comes to its end.
        #[test]
        fn every_plan_is_carried_out(
            edges in proptest::collection::vec((0usize..20, 0usize..20), 0..60),
            seconds in proptest::collection::vec(0u64..100, 20),
            workers in 1usize..4,
        ) {
            let mut needs = vec![BTreeSet::new(); 20];
            for (one, other) in edges {
                if one < other {
                    needs[other].insert(one);
                }
            }
            let mut schedule = Schedule::new(needs.clone(), efforts(&seconds), workers as u64);
            let (mut running, mut done) = (Vec::new(), BTreeSet::new());
            loop {
                match schedule.next() {
                    Next::Build(package) => {
                        prop_assert!(needs[package].is_subset(&done));
                        running.push(package);
                        prop_assert!(running.len() <= workers);
                    }
                    Next::Wait => {
                        let package = running.remove(0);
                        schedule.done(package);
                        prop_assert!(done.insert(package));
                    }
                    Next::Finished => break,
                }
            }
            prop_assert_eq!(done.len(), 20);
        }
    }
}
