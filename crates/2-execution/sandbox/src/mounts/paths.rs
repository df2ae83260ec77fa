//! Mount points in the new root, while it is still a folder of the host.
//!
//! The trees of a root are built by others, so that their symbolic links may lead anywhere. The kernel resolves every path
//! with the new root as `/` (`openat2` with RESOLVE_IN_ROOT), whatever stands in the links.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::SandboxError;

/// A file or folder of the new root that is held open.
pub(super) struct Place(OwnedFd);

impl Place {
    /// Its descriptor.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// A path that leads there as long as this object lives.
    pub(super) fn path(&self) -> Utf8PathBuf {
        Utf8PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

/// Opens the folder that is to become the root.
pub(super) fn open_root(path: &Utf8Path) -> Result<OwnedFd, SandboxError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path.as_std_path(), flags, Mode::empty()).map_err(|source| SandboxError::path(path)(source.into()))
}

/// Makes a folder of the sandbox with those above it, unless it is there.
pub(super) fn make_folder(root: &OwnedFd, path: &Utf8Path) -> Result<Place, SandboxError> {
    folder(root, path)
        .map(Place)
        .map_err(|source| SandboxError::path(path)(source.into()))
}

/// Makes an empty file of the sandbox, unless there is something.
pub(super) fn make_file(root: &OwnedFd, path: &Utf8Path) -> Result<Place, SandboxError> {
    let make = || {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::ISDIR);
        };
        match resolve(root, path, OFlags::empty()) {
            Err(Errno::NOENT) => {
                let parent = folder(root, parent)?;
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644))?;
                resolve(root, path, OFlags::empty())
            }
            found => found,
        }
    };
    make()
        .map(Place)
        .map_err(|source| SandboxError::path(path)(source.into()))
}

fn folder(root: &OwnedFd, path: &Utf8Path) -> rustix::io::Result<OwnedFd> {
    let mut place = resolve(root, Utf8Path::new("/"), OFlags::DIRECTORY)?;
    let mut below = Utf8PathBuf::from("/");
    for part in path.components() {
        let name = part.as_str();
        below.push(name);
        place = match resolve(root, &below, OFlags::DIRECTORY) {
            Err(Errno::NOENT) => {
                rustix::fs::mkdirat(&place, name, Mode::from_raw_mode(0o755))?;
                resolve(root, &below, OFlags::DIRECTORY)?
            }
            found => found?,
        };
    }
    Ok(place)
}

fn resolve(root: &OwnedFd, path: &Utf8Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    rustix::io::retry_on_intr(|| rustix::fs::openat2(root, path.as_std_path(), flags, Mode::empty(), how))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_never_lead_out_of_the_root() {
        let folder = tempfile::tempdir().expect("a folder");
        let outer = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let root = outer.join("root");
        fs::create_dir_all(root.join("usr/bin")).expect("made");
        fs::create_dir(root.join("etc")).expect("made");
        symlink("usr/bin", root.join("bin")).expect("linked");
        symlink("/../../../etc", root.join("out")).expect("linked");
        symlink("loop", root.join("loop")).expect("linked");
        symlink(format!("{outer}"), root.join("host")).expect("linked");
        let odd = std::ffi::OsStr::from_bytes(b"/tmp/\xff/..");
        symlink(odd, root.join("odd")).expect("linked");
        let root_fd = open_root(&root).expect("opened");
        for (path, made) in [
            ("/bin/sub", "usr/bin/sub"),
            ("/../../../x", "x"),
            ("/out/sub", "etc/sub"),
            ("/a/b/c", "a/b/c"),
        ] {
            make_folder(&root_fd, Utf8Path::new(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(root.join(made).is_dir(), "{path}");
        }
        make_file(&root_fd, Utf8Path::new("/out/file")).expect("made");
        assert!(root.join("etc/file").is_file());
        for path in ["/loop/x", "/host/x", "/odd/x"] {
            assert!(make_folder(&root_fd, Utf8Path::new(path)).is_err(), "{path}");
            assert!(make_file(&root_fd, Utf8Path::new(path)).is_err(), "{path}");
        }
        assert!(!outer.join("x").exists());
    }
}
