//! Rules for a good boot and for one that has lasted too long: pure functions of what is seen and of time.
//!
//! A boot is good when the API server holds the node Ready in this boot. Where the API server cannot be reached, that
//! says little about this machine: when everything on it works for [`CONTROL_PLANE_AWAY`], the boot is good as well,
//! and it is said which of the two it was. A boot that does not become good ends in a restart, at [`deadline`], after
//! which the boot loader may take the other slot.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::ApiAnswer;

/// Time for which a node has to work by itself, with an API server that cannot be reached, to be good.
pub const CONTROL_PLANE_AWAY: Duration = Duration::from_secs(5 * 60);

/// Time for which an API server has to refuse the node's certificate before it is set aside.
pub const REJECTION: Duration = Duration::from_secs(2 * 60);

/// Deadline of a boot whose tries the boot loader counts: another slot is waiting.
const ON_TRIAL: Duration = Duration::from_secs(15 * 60);

/// Deadline of another boot, the first time; twice as long each time that it is missed.
const FIRST_DEADLINE: Duration = Duration::from_secs(30 * 60);

/// The longest deadline. `basalt-ready.service` has a time-out that is longer.
pub const LAST_DEADLINE: Duration = Duration::from_secs(8 * 3600);

/// Way in which a boot was good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Goodness {
    /// The API server holds the node Ready.
    Ready,
    /// The API server cannot be reached; all else works.
    WithoutControlPlane,
}

impl fmt::Display for Goodness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "the node is ready",
            Self::WithoutControlPlane => {
                "the API server cannot be reached, and everything on this machine works: the boot is good without it"
            }
        })
    }
}

/// Outcome of an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootVerdict {
    /// The boot is good.
    Good(Goodness),
    /// The API server refuses the certificate: it has to be set aside, and the kubelet to be started again.
    SetCertificateAside,
    /// Not yet; what is missing, in words.
    NotYet(String),
}

/// Memory of earlier observations. Times are of a clock that only goes forward, since the boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Begin of the time in which the machine worked and the API server could not be reached.
    alone_since: Option<Duration>,
    /// Begin of the time in which every answer was a refusal.
    rejected_since: Option<Duration>,
}

impl Readiness {
    /// Takes in what is seen at a time: what is missing on the machine itself, if anything, and the API server's
    /// answer.
    pub fn observe(&mut self, now: Duration, missing: Option<String>, answer: &ApiAnswer) -> BootVerdict {
        let lasts = |since: &mut Option<Duration>, holds: bool, long: Duration| {
            *since = holds.then(|| since.unwrap_or(now));
            since.is_some_and(|since| now.saturating_sub(since) >= long)
        };
        let alone = missing.is_none() && matches!(answer, ApiAnswer::Unreachable(_));
        let alone = lasts(&mut self.alone_since, alone, CONTROL_PLANE_AWAY);
        let rejected = lasts(&mut self.rejected_since, *answer == ApiAnswer::Rejected, REJECTION);
        match answer {
            ApiAnswer::Ready => BootVerdict::Good(Goodness::Ready),
            ApiAnswer::Unreachable(_) if alone => BootVerdict::Good(Goodness::WithoutControlPlane),
            ApiAnswer::Rejected if rejected => BootVerdict::SetCertificateAside,
            _ if missing.is_some() => BootVerdict::NotYet(missing.unwrap_or_default()),
            ApiAnswer::NoCertificate => BootVerdict::NotYet("the cluster gave no certificate yet".to_owned()),
            ApiAnswer::NotReady(why) => BootVerdict::NotYet(why.clone()),
            ApiAnswer::Unreachable(why) => BootVerdict::NotYet(format!("the API server cannot be reached: {why}")),
            ApiAnswer::Rejected => BootVerdict::NotYet("the API server refuses the node's certificate".to_owned()),
        }
    }
}

