//! Removal of folders.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use camino::Utf8Path;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::StoreError;

/// Flags that open a folder and nothing else; a link is not followed.
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// Number of names of subfolders that are read at once.
const NAMES: usize = 1024;

/// Removes a folder and all its content, also where folders are read-only. A folder that does not exist is no error.
///
/// A build may leave folders nested to any depth, with a path longer than `PATH_MAX`. So folders are opened relative to
/// the one above, at most two at a time, and nothing is recursive.
///
/// # Errors
/// When an entry cannot be removed.
pub fn remove_tree(path: &Utf8Path) -> Result<(), StoreError> {
    let removed = match open_folder(CWD, path.as_str()) {
        Ok(folder) => empty(folder)
            .map_err(io::Error::from)
            .and_then(|()| std::fs::remove_dir(path)),
        // A file, or a link.
        Err(Errno::NOTDIR | Errno::LOOP) => std::fs::remove_file(path),
        Err(error) => Err(error.into()),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("cannot remove", path)(error)),
        _ => Ok(()),
    }
}

/// Gives the owner all rights to a folder itself.
pub(crate) fn make_writable(folder: &Utf8Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

/// Folder on the path from the root of the removal to the folder that is open.
struct Level {
    /// Name in the folder above.
    name: CString,
    /// Device and inode.
    identity: (u64, u64),
    /// Names of subfolders that are still to be removed, as far as they are read.
    below: Vec<CString>,
}

impl Level {
    fn new(name: CString, folder: &OwnedFd) -> rustix::io::Result<Self> {
        Ok(Self {
            name,
            identity: identity(folder)?,
            below: Vec::new(),
        })
    }
}

/// Removes everything in a folder.
fn empty(mut folder: OwnedFd) -> rustix::io::Result<()> {
    let mut path = vec![Level::new(CString::default(), &folder)?];
    while let Some(level) = path.last_mut() {
        if level.below.is_empty() {
            level.below = clear(&folder)?;
        }
        if let Some(name) = level.below.pop() {
            match open_folder(folder.as_fd(), name.as_c_str()) {
                Ok(below) => {
                    path.push(Level::new(name, &below)?);
                    folder = below;
                }
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
            continue;
        }
        let emptied = path.pop();
        if let (Some(emptied), Some(above)) = (emptied, path.last()) {
            folder = open_above(&folder, above.identity)?;
            unlink(&folder, &emptied.name, AtFlags::REMOVEDIR)?;
        }
    }
    Ok(())
}

/// Removes the entries of a folder that are not folders, and returns the names of subfolders, up to [`NAMES`] of them;
/// none when nothing is left.
fn clear(folder: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    let mut below = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            // Not every file system tells.
            FileType::Unknown => {
                FileType::from_raw_mode(rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)
            }
            kind => kind,
        };
        if kind != FileType::Directory {
            unlink(folder, name, AtFlags::empty())?;
            continue;
        }
        below.push(name.to_owned());
        if below.len() == NAMES {
            break;
        }
    }
    Ok(below)
}

fn unlink(folder: &OwnedFd, name: &CStr, flags: AtFlags) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(folder, name, flags) {
        Err(error) if error != Errno::NOENT => Err(error),
        _ => Ok(()),
    }
}

/// Opens a folder, and gives its owner all rights to it: an overlay's work folder has mode 000, and packages have
/// folders of mode 555.
fn open_folder(at: BorrowedFd<'_>, name: impl rustix::path::Arg + Copy) -> rustix::io::Result<OwnedFd> {
    let open = || rustix::fs::openat(at, name, FOLDER, Mode::empty());
    let folder = match open() {
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(at, name, Mode::RWXU, AtFlags::empty())?;
            open()?
        }
        opened => opened?,
    };
    if !Mode::from_raw_mode(rustix::fs::fstat(&folder)?.st_mode).contains(Mode::RWXU) {
        rustix::fs::fchmod(&folder, Mode::RWXU)?;
    }
    Ok(folder)
}

/// Opens the folder above, which has to be the one of that identity: another process may have moved the open one.
fn open_above(folder: &OwnedFd, expected: (u64, u64)) -> rustix::io::Result<OwnedFd> {
    let above = rustix::fs::openat(folder, c"..", FOLDER, Mode::empty())?;
    if identity(&above)? == expected {
        Ok(above)
    } else {
        Err(Errno::STALE)
    }
}

fn identity(folder: &OwnedFd) -> rustix::io::Result<(u64, u64)> {
    let status = rustix::fs::fstat(folder)?;
    Ok((status.st_dev, status.st_ino))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

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

    #[test]
    fn a_link_is_removed_and_not_what_it_leads_to() {
        let guard = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(guard.path()).expect("UTF-8");
        std::fs::create_dir(root.join("kept")).expect("made");
        std::os::unix::fs::symlink("kept", root.join("link")).expect("linked");
        remove_tree(&root.join("link")).expect("removed");
        assert!(root.join("link").symlink_metadata().is_err());
        assert!(root.join("kept").is_dir());
    }

    #[test]
    fn more_subfolders_than_are_read_at_once_are_removed() {
        let guard = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(guard.path()).expect("UTF-8").join("tree");
        for number in 0..2 * NAMES + 1 {
            std::fs::create_dir_all(root.join(format!("{number}/below"))).expect("made");
            std::fs::write(root.join(format!("{number}/file")), "").expect("written");
        }
        remove_tree(&root).expect("removed");
        assert!(!root.exists());
    }

    /// Makes folders within each other, whose whole path no system call takes.
    fn nest(root: &Utf8Path, depth: u32) {
        let mut folder = rustix::fs::open(root.as_str(), FOLDER, Mode::empty()).expect("opened");
        for _ in 0..depth {
            rustix::fs::mkdirat(&folder, c"folder", Mode::RWXU).expect("made");
            folder = rustix::fs::openat(&folder, c"folder", FOLDER, Mode::empty()).expect("opened");
        }
    }

    #[test]
    fn folders_nested_to_any_depth_are_removed_with_little_stack() {
        let guard = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(guard.path()).expect("UTF-8").join("tree");
        std::fs::create_dir(&root).expect("made");
        // The path is longer than PATH_MAX, and 128 KiB of stack do not hold so many frames.
        nest(&root, 5_000);
        let tree = root.clone();
        let removal = std::thread::Builder::new().stack_size(128 << 10);
        let removal = removal.spawn(move || remove_tree(&tree)).expect("started");
        removal.join().expect("no overflow").expect("removed");
        assert!(!root.exists());
    }
}
