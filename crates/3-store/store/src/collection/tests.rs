//! Tests of the decision what is collected.

use proptest::prelude::*;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_000 * DAY
}

/// Entries by their age in days and their size; a negative age is in the future.
fn entries(facts: &[(i32, u64)]) -> Vec<GcEntry> {
    let entry = |(index, (age, bytes)): (usize, &(i32, u64))| GcEntry {
        path: format!("objects/{index}").into(),
        bytes: *bytes,
        used: match u32::try_from(*age) {
            Ok(age) => now() - age * DAY,
            Err(_) => now() + age.unsigned_abs() * DAY,
        },
    };
    facts.iter().enumerate().map(entry).collect()
}

fn numbers(entries: &[GcEntry]) -> Vec<u32> {
    let number = |entry: &GcEntry| {
        entry
            .path
            .file_name()
            .and_then(|name| name.parse().ok())
            .expect("a number")
    };
    entries.iter().map(number).collect()
}

fn decide(facts: &[(i32, u64)], days: Option<u64>, max_bytes: Option<u64>, lease: Option<u32>) -> GcPlan {
    let policy = GcPolicy {
        max_idle: days.map(|days| Duration::from_secs(days.saturating_mul(DAY.as_secs()))),
        max_bytes,
    };
    plan(entries(facts), now(), lease.map(|age| now() - age * DAY), &policy).expect("a plan")
}

#[test]
fn limits_decide_alone_and_together() {
    let facts = [(0, 10), (40, 10), (20, 10), (10, 10)];
    let cases: &[(Option<u64>, Option<u64>, &[u32])] = &[
        (None, None, &[]),
        (Some(14), None, &[1, 2]),
        (Some(20), None, &[1, 2]),
        (Some(21), None, &[1]),
        (Some(u64::MAX), None, &[]),
        (Some(0), None, &[1, 2, 3, 0]),
        (None, Some(40), &[]),
        (None, Some(39), &[1]),
        (None, Some(20), &[1, 2]),
        (None, Some(0), &[1, 2, 3, 0]),
        (Some(14), Some(10), &[1, 2, 3]),
        (Some(30), Some(25), &[1, 2]),
    ];
    for (days, bytes, expected) in cases {
        let plan = decide(&facts, *days, *bytes, None);
        assert_eq!(numbers(&plan.removed), *expected, "{days:?} {bytes:?}");
    }
}

#[test]
fn what_a_lease_protects_stays_and_counts() {
    let facts = [(0, 10), (40, 10), (20, 10), (10, 10)];
    let plan = decide(&facts, Some(0), None, Some(15));
    assert_eq!(
        (numbers(&plan.removed), numbers(&plan.in_use)),
        (vec![1, 2], vec![3, 0])
    );
    let plan = decide(&facts, None, Some(0), Some(100));
    assert_eq!(numbers(&plan.removed), [0_u32; 0]);
    assert_eq!(numbers(&plan.in_use), [1, 2, 3, 0]);
}

#[test]
fn the_future_is_not_old() {
    let plan = decide(&[(-365, 10), (-1, 10), (30, 10)], Some(14), None, None);
    assert_eq!(numbers(&plan.removed), [2]);
    // Every entry is removed when that was asked for.
    assert_eq!(decide(&[(-365, 10)], Some(0), None, None).removed.len(), 1);
    assert_eq!(decide(&[(-365, 10)], None, Some(9), None).removed.len(), 1);
}

#[test]
fn a_clock_a_year_ahead_removes_nothing() {
    let policy = GcPolicy {
        max_idle: Some(14 * DAY),
        max_bytes: None,
    };
    let error = plan(entries(&[(366, 1), (365, 1)]), now(), None, &policy).expect_err("refused");
    assert!(matches!(error, StoreError::AllIdle { days: 365 }), "{error:?}");
    assert_eq!(
        plan(Vec::new(), now(), None, &policy).expect("nothing"),
        GcPlan::default()
    );
}

#[test]
fn the_target_of_a_link_does_not_count() {
    let guard = tempfile::tempdir().expect("a folder");
    let root = Utf8Path::from_path(guard.path()).expect("UTF-8");
    std::fs::create_dir(root.join("elsewhere")).expect("made");
    std::fs::write(root.join("elsewhere/file"), vec![1; 1 << 20]).expect("written");
    std::os::unix::fs::symlink("elsewhere", root.join("entry")).expect("linked");
    assert!(disk_usage(&root.join("elsewhere")) >= 1 << 20);
    assert!(disk_usage(&root.join("entry")) < 1 << 16);
}

proptest! {
    #[test]
    fn the_rest_fits_and_nothing_newer_goes_first(
        facts in prop::collection::vec((-10..400i32, 0..100u64), 0..40),
        limit in 0..2000u64,
        lease in prop::option::of(0..400u32),
    ) {
        let plan = decide(&facts, None, Some(limit), lease);
        let sum = |entries: &[GcEntry]| entries.iter().map(|entry| entry.bytes).sum::<u64>();
        let total: u64 = facts.iter().map(|(_, bytes)| bytes).sum();
        prop_assert_eq!(sum(&plan.removed) + sum(&plan.in_use) + sum(&plan.kept), total);
        prop_assert!(lease.is_some() || plan.in_use.is_empty());
        prop_assert!(sum(&plan.kept) + sum(&plan.in_use) <= limit || !plan.in_use.is_empty());
        let newest_removed = plan.removed.iter().map(|entry| entry.used).max();
        let oldest_kept = plan.kept.iter().map(|entry| entry.used).min();
        if let (Some(removed), Some(kept)) = (newest_removed, oldest_kept) {
            prop_assert!(removed <= kept);
        }
    }
}
