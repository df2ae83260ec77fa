//! Locks between processes: advisory, on files, released by the system when their holder dies.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::time::Duration;

use basalt_process::interrupt;
use camino::Utf8Path;

use crate::StoreError;

/// A lock that is held; dropping it lets it go.
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

    /// Waits for the lock that the file `path` stands for; `blocked` is told once, with the id of the process that has it,
    /// when there is a wait.
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

    /// The lock if nobody has it.
    pub(crate) fn try_exclusive(path: &Utf8Path) -> Result<Option<Self>, StoreError> {
        let mut file = Self::open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(StoreError::io("cannot lock", path)(source)),
        }
        let mut sign = || {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        // Who holds the lock is only for the message to others: a full disk must not keep us from holding it.
        if let Err(error) = sign() {
            tracing::debug!(%error, "could not sign the lock");
        }
        Ok(Some(Self { file }))
    }

    /// A lock that many may hold, and that keeps [`Self::try_exclusive`] out.
    pub(crate) fn shared(path: &Utf8Path) -> Result<Self, StoreError> {
        let file = Self::open(path)?;
        loop {
            match file.try_lock_shared() {
                Ok(()) => return Ok(Self { file }),
                Err(TryLockError::WouldBlock) => {
                    interrupt::check()?;
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(TryLockError::Error(source)) => return Err(StoreError::io("cannot lock", path)(source)),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file unlocks it as well; this is only sooner when a child has inherited it.
        drop(self.file.unlock());
    }
}

fn holder(path: &Utf8Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path).ok()?.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
