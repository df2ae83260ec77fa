//! Counters of each location in this run.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of one location, as they stand now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStatistics {
    /// Results that were there and trusted.
    pub hits: u64,
    /// Results that were not there.
    pub misses: u64,
    /// Results without a signature of a trusted key: they counted as misses.
    pub untrusted: u64,
    /// Results under the name of a trusted key with a wrong signature: they counted as misses.
    pub forged: u64,
    /// Blobs that were read, and are right.
    pub blobs_read: u64,
    /// Size of these blobs, uncompressed, in bytes.
    pub bytes_read: u64,
    /// Blobs that a trusted result names and that were not there.
    pub blobs_missing: u64,
    /// Blobs that were not what was asked for.
    pub blobs_wrong: u64,
    /// Results that were written.
    pub results_written: u64,
    /// Blobs that were written.
    pub blobs_written: u64,
    /// Size of these blobs, uncompressed, in bytes.
    pub bytes_written: u64,
    /// Calls that failed otherwise, after all their retries.
    pub failures: u64,
}

macro_rules! counters {
    ($($field:ident),* $(,)?) => {
        /// The same, while it is being counted by several threads.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $field: Counter),*
        }

        impl Counters {
            pub(crate) fn now(&self) -> CacheStatistics {
                CacheStatistics { $($field: self.$field.0.load(Ordering::Relaxed)),* }
            }
        }
    };
}

counters!(
    hits,
    misses,
    untrusted,
    forged,
    blobs_read,
    bytes_read,
    blobs_missing,
    blobs_wrong,
    results_written,
    blobs_written,
    bytes_written,
    failures,
);

/// Atomic counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds to it, and gives what it was before.
    pub(crate) fn add(&self, by: u64) -> u64 {
        self.0.fetch_add(by, Ordering::Relaxed)
    }
}
