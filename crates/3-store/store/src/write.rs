//! Files that are written whole or not at all.
//!
//! [`atomically`] and [`with_mode`] promise that a reader sees the old content or the new, also when the writer is killed.
//! [`durably`] promises the same when the machine loses power: the file's bytes are on the disk before its name is, and the
//! name is there when the function returns.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;

use crate::StoreError;

/// Number of random letters in a temporary name, which is a dot, the file's name, another dot and these.
const RANDOM: usize = 6;

/// Puts `bytes` into the file `path`, in one step: a reader sees the old content or the new, never a part.
///
/// # Errors
/// When the file's folder cannot be written to.
pub fn atomically(path: &Utf8Path, bytes: impl AsRef<[u8]>) -> Result<(), StoreError> {
    with_mode(path, bytes, 0o644)
}

/// Does the same as [`atomically`], for a file of another mode than 0644.
///
/// # Errors
/// When the file's folder cannot be written to.
pub fn with_mode(path: &Utf8Path, bytes: impl AsRef<[u8]>, mode: u32) -> Result<(), StoreError> {
    replace(path, bytes.as_ref(), mode, false).map_err(StoreError::io("cannot write", path))
}

/// Does the same as [`atomically`], and writes file and folder to the disk before it returns.
///
/// # Errors
/// When the file's folder cannot be written to.
pub fn durably(path: &Utf8Path, bytes: impl AsRef<[u8]>) -> Result<(), StoreError> {
    replace(path, bytes.as_ref(), 0o644, true).map_err(StoreError::io("cannot write", path))
}

/// Writes the names in a folder to the disk (fsync).
///
/// # Errors
/// When the folder cannot be opened, or the disk fails.
pub fn sync_folder(folder: &Utf8Path) -> Result<(), StoreError> {
    let sync = || File::open(folder)?.sync_all();
    sync().map_err(StoreError::io("cannot write out", folder))
}

/// Writes the whole file system that holds `folder` to the disk (syncfs): one call for a tree of any size, where
/// synchronizing each of its files would cost a flush of the disk per file.
///
/// # Errors
/// When the folder cannot be opened, or the disk fails.
pub fn sync_file_system(folder: &Utf8Path) -> Result<(), StoreError> {
    let sync = || -> io::Result<()> { Ok(rustix::fs::syncfs(File::open(folder)?)?) };
    sync().map_err(StoreError::io("cannot write out", folder))
}

/// Returns the folder of a file; the current one for a bare name.
fn folder_of(path: &Utf8Path) -> &Utf8Path {
    let parent = path.parent().filter(|folder| !folder.as_str().is_empty());
    parent.unwrap_or(Utf8Path::new("."))
}

fn replace(path: &Utf8Path, bytes: &[u8], mode: u32, durable: bool) -> io::Result<()> {
    let folder = folder_of(path);
    fs_err::create_dir_all(folder)?;
    // The temporary name contains the file's own, unless both together would be longer than a name may be.
    let name = path.file_name().filter(|name| name.len() <= 200).unwrap_or_default();
    let mut file = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .rand_bytes(RANDOM)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    if durable {
        file.as_file().sync_all()?;
    }
    file.persist(path).map_err(|error| error.error)?;
    if durable {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Returns `true` if `name` is what a killed writer of the file `written` leaves.
pub(crate) fn is_partial(name: &str, written: &str) -> bool {
    let random = name
        .strip_prefix('.')
        .and_then(|name| name.strip_prefix(written))
        .and_then(|name| name.strip_prefix('.'));
    random.is_some_and(|letters| letters.len() == RANDOM && letters.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_partial_file_is_known_again() {
        assert!(is_partial(".basalt-store.a1B2c3", "basalt-store"));
        for name in [
            "basalt-store.a1B2c3",
            ".basalt-store.a1B2c",
            ".basalt-store.a1-2c3",
            ".other.a1B2c3",
        ] {
            assert!(!is_partial(name, "basalt-store"), "{name}");
        }
    }

    #[test]
    fn content_is_replaced_and_nothing_else_is_left() {
        let guard = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(guard.path()).expect("UTF-8");
        let path = root.join("a folder/a, file");
        atomically(&path, "one").expect("written");
        durably(&path, "two").expect("written");
        with_mode(&path, "three", 0o600).expect("written");
        assert_eq!(std::fs::read(&path).expect("read"), b"three");
        assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(crate::files_below(root).expect("listed"), [path]);
    }
}
