//! Removal of folders.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use camino::Utf8Path;

use crate::StoreError;

/// Removes a folder and all its content, also where folders are read-only. A folder that does not exist is no error.
///
/// # Errors
/// When an entry cannot be removed.
pub fn remove_tree(path: &Utf8Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {}
        _ => return Ok(()),
    }
    let again = open_up(path.as_std_path()).and_then(|()| std::fs::remove_dir_all(path));
    match again {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("cannot remove", path)(error)),
        _ => Ok(()),
    }
}

/// Gives the owner all rights to a folder itself.
pub(crate) fn make_writable(folder: &Utf8Path) -> Result<(), StoreError> {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
        .map_err(StoreError::io("cannot change the permissions of", folder))
}

/// Gives the owner all rights to a folder and those within: an overlay's work folder has mode 000, and packages have folders
/// of mode 555.
fn open_up(folder: &Path) -> io::Result<()> {
    if !folder.symlink_metadata()?.is_dir() {
        return Ok(());
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_nobody_may_enter_are_removed_and_links_not_followed() {
        let guard = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(guard.path()).expect("UTF-8");
        let kept = root.join("kept");
        std::fs::create_dir_all(root.join("tree/a/b")).expect("made");
        std::fs::create_dir(&kept).expect("made");
        std::fs::write(kept.join("file"), "").expect("written");
        std::os::unix::fs::symlink(&kept, root.join("tree/a/link")).expect("linked");
        for folder in ["tree/a/b", "tree/a"] {
            std::fs::set_permissions(root.join(folder), std::fs::Permissions::from_mode(0o0)).expect("closed");
        }
        remove_tree(&root.join("tree")).expect("removed");
        remove_tree(&root.join("tree")).expect("gone already");
        assert!(!root.join("tree").exists());
        assert!(kept.join("file").exists());
    }
}
