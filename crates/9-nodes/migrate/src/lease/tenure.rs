//! Tenure of a Lease: the time for which a run may count on holding it. Times are given, so nothing here waits.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::DURATION;
use crate::error::MigrateError;

/// Time before the end of the Lease at which nothing is begun any more: what is under way then has to arrive.
const MARGIN: Duration = Duration::from_secs(5);

/// Time between renewals, from the beginning of one to that of the next.
const RENEWAL: Duration = Duration::from_secs(DURATION.as_secs() / 3);

/// Pause before a renewal that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Outcome of a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The Lease was this run's all the time.
    Renewed,
    /// It was nobody's, and is this run's again: others may have held it meanwhile.
    Retaken,
    /// No answer, or an error: the renewal may have come about or not.
    Failed,
    /// Another run holds it.
    Taken {
        /// User, machine and process of that run.
        holder: String,
    },
}

/// Tenure of a run. Its end is counted from the time at which the last successful renewal was asked for: others count from
/// when they see it, which is later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tenure {
    renewed: Instant,
    /// Number of times that the Lease was taken again.
    term: u64,
    /// Run that took it from this one.
    taken_by: Option<String>,
    next: Instant,
}

impl Tenure {
    /// Tenure of a Lease whose taking was asked for at a time.
    pub(crate) fn begin(asked: Instant) -> Self {
        Self {
            renewed: asked,
            term: 0,
            taken_by: None,
            next: asked + RENEWAL,
        }
    }

    /// Tenure after a renewal that was asked for at one time and ended at another. One that was lost stays lost.
    #[must_use]
    pub(crate) fn after(self, renewal: Renewal, asked: Instant, ended: Instant) -> Self {
        if self.taken_by.is_some() {
            return self;
        }
        let next = asked + RENEWAL;
        match renewal {
            Renewal::Renewed => Self {
                renewed: asked,
                next,
                ..self
            },
            Renewal::Retaken => Self {
                renewed: asked,
                term: self.term.saturating_add(1),
                next,
                ..self
            },
            Renewal::Failed => Self {
                next: ended + RETRY,
                ..self
            },
            Renewal::Taken { holder } => Self {
                taken_by: Some(holder),
                ..self
            },
        }
    }

    /// Time of the next renewal.
    pub(crate) fn next_renewal(&self) -> Instant {
        self.next
    }

    /// Allows a write of work that began in some term, or says why it may not be.
    ///
    /// # Errors
    /// When another run has the Lease, or may have had it since the term began or by the time that the write arrives.
    fn check(&self, term: u64, now: Instant) -> Result<(), MigrateError> {
        if let Some(holder) = &self.taken_by {
            return Err(MigrateError::LeaseLost { holder: holder.clone() });
        }
        if self.term != term || now + MARGIN >= self.renewed + DURATION {
            let since = now.saturating_duration_since(self.renewed);
            return Err(MigrateError::LeaseLapsed { since });
        }
        Ok(())
    }
}

/// View of the tenure for those who write.
#[derive(Debug, Clone)]
pub(crate) struct LeaseWatch(pub(super) watch::Receiver<Tenure>);

impl LeaseWatch {
    /// Permission for work that begins now, from what is read now.
    pub(crate) fn guard(&self) -> LeaseGuard {
        LeaseGuard {
            term: self.0.borrow().term,
            tenure: self.0.clone(),
        }
    }
}

/// Permission for writes of work that began in one term: it holds as long as the Lease does.
#[derive(Debug, Clone)]
pub(crate) struct LeaseGuard {
    tenure: watch::Receiver<Tenure>,
    term: u64,
}

impl LeaseGuard {
    /// Allows a write now.
    ///
    /// # Errors
    /// When the Lease is lost, or is not sure to be held until the write arrives.
    pub(crate) fn check(&self) -> Result<(), MigrateError> {
        self.tenure.borrow().check(self.term, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words for what the tenure allows.
    fn state(tenure: &Tenure, term: u64, now: Instant) -> String {
        match tenure.check(term, now) {
            Ok(()) => "held".to_owned(),
            Err(MigrateError::LeaseLapsed { since }) => format!("lapsed {}", since.as_secs()),
            Err(MigrateError::LeaseLost { holder }) => format!("lost to {holder}"),
            Err(other) => other.to_string(),
        }
    }

    #[test]
    fn a_tenure_lasts_from_the_asking_for_its_last_renewal() {
        let taken = || Renewal::Taken {
            holder: "other".to_owned(),
        };
        // Renewals (outcome, asked, ended), then the second of the look, and what work of the first term may do then.
        let cases = [
            (vec![], 0, "held"),
            (vec![], 24, "held"),
            (vec![], 25, "lapsed 25"),
            (vec![], 600, "lapsed 600"),
            (vec![(Renewal::Renewed, 10, 22)], 34, "held"),
            (vec![(Renewal::Renewed, 10, 22)], 35, "lapsed 25"),
            (vec![(Renewal::Failed, 10, 12)], 24, "held"),
            (
                vec![(Renewal::Failed, 10, 12), (Renewal::Failed, 14, 25)],
                26,
                "lapsed 26",
            ),
            (vec![(Renewal::Failed, 10, 25), (Renewal::Renewed, 40, 41)], 42, "held"),
            (vec![(Renewal::Retaken, 40, 41)], 42, "lapsed 2"),
            (vec![(taken(), 10, 11)], 12, "lost to other"),
            (vec![(taken(), 10, 11), (Renewal::Renewed, 20, 21)], 22, "lost to other"),
            (vec![(Renewal::Failed, 10, 25), (taken(), 40, 41)], 42, "lost to other"),
        ];
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        for (renewals, look, expected) in cases {
            let mut tenure = Tenure::begin(start);
            for (renewal, asked, ended) in renewals.clone() {
                tenure = tenure.after(renewal, at(asked), at(ended));
            }
            assert_eq!(state(&tenure, 0, at(look)), expected, "{renewals:?} at {look}");
        }
    }

    #[test]
    fn work_of_a_later_term_goes_on() {
        let start = Instant::now();
        let later = start + Duration::from_secs(40);
        let tenure = Tenure::begin(start).after(Renewal::Retaken, later, later);
        assert_eq!(state(&tenure, tenure.term, later), "held");
    }

    #[test]
    fn the_next_renewal_is_a_third_of_the_duration_away_and_sooner_after_a_failure() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let tenure = Tenure::begin(start);
        assert_eq!(tenure.next_renewal(), at(10));
        // A renewal that took longer than that is followed by the next at once.
        let slow = tenure.clone().after(Renewal::Renewed, at(10), at(22));
        assert_eq!(slow.next_renewal(), at(20));
        let failed = tenure.after(Renewal::Failed, at(10), at(12));
        assert_eq!(failed.next_renewal(), at(14));
    }
}
