//! Clocks that were set forward or back. A store compares the times of its entries with the clock and with nothing
//! else: so a clock that is set back a year is one whose entries are all of next year.

use std::time::{Duration, SystemTime};

use basalt_progress::Silent;
use basalt_store::{GcPolicy, Store, StoreError};

use crate::{entries, faults, key, known_tree, scratch, set_used, tree};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Fills a store with three trees, their action results, and a result; returns the number of entries.
fn fill(store: &Store) -> usize {
    for number in 0..3 {
        tree(store, number).expect("a tree");
    }
    store.set_result(&key(1), &1).expect("kept");
    entries(store).len()
}

fn set_all(store: &Store, time: SystemTime) {
    for path in entries(store) {
        set_used(&path, time);
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
    let count = fill(&Store::open(&root).expect("opens"));
    let store = Store::open(&root).expect("opens");
    set_all(&store, SystemTime::now() + 365 * DAY);
    let plan = store.plan_collection(&two_weeks(), &Silent).expect("a plan");
    assert_eq!(plan.removed, []);
    assert_eq!(plan.kept.len(), count);
    // Everything is found, and its time is right again then.
    for number in 0..3 {
        let path = known_tree(&store, number).expect("known");
        let used = path.metadata().and_then(|found| found.modified()).expect("a time");
        assert!(used <= SystemTime::now());
    }
    assert_eq!(faults(&store), [""; 0]);
}

#[test]
fn a_clock_that_is_a_year_ahead_removes_nothing() {
    let (_guard, root) = scratch();
    fill(&Store::open(&root).expect("opens"));
    let store = Store::open(&root).expect("opens");
    set_all(&store, SystemTime::now() - 365 * DAY);
    let error = store.plan_collection(&two_weeks(), &Silent).expect_err("refused");
    assert!(matches!(error, StoreError::AllIdle { days: 365 }), "{error:?}");
    for number in 0..3 {
        assert!(known_tree(&store, number).is_some());
    }
}
