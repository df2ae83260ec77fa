//! Selection of the files that garbage collection removes: a pure function of sizes, times of use and limits.

use std::time::{Duration, SystemTime};

/// Time for which what was used is never removed: somebody may be between asking for a blob and naming it in a result.
pub(super) const GRACE: Duration = Duration::from_secs(10 * 60);

/// Limits of a garbage collection. Without any, only leftovers and results without their blobs are removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Bytes at most; what was used longest ago goes first.
    pub bytes: Option<u64>,
    /// Days since the last use, at most.
    pub days: Option<u64>,
    /// `true` to report what would be removed without removing it.
    pub dry_run: bool,
}

/// Size in bytes and time of the last use of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) bytes: u64,
    pub(super) used: SystemTime,
}

/// Indexes of the entries that are to go.
pub(super) fn removals(entries: &[Entry], now: SystemTime, keep: &RetentionPolicy) -> Vec<usize> {
    let mut by_use: Vec<(usize, &Entry)> = entries.iter().enumerate().collect();
    by_use.sort_by_key(|(_, entry)| entry.used);
    let mut total: u64 = entries.iter().map(|entry| entry.bytes).sum();
    let mut removed = Vec::new();
    for (index, &Entry { bytes, used }) in by_use {
        // A use that lies in the future, by another machine's clock, is one of just now.
        let age = now.duration_since(used).unwrap_or_default();
        let unused = keep
            .days
            .is_some_and(|days| age > Duration::from_secs(days.saturating_mul(24 * 60 * 60)));
        let too_much = keep.bytes.is_some_and(|limit| total > limit);
        if age > GRACE && (unused || too_much) {
            total -= bytes;
            removed.push(index);
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn entry(bytes: u64, age: u64) -> Entry {
        let used = now() - Duration::from_secs(age);
        Entry { bytes, used }
    }

    fn keep(bytes: Option<u64>, days: Option<u64>) -> RetentionPolicy {
        let dry_run = false;
        RetentionPolicy { bytes, days, dry_run }
    }

    #[test]
    fn what_goes() {
        let entries = [entry(10, 3 * DAY), entry(20, DAY), entry(30, 5 * DAY), entry(40, 60)];
        for (limits, expected) in [
            (keep(None, None), vec![]),
            (keep(Some(100), None), vec![]),
            (keep(Some(99), None), vec![2]),
            (keep(Some(69), None), vec![2, 0]),
            (keep(Some(0), None), vec![2, 0, 1]),
            (keep(None, Some(2)), vec![2, 0]),
            (keep(None, Some(u64::MAX)), vec![]),
            (keep(Some(70), Some(4)), vec![2]),
        ] {
            assert_eq!(removals(&entries, now(), &limits), expected, "{limits:?}");
        }
    }

    #[test]
    fn a_clock_that_runs_ahead_keeps_things() {
        let ahead = Entry {
            bytes: 1,
            used: now() + Duration::from_secs(400 * DAY),
        };
        assert!(removals(&[ahead], now(), &keep(Some(0), Some(0))).is_empty());
    }

    proptest! {
        #[test]
        fn the_limit_is_kept_and_nothing_newer_goes_first(
            ages in prop::collection::vec((0u64..1000, 0..30 * DAY), 0..40),
            limit in 0u64..20_000,
        ) {
            let entries: Vec<_> = ages.iter().map(|(bytes, age)| entry(*bytes, *age)).collect();
            let removed = removals(&entries, now(), &keep(Some(limit), None));
            let kept: Vec<_> = (0..entries.len()).filter(|index| !removed.contains(index)).collect();
            let old: u64 = kept.iter().map(|index| entries[*index].bytes).sum();
            let fresh = kept.iter().any(|index| ages[*index].1 <= GRACE.as_secs());
            prop_assert!(old <= limit || fresh);
            for gone in &removed {
                prop_assert!(kept.iter().all(|index| entries[*index].used >= entries[*gone].used));
            }
        }
    }
}
