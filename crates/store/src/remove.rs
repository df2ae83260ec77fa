//! Taking folders away.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use camino::Utf8Path;

use crate::StoreError;

/// Removes a folder and all in it, also where folders are read-only. No error when it is not there.
///
/// # Errors
/// When something cannot be removed.
pub fn remove_tree(path: &Utf8Path) -> Result<(), StoreError> {
    let first = std::fs::remove_dir_all(path);
    match first {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => make_writable(path.as_std_path())
            .and_then(|()| std::fs::remove_dir_all(path))
            .map_err(StoreError::io("cannot remove", path)),
    }
}

/// An overlay's work folder has mode 000, and packages have folders of mode 555.
fn make_writable(folder: &Path) -> io::Result<()> {
    if !folder.symlink_metadata()?.is_dir() {
        return Ok(());
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}
