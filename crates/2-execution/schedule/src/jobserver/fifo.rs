//! FIFO of one job: opened by the server for reading and writing, never waited on.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::OpenOptions;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};

use crate::JobserverError;

/// Byte of a token; GNU make's own choice.
pub(super) const TOKEN: u8 = b'+';

/// The server's end of a FIFO. Dropping removes the file.
#[derive(Debug)]
pub(super) struct Fifo {
    path: Utf8PathBuf,
    /// Open for both directions, so that tokens stay while no client is there.
    file: File,
}

impl Fifo {
    /// Makes the FIFO, mode 0600, where nothing is yet.
    pub(super) fn create(path: Utf8PathBuf) -> Result<Self, JobserverError> {
        let error = |action, source| JobserverError {
            action,
            path: path.clone(),
            source,
        };
        mkfifoat(CWD, path.as_std_path(), Mode::RUSR | Mode::WUSR).map_err(|source| error("create", source.into()))?;
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nonblocking)
            .open(&path)
            .map_err(|source| error("open", source))?
            .into_file();
        Ok(Self { path, file })
    }

    pub(super) fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Number of bytes in it.
    pub(super) fn unread(&self) -> io::Result<usize> {
        let bytes = rustix::io::ioctl_fionread(&self.file)?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// Takes up to so many bytes out; returns how many there were.
    pub(super) fn take(&self, count: usize) -> io::Result<usize> {
        let mut bytes = vec![0; count];
        without_wait(|| (&self.file).read(&mut bytes))
    }

    /// Puts so many tokens in; returns how many of them found room.
    pub(super) fn put(&self, count: usize) -> io::Result<usize> {
        without_wait(|| (&self.file).write(&vec![TOKEN; count]))
    }
}

impl AsFd for Fifo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        // The folder goes away with the run anyhow.
        drop(fs_err::remove_file(&self.path));
    }
}

/// Calls until no signal interrupts it; what would have to wait moves no byte.
fn without_wait(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            outcome => return outcome,
        }
    }
}
