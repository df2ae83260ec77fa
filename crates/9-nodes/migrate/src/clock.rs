//! Present time: the machine's, or one that a test sets.

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

/// Source of the present time.
#[derive(Debug, Clone)]
pub enum MigrationClock {
    /// The machine's clock.
    System,
    /// A start, and the time that tokio has counted since: time that a test can pause.
    Simulated {
        /// Time at the start.
        start: Timestamp,
        /// Instant of the start.
        since: Instant,
    },
}

impl MigrationClock {
    /// Returns the present time, in whole seconds.
    pub fn now(&self) -> Timestamp {
        let now = match self {
            Self::System => Timestamp::now(),
            Self::Simulated { start, since } => start.saturating_add(since.elapsed()).unwrap_or(*start),
        };
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }
}
