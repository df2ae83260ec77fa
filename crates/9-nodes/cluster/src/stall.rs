//! Stall detection: `up` gives up a stage of the start after a time without progress, however long it takes in all.
//!
//! A pure state machine, since the caller reads the quantities and the clock. Progress is growth of any quantity beyond
//! its highest value so far. What comes and goes is none, such as a component that is started again and again.

use std::collections::BTreeMap;
use std::time::Duration;

/// Longest time between two observations that counts as idle: while the process was stopped or the machine asleep, nobody
/// observed anything.
const LONGEST_GAP: Duration = Duration::from_secs(15);

/// Quantity that grows while a stage goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Measure {
    /// Name of the quantity, a noun phrase: `console of node-1`.
    pub name: String,
    /// Current value: a number of items, or a size in bytes.
    pub value: u64,
    /// Smallest growth that counts as progress.
    pub step: u64,
    /// `true` while the stage waits for this quantity to grow.
    pub is_open: bool,
}

/// Result of a time without progress that was too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stall {
    /// Time without progress.
    pub idle: Duration,
    /// Names of the open quantities, each with the time since it grew, the longest first.
    pub unchanged: Vec<(String, Duration)>,
}

/// Record of a stage's progress.
#[derive(Debug, Clone)]
pub(crate) struct StallDetector {
    limit: Duration,
    /// Time without progress.
    idle: Duration,
    /// Time of the last observation.
    observed: Duration,
    marks: BTreeMap<String, Mark>,
}

/// Highest value of a quantity, and the time since it was reached.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    highest: u64,
    idle: Duration,
}

impl StallDetector {
    /// Makes the detector of a stage that starts now, for a time without progress.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            idle: Duration::ZERO,
            observed: Duration::ZERO,
            marks: BTreeMap::new(),
        }
    }

    /// Records an observation at `now`, the time since the start of the stage. The result is a stall when the time
    /// without progress has reached the limit.
    pub fn observe(&mut self, now: Duration, measures: &[Measure]) -> Option<Stall> {
        let gap = now.saturating_sub(self.observed).min(LONGEST_GAP);
        self.observed = now;
        for mark in self.marks.values_mut() {
            mark.idle += gap;
        }
        let grown = measures.iter().filter(|measure| self.record(measure)).count();
        self.idle = if grown > 0 { Duration::ZERO } else { self.idle + gap };
        (self.idle >= self.limit).then(|| self.stall(measures))
    }

    /// Records the value of a quantity; `true` when that is progress.
    fn record(&mut self, measure: &Measure) -> bool {
        let mark = self.marks.entry(measure.name.clone()).or_default();
        let is_progress = measure.value >= mark.highest.saturating_add(measure.step.max(1));
        if is_progress {
            *mark = Mark {
                highest: measure.value,
                idle: Duration::ZERO,
            };
        }
        is_progress
    }

    fn stall(&self, measures: &[Measure]) -> Stall {
        let open = measures.iter().filter(|measure| measure.is_open);
        let mut unchanged: Vec<_> = open
            .filter_map(|measure| Some((measure.name.clone(), self.marks.get(&measure.name)?.idle)))
            .collect();
        unchanged.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        Stall {
            idle: self.idle,
            unchanged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Observation: the time in seconds, and the values of the quantities `a` (step 1) and `b` (step 10).
    type Observation = (u64, u64, u64);

    fn measures(a: u64, b: u64) -> Vec<Measure> {
        let measure = |name: &str, value, step| Measure {
            name: name.to_owned(),
            value,
            step,
            is_open: true,
        };
        vec![measure("a", a, 1), measure("b", b, 10)]
    }

    /// Time of the first stall under a limit of 30 s.
    fn given_up(observations: &[Observation]) -> Option<u64> {
        let mut detector = StallDetector::new(Duration::from_secs(30));
        let found = observations.iter().find(|(second, a, b)| {
            let now = Duration::from_secs(*second);
            detector.observe(now, &measures(*a, *b)).is_some()
        });
        found.map(|(second, ..)| *second)
    }

    #[test]
    fn only_a_time_without_progress_is_a_stall() {
        let cases: [(&str, &[Observation], Option<u64>); 9] = [
            ("nothing is observed", &[], None),
            (
                "nothing moves",
                &[(0, 0, 0), (10, 0, 0), (20, 0, 0), (30, 0, 0)],
                Some(30),
            ),
            (
                "what was there at first is no progress later",
                &[(10, 5, 50), (20, 5, 50), (30, 5, 50), (40, 5, 50)],
                Some(40),
            ),
            (
                "something moves all the time",
                &[
                    (10, 1, 0),
                    (20, 1, 10),
                    (30, 1, 20),
                    (40, 2, 20),
                    (50, 2, 30),
                    (60, 2, 40),
                    (70, 3, 40),
                ],
                None,
            ),
            (
                "it moves, and then stands still",
                &[(10, 1, 0), (20, 2, 0), (30, 3, 0), (40, 3, 0), (50, 3, 0), (60, 3, 0)],
                Some(60),
            ),
            (
                "growth below the step adds up",
                &[
                    (10, 0, 4),
                    (20, 0, 8),
                    (30, 0, 10),
                    (40, 0, 14),
                    (50, 0, 18),
                    (60, 0, 20),
                ],
                None,
            ),
            (
                "what comes and goes is no progress",
                &[
                    (5, 2, 0),
                    (10, 0, 0),
                    (15, 2, 0),
                    (20, 0, 0),
                    (25, 2, 0),
                    (30, 1, 0),
                    (35, 2, 0),
                ],
                Some(35),
            ),
            (
                "a time that nobody observed is short",
                &[(0, 1, 0), (10_000, 1, 0), (10_010, 1, 0), (10_015, 1, 0)],
                Some(10_015),
            ),
            (
                "progress while nobody observed counts",
                &[(0, 1, 0), (10_000, 2, 0), (10_015, 2, 0)],
                None,
            ),
        ];
        for (name, observations, expected) in cases {
            assert_eq!(given_up(observations), expected, "{name}");
        }
    }

    #[test]
    fn what_stands_still_is_named_with_its_time() {
        let mut detector = StallDetector::new(Duration::from_secs(20));
        let at = |second| Duration::from_secs(second);
        assert_eq!(detector.observe(at(10), &measures(1, 10)), None);
        assert_eq!(detector.observe(at(20), &measures(2, 10)), None);
        assert_eq!(detector.observe(at(30), &measures(2, 10)), None);
        let mut last = measures(2, 10);
        last.push(Measure {
            name: "c".into(),
            value: 0,
            step: 1,
            is_open: false,
        });
        let stall = detector.observe(at(40), &last).expect("given up");
        assert_eq!(stall.idle, at(20));
        assert_eq!(stall.unchanged, [("b".to_owned(), at(30)), ("a".to_owned(), at(20))]);
    }
}
