//! Clock of tests of joins.

use std::cell::Cell;
use std::time::Duration;

use basalt_node::joining::JoinClock;

/// Time of a test: pauses take none.
pub struct TestClock(Cell<Duration>);

impl TestClock {
    /// A clock that shows this time since the start.
    pub fn at(time: Duration) -> Self {
        Self(Cell::new(time))
    }
}

impl JoinClock for TestClock {
    fn now(&self) -> Duration {
        self.0.get()
    }

    fn pause(&self, time: Duration) {
        self.0.set(self.0.get() + time);
    }
}
