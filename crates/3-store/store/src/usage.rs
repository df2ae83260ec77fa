//! Record of use: the modification time of an entry is the time of its last lookup.

use std::fs::{File, FileTimes};
use std::io::{self, Write as _};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};

use crate::name::Kind;
use crate::{Lock, Store, StoreError, write};

/// Resolution of the record: an entry that was marked within this time is not marked again, so that a lookup costs no
/// write.
pub(crate) const EXACTNESS: Duration = Duration::from_secs(60 * 60);

/// Path of the file on which every lookup holds a shared lock while it finds and marks an entry; collection holds it
/// exclusively while it decides and renames. So an entry is either marked before collection looks at it, or gone before
/// it is found.
pub(crate) const GATE: &str = "locks/gate";

impl Store {
    /// Returns the path if `is_there` says that the store has the entry, and records its use.
    ///
    /// An entry that is found without the gate could be taken away before its use is recorded. So when the gate cannot
    /// be entered, the entry counts as missing.
    pub(crate) fn hit(&self, path: Utf8PathBuf, is_there: impl FnOnce(&Utf8Path) -> bool) -> Option<Utf8PathBuf> {
        let entered = self.enter_gate().inspect_err(|error| {
            if !error.is_interrupt() {
                tracing::warn!(%path, error = %basalt_process::chain(error), "the entry cannot be looked up");
            }
        });
        let _gate = entered.ok()?;
        is_there(&path).then(|| {
            self.mark_used(&path);
            path
        })
    }

    /// Excludes collection until the lock is dropped. In a store that can only be read there may be no such lock; its
    /// lease excludes collection.
    ///
    /// # Errors
    /// When interrupted while a collection holds the gate, or when the lock cannot be taken.
    pub(crate) fn enter_gate(&self) -> Result<Option<Lock>, StoreError> {
        let lock = Lock::shared(&self.root().join(GATE));
        if self.is_read_only() {
            return Ok(lock.ok());
        }
        lock.map(Some)
    }

    /// Renames a finished file or folder to the path of an entry. Collection, which may be about to take away an older
    /// entry of that name, does not take the new one instead.
    pub(crate) fn rename_to_entry(&self, fresh: &Utf8Path, path: &Utf8Path) -> Result<(), StoreError> {
        let _gate = self.enter_gate()?;
        std::fs::rename(fresh, path).map_err(StoreError::io("cannot write", path))
    }

    /// Records the use of the entry that a path leads into, such as a program in a tree: for long operations on entries
    /// that another process found, and whose own lease began later. Paths outside of the store are ignored.
    ///
    /// Returns whether there is such an entry.
    pub fn touch(&self, path: &Utf8Path) -> bool {
        let Ok(inside) = path.strip_prefix(self.root()) else {
            return false;
        };
        let mut parts = inside.components();
        let (Some(folder), Some(name)) = (parts.next(), parts.next()) else {
            return false;
        };
        let entry = self.root().join(folder).join(name);
        self.hit(entry, |path| path.exists()).is_some()
    }

    /// Records the use of an entry at the current time.
    pub(crate) fn mark_used(&self, path: &Utf8Path) {
        let Ok(lease) = self.lease("a record of use") else {
            return;
        };
        let now = time_of_use(SystemTime::now(), lease.since);
        let mark = || -> io::Result<()> {
            if !is_due(path.metadata()?.modified()?, now) {
                return Ok(());
            }
            // Folders have times too, and can be opened for reading.
            File::open(path)?.set_times(times(now))
        };
        // A failure costs no more than time: at worst the entry is collected, and made again.
        if let Err(error) = mark() {
            tracing::debug!(%path, %error, "use cannot be recorded");
        }
    }

    /// Writes a small file as an entry: atomically, on the disk when this returns, and with the current time.
    pub(crate) fn put(&self, path: &Utf8Path, bytes: &[u8]) -> Result<(), StoreError> {
        let fresh = self.new_path(Kind::File)?;
        let write = || -> io::Result<()> {
            let mut file = File::create_new(&fresh)?;
            file.write_all(bytes)?;
            self.stamp(&file)?;
            file.sync_all()
        };
        let written = write().map_err(StoreError::io("cannot write", path));
        let written = written.and_then(|()| self.rename_to_entry(&fresh, path));
        if written.is_err() {
            drop(std::fs::remove_file(&fresh));
        }
        written?;
        path.parent().map_or(Ok(()), write::sync_folder)
    }

    /// Sets the time of a file that is to become an entry to the current time, whatever time its content had.
    pub(crate) fn stamp(&self, file: &File) -> io::Result<()> {
        let now = match self.lease("a record of use") {
            Ok(lease) => time_of_use(SystemTime::now(), lease.since),
            Err(_) => SystemTime::now(),
        };
        file.set_times(times(now))
    }
}

fn times(time: SystemTime) -> FileTimes {
    FileTimes::new().set_accessed(time).set_modified(time)
}

/// Returns the time that records a use at `now`. It is never before the start of the user's lease, even when the clock
/// was set back in between: so the use under a lease can be told by its time from earlier ones.
fn time_of_use(now: SystemTime, since: SystemTime) -> SystemTime {
    now.max(since)
}

/// Returns `true` if an entry that was marked at `marked` has to be marked again at `now`. Times in the future count as
/// no mark: a clock that was wrong for a while must not make an entry seem new for ever.
fn is_due(marked: SystemTime, now: SystemTime) -> bool {
    match now.duration_since(marked) {
        Ok(age) => age >= EXACTNESS,
        Err(ahead) => ahead.duration() >= EXACTNESS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = EXACTNESS;

    #[test]
    fn a_mark_is_renewed_once_an_hour_and_when_it_is_of_the_future() {
        let now = SystemTime::UNIX_EPOCH + 1000 * HOUR;
        let minute = Duration::from_secs(60);
        for (marked, due) in [
            (now, false),
            (now - 59 * minute, false),
            (now - HOUR, true),
            (SystemTime::UNIX_EPOCH, true),
            (now + minute, false),
            (now + 8760 * HOUR, true),
        ] {
            assert_eq!(is_due(marked, now), due, "{marked:?}");
        }
    }

    #[test]
    fn a_use_is_never_before_the_lease() {
        let since = SystemTime::UNIX_EPOCH + 1000 * HOUR;
        assert_eq!(time_of_use(since + HOUR, since), since + HOUR);
        assert_eq!(time_of_use(since - 500 * HOUR, since), since);
    }
}
