//! The count of a jobserver's tokens: a state machine without clocks or files.

use std::time::{Duration, Instant};

/// Time for which tokens must have been missing after a bad end of a job before they count as lost.
pub const LOSS_PATIENCE: Duration = Duration::from_secs(30);

/// Change of the FIFO that makes the count right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correction {
    /// The count is right, or cannot be checked now.
    None,
    /// So many tokens are lost: put them in.
    Add(usize),
    /// So many tokens are too many: take them out.
    Remove(usize),
}

/// Time since a job ended badly, and the fewest tokens that were missing at any time in it.
#[derive(Debug, Clone, Copy)]
struct Suspicion {
    since: Instant,
    least_missing: usize,
}

/// Tokens in all, and those that are known to be in use.
///
/// Tokens that are neither in the FIFO nor held by a job of ours are *missing*: a client has them, or they are lost. When
/// no job is in work, no client is, and what is missing is lost. After a job ended badly, what was missing without
/// interruption for [`LOSS_PATIENCE`] counts as lost.
#[derive(Debug)]
pub struct Ledger {
    total: usize,
    /// Jobs in work, each of which holds one token.
    jobs: usize,
    suspicion: Option<Suspicion>,
    /// Tokens put in on suspicion that were not seen to be too many so far; bounds what a wrong suspicion can do.
    presumed: usize,
}

impl Ledger {
    /// A ledger of so many tokens, all of them free.
    pub fn new(total: usize) -> Self {
        Self {
            total,
            jobs: 0,
            suspicion: None,
            presumed: 0,
        }
    }

    /// Number of tokens in all.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Notes that a job of ours took a token from the FIFO, so that clients may run.
    pub fn begin_job(&mut self) {
        self.jobs += 1;
    }

    /// Notes that a job ended and its token goes back.
    pub fn end_job(&mut self) {
        self.jobs = self.jobs.saturating_sub(1);
    }

    /// Notes that a job ended badly.
    pub fn suspect(&mut self, now: Instant) {
        self.suspicion = Some(Suspicion {
            since: now,
            least_missing: usize::MAX,
        });
    }

    /// Judges the number of tokens in the FIFO, and takes the correction as made.
    pub fn observe(&mut self, now: Instant, in_fifo: usize) -> Correction {
        let known = in_fifo + self.jobs;
        if known > self.total {
            let surplus = (known - self.total).min(in_fifo);
            self.presumed = self.presumed.saturating_sub(surplus);
            self.suspicion = None;
            return Correction::Remove(surplus);
        }
        let missing = self.total - known;
        if self.jobs == 0 {
            self.suspicion = None;
            self.presumed = 0;
            return add(missing);
        }
        let Some(suspicion) = &mut self.suspicion else {
            return Correction::None;
        };
        suspicion.least_missing = suspicion.least_missing.min(missing);
        if suspicion.least_missing == 0 {
            // At this moment every token was accounted for.
            self.suspicion = None;
        } else if now.saturating_duration_since(suspicion.since) >= LOSS_PATIENCE {
            let lost = suspicion.least_missing.min(self.total - self.presumed.min(self.total));
            self.presumed += lost;
            self.suspicion = None;
            return add(lost);
        }
        Correction::None
    }
}

fn add(count: usize) -> Correction {
    if count == 0 {
        Correction::None
    } else {
        Correction::Add(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ledger of four tokens with one job that holds one.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(4);
        ledger.begin_job();
        ledger
    }

    #[test]
    fn what_clients_hold_is_left_alone_without_suspicion() {
        let (mut ledger, now) = (ledger(), Instant::now());
        assert_eq!(ledger.observe(now, 0), Correction::None);
        assert_eq!(ledger.observe(now + 10 * LOSS_PATIENCE, 0), Correction::None);
    }

    #[test]
    fn without_jobs_whatever_is_missing_is_lost() {
        let (mut ledger, now) = (ledger(), Instant::now());
        ledger.end_job();
        assert_eq!(ledger.observe(now, 2), Correction::Add(2));
        assert_eq!(ledger.observe(now, 4), Correction::None);
        // The token of a job is not lost.
        ledger.begin_job();
        assert_eq!(ledger.observe(now, 3), Correction::None);
    }

    #[test]
    fn after_a_bad_end_what_stays_missing_is_lost() {
        let (mut ledger, now) = (ledger(), Instant::now());
        ledger.suspect(now);
        assert_eq!(ledger.observe(now, 0), Correction::None);
        assert_eq!(ledger.observe(now + LOSS_PATIENCE / 2, 1), Correction::None);
        // Three were missing at first, but one of them was seen since.
        assert_eq!(ledger.observe(now + LOSS_PATIENCE, 0), Correction::Add(2));
        assert_eq!(ledger.observe(now + 3 * LOSS_PATIENCE, 0), Correction::None);
    }

    #[test]
    fn a_suspicion_ends_when_every_token_is_seen() {
        let (mut ledger, now) = (ledger(), Instant::now());
        ledger.suspect(now);
        assert_eq!(ledger.observe(now, 3), Correction::None);
        assert_eq!(ledger.observe(now + 2 * LOSS_PATIENCE, 0), Correction::None);
    }

    #[test]
    fn a_surplus_is_taken_out_and_wrong_suspicions_are_bounded() {
        let (mut ledger, mut now) = (ledger(), Instant::now());
        let mut added = 0;
        for _ in 0..9 {
            ledger.suspect(now);
            assert_eq!(ledger.observe(now, 0), Correction::None);
            now += LOSS_PATIENCE;
            if let Correction::Add(count) = ledger.observe(now, 0) {
                added += count;
            }
        }
        assert_eq!(added, 4);
        assert_eq!(ledger.observe(now, 7), Correction::Remove(4));
    }
}
