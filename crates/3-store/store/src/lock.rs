//! Locks between processes: advisory (flock), on files, released by the kernel when their holder dies.
//!
//! A lock belongs to the open file, so it means the same between threads, processes, pid namespaces and containers, and,
//! where the file system passes locks on (NFS 4, NFS 3 with lockd), between machines.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use basalt_process::interrupt;
use camino::Utf8Path;

use crate::StoreError;

/// Lock that is held until dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    fn open(path: &Utf8Path) -> Result<File, StoreError> {
        std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(StoreError::io("cannot open the lock", path))
    }

    /// Waits for the lock on the file `path`. When another process holds it, `blocked` is called once, with the id of
    /// that process if it is known: that of a process on another machine, or in another container, would name one of
    /// ours.
    ///
    /// # Errors
    /// When interrupted, or when the lock cannot be made.
    pub fn exclusive(path: &Utf8Path, blocked: impl FnOnce(Option<u32>)) -> Result<Self, StoreError> {
        let mut blocked = Some(blocked);
        loop {
            if let Some(lock) = Self::try_exclusive(path)? {
                return Ok(lock);
            }
            if let Some(blocked) = blocked.take() {
                blocked(holder(path));
            }
            interrupt::check()?;
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Takes the lock, if it is free.
    pub(crate) fn try_exclusive(path: &Utf8Path) -> Result<Option<Self>, StoreError> {
        let Some(lock) = Self::try_on(Self::open(path)?, path)? else {
            return Ok(None);
        };
        let mut file = &lock.file;
        let mut sign = || {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{} {}", std::process::id(), namespace())
        };
        // The holder's id serves messages to other processes only: a full disk must not prevent the lock.
        if let Err(error) = sign() {
            tracing::debug!(%error, "could not sign the lock");
        }
        Ok(Some(lock))
    }

    /// Takes the lock on an open file, if it is free.
    pub(crate) fn try_on(file: File, path: &Utf8Path) -> Result<Option<Self>, StoreError> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(StoreError::io("cannot lock", path)(source)),
        }
    }

    /// Takes the lock on a file that exists, if it is free; `None` also when the file is gone or was replaced by
    /// another.
    pub(crate) fn try_existing(path: &Utf8Path) -> Result<Option<Self>, StoreError> {
        let file = match std::fs::OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("cannot open the lock", path)(error)),
        };
        let lock = Self::try_on(file, path)?;
        Ok(lock.filter(|lock| lock.is_of(path)))
    }

    /// Returns `true` if the locked file is the one of that name. A lock on a file that was removed excludes nobody.
    pub(crate) fn is_of(&self, path: &Utf8Path) -> bool {
        match (self.file.metadata(), path.symlink_metadata()) {
            (Ok(locked), Ok(named)) => (locked.dev(), locked.ino()) == (named.dev(), named.ino()),
            _ => false,
        }
    }

    /// Returns the modification time of the locked file.
    pub(crate) fn changed(&self) -> std::io::Result<std::time::SystemTime> {
        self.file.metadata()?.modified()
    }

    /// Takes a shared lock on a file that exists, which excludes [`Self::try_exclusive`]. The file is opened for
    /// reading only, so that it works in a store that cannot be written.
    pub(crate) fn shared(path: &Utf8Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::io("cannot open the lock", path))?;
        loop {
            match file.try_lock_shared() {
                Ok(()) => return Ok(Self { file }),
                Err(TryLockError::WouldBlock) => {
                    interrupt::check()?;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::Error(source)) => return Err(StoreError::io("cannot lock", path)(source)),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would unlock it as well, but later when a child has inherited it.
        drop(self.file.unlock());
    }
}

/// Id of the process that signed the lock, if it is one of our machine and PID namespace.
fn holder(path: &Utf8Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path).ok()?.read_to_string(&mut text).ok()?;
    signed_by(&text, &namespace())
}

/// Id in the text of a lock: a process id and the namespace that it belongs to.
fn signed_by(text: &str, namespace: &str) -> Option<u32> {
    let (id, signed_in) = text.trim().split_once(' ')?;
    id.parse().ok().filter(|_| signed_in == namespace)
}

/// Name of the PID namespace, with that of the boot, which no other machine has.
fn namespace() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot.trim(), namespace.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_of_our_namespace_is_named() {
        assert_eq!(signed_by("7 boot pid:[1]\n", "boot pid:[1]"), Some(7));
        for other in ["7 boot pid:[2]\n", "7 another pid:[1]\n", "7\n", "", "x boot pid:[1]"] {
            assert_eq!(signed_by(other, "boot pid:[1]"), None, "{other:?}");
        }
    }

    #[test]
    fn the_holder_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8Path::from_path(folder.path()).expect("UTF-8").join("lock");
        let lock = Lock::try_exclusive(&path).expect("no error").expect("free");
        assert_eq!(holder(&path), Some(std::process::id()));
        drop(lock);
    }
}
