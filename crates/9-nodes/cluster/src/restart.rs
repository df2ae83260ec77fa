//! Restart policy of components: exponential back-off, up to a number of ends within a minute.

use std::time::{Duration, Instant};

/// Period in which ends are counted.
const MEMORY: Duration = Duration::from_secs(60);
/// Number of ends within [`MEMORY`] after which a component is not restarted.
const TOO_OFTEN: usize = 6;
/// Wait before the first restart; it doubles each time.
const FIRST: Duration = Duration::from_millis(250);
/// Longest wait before a restart.
const LONGEST: Duration = Duration::from_secs(5);

/// Decision about a component that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartDecision {
    /// Restart at this time.
    RestartAt(Instant),
    /// No restart, because the component has ended too often.
    GiveUp,
}

/// Recent ends of one component.
#[derive(Debug, Clone, Default)]
pub struct History {
    ends: Vec<Instant>,
}

impl History {
    /// Records an end and decides about a restart.
    pub fn ended(&mut self, now: Instant) -> RestartDecision {
        self.ends.retain(|end| now.duration_since(*end) < MEMORY);
        self.ends.push(now);
        if self.ends.len() >= TOO_OFTEN {
            return RestartDecision::GiveUp;
        }
        let doublings = u32::try_from(self.ends.len() - 1).unwrap_or(u32::MAX);
        let wait = FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST);
        RestartDecision::RestartAt(now + wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_until_restarts_end() {
        let start = Instant::now();
        let mut history = History::default();
        let waits: Vec<_> = (0..6)
            .map(|end| {
                let now = start + Duration::from_secs(end);
                match history.ended(now) {
                    RestartDecision::RestartAt(at) => Some(at.duration_since(now).as_millis()),
                    RestartDecision::GiveUp => None,
                }
            })
            .collect();
        assert_eq!(waits, [Some(250), Some(500), Some(1000), Some(2000), Some(4000), None]);
    }

    #[test]
    fn old_ends_are_forgiven() {
        let start = Instant::now();
        let mut history = History::default();
        for end in 0..20 {
            let now = start + end * Duration::from_secs(30);
            assert!(matches!(history.ended(now), RestartDecision::RestartAt(_)), "{end}");
        }
    }
}
