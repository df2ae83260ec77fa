//! Collection of what is no longer used.

use std::time::{Duration, SystemTime};

use camino::Utf8Path;

use crate::layout::ENTRY_FOLDERS;
use crate::{Lock, Store, StoreError};

/// What a collection took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcStats {
    /// Number of objects, trees, results and logs.
    pub items: u64,
}

impl Store {
    /// Removes objects, trees and results that were not used for `idle`; `None` when somebody else is using the store.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn collect(root: &Utf8Path, idle: Duration) -> Result<Option<GcStats>, StoreError> {
        let store = Self::open(root)?;
        let own = store.lease("the collection")?.id;
        let others = crate::lease::others(&store.root().join("locks"), own)?;
        let Some(_alone) = Lock::try_exclusive(&root.join("locks/lease"))?.filter(|_| others.is_empty()) else {
            return Ok(None);
        };
        let oldest = SystemTime::now().checked_sub(idle).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut collected = GcStats::default();
        for kind in ENTRY_FOLDERS {
            let folder = root.join(kind.name);
            let entries = folder.read_dir_utf8().map_err(StoreError::io("cannot list", &folder))?;
            for entry in entries.flatten().filter(|entry| (kind.is_entry)(entry.file_name())) {
                let used = entry.metadata().and_then(|metadata| metadata.modified());
                if used.is_ok_and(|used| used <= oldest) {
                    store.discard(entry.path())?;
                    collected.items += 1;
                }
            }
        }
        Ok(Some(collected))
    }
}
