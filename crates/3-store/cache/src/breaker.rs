//! Circuit breaker: switches a location off for the rest of a run after repeated failures. Pure: no clock, no I/O.

use crate::error::CacheError;

/// Points at which a location is switched off.
const LIMIT: u32 = 3;

/// Failures of a whole run at which it is switched off, however many calls have succeeded in between.
const TOTAL: u32 = 20;

/// Failures of one location.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Breaker {
    points: u32,
    total: u32,
    open: bool,
}

impl Breaker {
    /// Returns `true` while the location is still used.
    pub(crate) fn is_on(self) -> bool {
        !self.open
    }

    /// Records a success: a blob that is right, or a result written with all its blobs. Other answers are no evidence.
    pub(crate) fn succeed(&mut self) {
        self.points = 0;
    }

    /// Switches the location off at once: it cannot be opened.
    pub(crate) fn switch_off(&mut self) {
        self.open = true;
    }

    /// Records a failed call, after all its retries. Returns `true` when this switches the location off, for one
    /// warning.
    pub(crate) fn fail(&mut self, error: &CacheError) -> bool {
        let points = points(error);
        if points == 0 || self.open {
            return false;
        }
        self.points += points;
        self.total += 1;
        self.open = self.points >= LIMIT || self.total >= TOTAL;
        self.open
    }
}

/// Weight of a failure. What will not be otherwise at the next call weighs as much as the limit.
fn points(error: &CacheError) -> u32 {
    match error {
        // No failures: the ordinary state of a cache, and what is not its fault.
        CacheError::Missing { .. } => 0,
        error if error.is_ours() => 0,
        CacheError::Unreachable { .. }
        | CacheError::Refused { .. }
        | CacheError::Token { .. }
        | CacheError::Unsupported { .. } => LIMIT,
        // Each costs the user its whole time limit.
        CacheError::TimedOut { .. } => LIMIT - 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::blob::BlobMismatch;
    use basalt_action::Blob;

    fn cache() -> String {
        "grpc://c:1".to_owned()
    }

    fn timed_out() -> CacheError {
        let (cache, call, seconds) = (cache(), "Read", 20);
        CacheError::TimedOut { cache, call, seconds }
    }

    fn wrong() -> CacheError {
        CacheError::Wrong {
            cache: cache(),
            blob: Blob::of("a"),
            mismatch: BlobMismatch::TooLong(1),
        }
    }

    fn missing() -> CacheError {
        let (cache, blob) = (cache(), Blob::of("a"));
        CacheError::Missing { cache, blob }
    }

    #[test]
    fn how_long_each_failure_is_borne() {
        let unreachable = || CacheError::Unreachable {
            cache: cache(),
            why: "refused".to_owned(),
        };
        let local = || CacheError::Local {
            what: "write",
            blob: Blob::of("a"),
            source: std::io::ErrorKind::StorageFull.into(),
        };
        let cases: [(&dyn Fn() -> CacheError, Option<usize>); 5] = [
            (&unreachable, Some(1)),
            (&timed_out, Some(2)),
            (&wrong, Some(3)),
            (&missing, None),
            (&local, None),
        ];
        for (error, expected) in cases {
            let mut breaker = Breaker::default();
            let at = (1..100).find(|_| breaker.fail(&error()));
            assert_eq!(at, expected, "{}", error());
            assert_eq!(breaker.is_on(), expected.is_none());
            assert!(!breaker.fail(&error()), "said once");
        }
    }

    #[test]
    fn one_that_is_wrong_now_and_then_is_switched_off_in_the_end() {
        let mut breaker = Breaker::default();
        let mut failures = 0;
        while breaker.is_on() {
            breaker.fail(&wrong());
            breaker.succeed();
            failures += 1;
        }
        assert_eq!(failures, TOTAL);
    }

    proptest! {
        #[test]
        fn it_is_switched_off_once_and_stays_so(calls in prop::collection::vec(0u8..4, 0..200)) {
            let mut breaker = Breaker::default();
            let mut off = 0;
            for call in calls {
                let was_on = breaker.is_on();
                match call {
                    0 => breaker.succeed(),
                    1 => off += u32::from(breaker.fail(&missing())),
                    2 => off += u32::from(breaker.fail(&wrong())),
                    _ => off += u32::from(breaker.fail(&timed_out())),
                }
                prop_assert!(was_on || !breaker.is_on());
                prop_assert_eq!(off, u32::from(!breaker.is_on()));
            }
        }
    }
}
