//! Work on many packages at once.

use crate::SnapshotError;

/// Calls a function with every item, on all cores: hashing takes most of the time. Results are in the order of the items.
pub(crate) fn each<I: Sync, T: Send>(
    items: &[I],
    work: impl Fn(&I) -> Result<T, SnapshotError> + Sync,
) -> Result<Vec<T>, SnapshotError> {
    let done = basalt_schedule::each(items, work);
    done.map_err(basalt_schedule::EachError::into_first)
}
