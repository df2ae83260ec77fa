//! File locks (flock), which end with their process, whatever ends it.

use std::fs::File;
use std::io::{Seek as _, Write as _};

use basalt_process::without_path;
use camino::Utf8Path;
use rustix::fs::{FlockOperation, flock};

use crate::ClusterError;

/// Exclusive lock, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Takes a lock; `None` when another process holds it. The process id is written into the file, for messages.
pub(crate) fn take(path: &Utf8Path) -> Result<Option<Lock>, ClusterError> {
    let failed = || ClusterError::file(format!("lock {path}"));
    let mut file = loop {
        let file = open(path).map_err(|error| failed()(without_path(error, path)))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            outcome => outcome.map_err(|error| failed()(error.into()))?,
        }
        // The last holder may have removed the file, and another one at this path counts.
        if is_at(&file, path) {
            break file;
        }
    };
    let note = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())
    };
    note(&mut file).map_err(failed())?;
    Ok(Some(Lock { _file: file }))
}

/// Checks for a process that holds the lock.
pub(crate) fn is_held(path: &Utf8Path) -> bool {
    let Ok(file) = fs_err::File::open(path) else {
        return false;
    };
    // It is given back at once when the file is closed.
    matches!(
        flock(&file, FlockOperation::NonBlockingLockShared),
        Err(rustix::io::Errno::WOULDBLOCK)
    )
}

/// Process id of the last process that took the lock, or `unknown`.
pub(crate) fn holder(path: &Utf8Path) -> String {
    let text = fs_err::read_to_string(path).unwrap_or_default();
    if text.is_empty() { "unknown".to_owned() } else { text }
}

fn is_at(file: &File, path: &Utf8Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs_err::metadata(path)) {
        (Ok(ours), Ok(there)) => identity(ours) == identity(there),
        _ => false,
    }
}

fn open(path: &Utf8Path) -> std::io::Result<File> {
    use fs_err::os::unix::fs::OpenOptionsExt as _;
    fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(fs_err::File::into_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8Path::from_path(folder.path()).expect("UTF-8").join("lock");
        assert!(!is_held(&path));
        let lock = take(&path).expect("works").expect("free");
        assert!(is_held(&path));
        assert!(take(&path).expect("works").is_none());
        assert_eq!(holder(&path), std::process::id().to_string());
        drop(lock);
        assert!(!is_held(&path));
        assert!(take(&path).expect("works").is_some());
    }
}