/// Time since power-on after which a boot that is not good ends. `on_trial` tells whether the boot loader counts its
/// tries, `missed` how many boots before this one missed their deadline in a row.
///
/// The time grows: a cluster may have no pod network for a day, and a node that waits for it has no use of 48 restarts.
pub fn deadline(on_trial: bool, missed: u32) -> Duration {
    if on_trial {
        return ON_TRIAL;
    }
    FIRST_DEADLINE.saturating_mul(1 << missed.min(5)).min(LAST_DEADLINE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unreachable() -> ApiAnswer {
        ApiAnswer::Unreachable("timed out".to_owned())
    }

    fn not_ready() -> ApiAnswer {
        ApiAnswer::NotReady("no network".to_owned())
    }

    /// Verdicts of observations: second, whether the machine works, answer.
    fn verdicts(seen: &[(u64, bool, ApiAnswer)]) -> Vec<BootVerdict> {
        let mut readiness = Readiness::default();
        let observe = |(second, works, answer): &(u64, bool, ApiAnswer)| {
            let missing = (!works).then(|| "containerd".to_owned());
            readiness.observe(Duration::from_secs(*second), missing, answer)
        };
        seen.iter().map(observe).collect()
    }

    fn last(seen: &[(u64, bool, ApiAnswer)]) -> BootVerdict {
        verdicts(seen).pop().unwrap()
    }

    #[test]
    fn table() {
        let alone = BootVerdict::Good(Goodness::WithoutControlPlane);
        let is_waiting = |verdict: &BootVerdict| matches!(verdict, BootVerdict::NotYet(_));
        assert_eq!(last(&[(1, true, ApiAnswer::Ready)]), BootVerdict::Good(Goodness::Ready));
        // Alone for long enough, and for not quite as long.
        assert_eq!(last(&[(9, true, unreachable()), (309, true, unreachable())]), alone);
        assert!(is_waiting(&last(&[
            (9, true, unreachable()),
            (308, true, unreachable())
        ])));
        // An answer in between, or a machine that did not work, begin anew.
        for between in [(200, true, not_ready()), (200, false, unreachable())] {
            let seen = [
                (9, true, unreachable()),
                between,
                (320, true, unreachable()),
                (500, true, unreachable()),
            ];
            assert!(verdicts(&seen).iter().all(is_waiting));
        }
        // Refused for two minutes, whatever the machine does meanwhile.
        let refused = [(5, true, ApiAnswer::Rejected), (125, false, ApiAnswer::Rejected)];
        assert_eq!(last(&refused), BootVerdict::SetCertificateAside);
        let once = [
            (5, true, ApiAnswer::Rejected),
            (60, true, unreachable()),
            (125, true, ApiAnswer::Rejected),
        ];
        assert!(is_waiting(&last(&once)));
        assert_eq!(
            last(&[(5, false, not_ready())]),
            BootVerdict::NotYet("containerd".to_owned())
        );
    }

    #[test]
    fn deadlines() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let expected = [30, 60, 120, 240, 480, 480, 480].map(minutes);
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|missed| deadline(false, missed)), expected);
        assert_eq!(deadline(false, u32::MAX), LAST_DEADLINE);
        assert_eq!(deadline(true, 9), minutes(15));
        assert!(CONTROL_PLANE_AWAY + REJECTION < deadline(true, 0));
    }

    fn answers() -> impl Strategy<Value = ApiAnswer> {
        prop_oneof![
            Just(ApiAnswer::NoCertificate),
            Just(ApiAnswer::Ready),
            Just(not_ready()),
            Just(ApiAnswer::Rejected),
            Just(unreachable()),
        ]
    }

    proptest! {
        #[test]
        fn good_means_ready_or_long_alone(
            seen in proptest::collection::vec((1u64..100, any::<bool>(), answers()), 1..40),
        ) {
            let mut now = 0;
            let timed: Vec<_> = seen.into_iter().map(|(pause, works, answer)| {
                now += pause;
                (now, works, answer)
            }).collect();
            for (index, verdict) in verdicts(&timed).into_iter().enumerate() {
                let (at, _, answer) = &timed[index];
                let all_of_the_last = |long: Duration, holds: &dyn Fn(&(u64, bool, ApiAnswer)) -> bool| {
                    let begin = timed[..=index].iter().rposition(|one| !holds(one)).map_or(0, |last| last + 1);
                    begin <= index && at - timed[begin].0 >= long.as_secs()
                };
                match verdict {
                    BootVerdict::Good(Goodness::Ready) => prop_assert_eq!(answer, &ApiAnswer::Ready),
                    BootVerdict::Good(Goodness::WithoutControlPlane) => {
                        prop_assert!(all_of_the_last(CONTROL_PLANE_AWAY, &|one| one.1 && one.2 == unreachable()));
                    }
                    BootVerdict::SetCertificateAside => {
                        prop_assert!(all_of_the_last(REJECTION, &|one| one.2 == ApiAnswer::Rejected));
                    }
                    BootVerdict::NotYet(_) => prop_assert_ne!(answer, &ApiAnswer::Ready),
                }
            }
        }

        #[test]
        fn a_deadline_never_shrinks(missed: u32) {
            prop_assert!(deadline(false, missed) <= deadline(false, missed.saturating_add(1)));
            prop_assert!(deadline(false, missed) <= LAST_DEADLINE);
        }
    }
}
