//! Sum of the disk space below a folder, whatever a hostile program makes there meanwhile: links that lead elsewhere,
//! folders that are deeper than there are descriptors, files without content.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use camino::Utf8Path;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// Least number of bytes that a file or folder counts for, however small it is: it takes an inode, and file systems
/// have so many only.
const INODE: u64 = 4096;
/// Longest path, in bytes, from an open folder to one that is still to be looked into: below PATH_MAX.
const LONGEST_PATH: usize = 2000;

/// Folder that is still to be looked into: a path below one that is open.
struct Pending {
    base: Rc<OwnedFd>,
    /// Names with slashes between them.
    path: Vec<u8>,
}

/// Returns the bytes on disk of all that is below a folder, or of a file; it stops counting above `enough`. A file with
/// several names counts once in all.
///
/// # Errors
/// When descriptors or memory are exhausted. What cannot be opened for another reason is gone meanwhile, or is closed
/// to the sandbox, too.
pub(crate) fn used_below(path: &Utf8Path, enough: u64) -> rustix::io::Result<u64> {
    let Some(top) = open(CWD, path.as_str(), ResolveFlags::empty())? else {
        return Ok(rustix::fs::lstat(path.as_std_path()).map_or(0, |status| bytes(&status)));
    };
    let mut sum = 0;
    let mut pending = vec![Pending {
        base: Rc::new(top),
        path: b".".to_vec(),
    }];
    while let Some(next) = pending.pop() {
        let Some(folder) = open(&*next.base, &next.path[..], ResolveFlags::NO_SYMLINKS)? else {
            continue;
        };
        let folder = Rc::new(folder);
        let Some(entries) = unless_exhausted(Dir::read_from(&*folder))? else {
            continue;
        };
        for entry in entries {
            let Some(entry) = unless_exhausted(entry)? else {
                break;
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let status = rustix::fs::statat(&*folder, name, AtFlags::SYMLINK_NOFOLLOW);
            let Some(status) = unless_exhausted(status)? else {
                continue;
            };
            sum += bytes(&status);
            if sum > enough {
                return Ok(sum);
            }
            if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
                pending.push(next.below(name.to_bytes(), &folder));
            }
        }
    }
    Ok(sum)
}

impl Pending {
    /// A folder of that name in `folder`, which is this one. Where the path would be too long, it begins there.
    fn below(&self, name: &[u8], folder: &Rc<OwnedFd>) -> Self {
        if self.path.len() + name.len() < LONGEST_PATH {
            Self {
                base: Rc::clone(&self.base),
                path: [&self.path[..], name].join(&b'/'),
            }
        } else {
            Self {
                base: Rc::clone(folder),
                path: name.to_vec(),
            }
        }
    }
}

/// Opens a folder, unless it is none or is gone. The last part of the path is never followed if it is a link: the
/// confined program may change the tree during the walk.
fn open(at: impl AsFd, path: impl Arg, resolve: ResolveFlags) -> rustix::io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    unless_exhausted(rustix::fs::openat2(at, path, flags, Mode::empty(), resolve))
}

/// Passes on an error that says that there are no descriptors or no memory left; for any other one there is nothing.
fn unless_exhausted<T>(result: rustix::io::Result<T>) -> rustix::io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => Err(error),
        Err(_) => Ok(None),
    }
}

fn bytes(status: &rustix::fs::Stat) -> u64 {
    let names = match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => 1,
        _ => u64::from(u32::try_from(status.st_nlink).unwrap_or(1)).max(1),
    };
    let blocks = u64::try_from(status.st_blocks).unwrap_or_default();
    blocks.saturating_mul(512).max(INODE) / names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, camino::Utf8PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = camino::Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
        (folder, path)
    }

    #[test]
    fn what_is_deep_counts() {
        let (_guard, path) = folder();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut at = rustix::fs::open(path.as_str(), flags, Mode::empty()).expect("opened");
        // Longer than PATH_MAX, and than the longest path from one open folder.
        let (name, levels) = ("a-name-of-thirty-two-characters-", 300);
        for _ in 0..levels {
            rustix::fs::mkdirat(&at, name, Mode::RWXU).expect("made");
            at = rustix::fs::openat(&at, name, flags, Mode::empty()).expect("opened");
        }
        let create = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&at, "large", create, Mode::RUSR).expect("made");
        let content = vec![1; 3 << 20];
        assert_eq!(rustix::io::write(&file, &content).expect("written"), content.len());
        let used = used_below(&path, u64::MAX).expect("measured");
        let least = (3 << 20) + levels * INODE;
        assert!((least..least + (4 << 20)).contains(&used), "{used}");
    }

    #[test]
    fn empty_files_count() {
        let (_guard, path) = folder();
        for number in 0..100 {
            std::fs::write(path.join(number.to_string()), "").expect("written");
        }
        assert_eq!(used_below(&path, u64::MAX).expect("measured"), 100 * INODE);
        // No further than asked.
        assert_eq!(used_below(&path, 9 * INODE).expect("measured"), 10 * INODE);
    }

    #[test]
    fn a_file_counts_once_by_all_its_names() {
        let (_guard, path) = folder();
        std::fs::write(path.join("file"), vec![1; 1 << 20]).expect("written");
        for name in ["second", "third", "fourth"] {
            std::fs::hard_link(path.join("file"), path.join(name)).expect("linked");
        }
        let used = used_below(&path, u64::MAX).expect("measured");
        assert!((1 << 20..2 << 20).contains(&used), "{used}");
        assert!(used_below(&path.join("file"), u64::MAX).expect("measured") >= 1 << 18);
    }
}
