//! Leases: records of the processes that use the store, and of the time since when.
//!
//! Every process that opens the store for writing holds an exclusive lock on a file of its own, `locks/lease-<id>`,
//! whose modification time is the start of the lease. The kernel releases the lock when the process ends for any
//! reason. All that a process makes in `tmp` bears the id of its lease, so that a lease whose lock is free identifies
//! abandoned files. Process ids, which mean nothing in another pid namespace or on another machine, are not used.
//!
//! A store that can only be read is leased by a shared lock on `locks/lease`, as it was in versions without a marker;
//! such a lease has no start, so that nothing is collected while it is held.

use std::fs::OpenOptions;
use std::io;
use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};

use crate::name::Id;
use crate::{Lock, StoreError};

/// Prefix of the names of lease files.
const PREFIX: &str = "lease-";

/// Lease of this process, held until dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    pub id: Id,
    /// Start by the clock of the file system, which is the server's for a network file system.
    pub since: SystemTime,
    path: Utf8PathBuf,
    _lock: Lock,
}

/// Another's lease.
#[derive(Debug)]
pub(crate) enum Other {
    /// Held by a process that uses the store.
    Active { since: SystemTime },
    /// Lease of a dead process; locked by this one, until dropped.
    Abandoned { id: Id, lock: Lock },
}

impl Lease {
    /// Begins a new lease, in the folder `locks` of a store.
    ///
    /// # Errors
    /// [`StoreError::NoLocks`] when locks do not exclude others on this file system.
    pub fn begin(locks: &Utf8Path) -> Result<Self, StoreError> {
        loop {
            let id = Id::random();
            let path = locks.join(format!("{PREFIX}{id}"));
            let failed = || StoreError::io("cannot make the lease", &path);
            let file = match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(failed()(error)),
            };
            let lock = Lock::try_on(file, &path).map_err(|error| without_locks(locks, error))?;
            // A sweep may have found the file before it was locked, and taken it for an abandoned one.
            let Some(lock) = lock.filter(|lock| lock.is_of(&path)) else {
                continue;
            };
            let lease = Self {
                id,
                since: lock.changed().map_err(failed())?,
                path,
                _lock: lock,
            };
            return lease.excludes_others(locks).map(|()| lease);
        }
    }

    /// Tries to take the lock a second time, which must fail.
    fn excludes_others(&self, locks: &Utf8Path) -> Result<(), StoreError> {
        match Lock::try_existing(&self.path)? {
            None => Ok(()),
            Some(_) => Err(StoreError::NoLocks {
                root: locks.to_owned(),
                why: "two can have the same exclusive lock at once".to_owned(),
            }),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The name goes before the lock: no process finds an abandoned lease of a process that ended in order.
        drop(std::fs::remove_file(&self.path));
    }
}

fn without_locks(locks: &Utf8Path, error: StoreError) -> StoreError {
    use io::ErrorKind::{Other, Unsupported};
    match &error {
        // ENOLCK has no kind of its own.
        StoreError::File(file) if matches!(file.source.kind(), Unsupported | Other) || is_enolck(&file.source) => {
            StoreError::NoLocks {
                root: locks.to_owned(),
                why: file.source.to_string(),
            }
        }
        _ => error,
    }
}

fn is_enolck(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [rustix::io::Errno::NOLCK, rustix::io::Errno::NOSYS]
        .iter()
        .any(|errno| code == Some(errno.raw_os_error()))
}

/// Returns all leases in a folder but the one of the id `own`.
pub(crate) fn others(locks: &Utf8Path, own: Id) -> Result<Vec<Other>, StoreError> {
    let mut others = Vec::new();
    for entry in locks.read_dir_utf8().map_err(StoreError::io("cannot list", locks))? {
        let entry = entry.map_err(StoreError::io("cannot list", locks))?;
        let Some(id) = entry.file_name().strip_prefix(PREFIX).and_then(Id::parse) else {
            continue;
        };
        if id == own {
            continue;
        }
        match Lock::try_existing(entry.path())? {
            Some(lock) => others.push(Other::Abandoned { id, lock }),
            None => {
                // A file that cannot be read any more: its process ended just now.
                let since = entry.path().symlink_metadata().and_then(|metadata| metadata.modified());
                others.extend(since.map(|since| Other::Active { since }));
            }
        }
    }
    Ok(others)
}

/// Returns `true` if a lease of that id exists, dead or alive.
pub(crate) fn exists(locks: &Utf8Path, id: Id) -> bool {
    path(locks, id).symlink_metadata().is_ok()
}

/// Removes the file of an abandoned lease, whose lock this process holds.
pub(crate) fn forget(locks: &Utf8Path, id: Id, lock: Lock) {
    // If it cannot be removed, it is found again the next time.
    drop(std::fs::remove_file(path(locks, id)));
    drop(lock);
}

fn path(locks: &Utf8Path, id: Id) -> Utf8PathBuf {
    locks.join(format!("{PREFIX}{id}"))
}
