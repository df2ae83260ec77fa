//! Clocks that were set forward or back.

use std::time::{Duration, SystemTime};

use basalt_progress::Silent;
use basalt_store::{GcPolicy, Store, StoreError};

use crate::{key, scratch, tree};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Shifts the time of use of all entries.
fn shift(store: &Store, shift: impl Fn(SystemTime) -> SystemTime) {
    for number in 0..3 {
        let path = tree(store, number).expect("a tree");
        let folder = std::fs::File::open(path).expect("there");
        folder.set_modified(shift(SystemTime::now())).expect("set");
    }
}

fn two_weeks() -> GcPolicy {
    GcPolicy {
        max_idle: Some(14 * DAY),
        max_bytes: None,
    }
}

#[test]
fn a_clock_that_was_set_back_a_year_removes_nothing() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    shift(&store, |now| now + 365 * DAY);
    let plan = store.plan_collection(&two_weeks(), &Silent).expect("a plan");
    assert_eq!(plan.removed, []);
    assert_eq!(plan.kept.len(), 3);
    // After a lookup, the time of an entry is right again.
    assert!(store.tree(&key(1)).is_some());
    let used = store
        .tree_path(&key(1))
        .metadata()
        .expect("there")
        .modified()
        .expect("a time");
    assert!(used <= SystemTime::now());
}

#[test]
fn a_clock_that_is_a_year_ahead_removes_nothing() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    shift(&store, |now| now - 365 * DAY);
    let error = store.plan_collection(&two_weeks(), &Silent).expect_err("refused");
    assert!(matches!(error, StoreError::AllIdle { days: 365 }), "{error:?}");
    for number in 0..3 {
        assert!(store.tree(&key(number)).is_some());
    }
}
