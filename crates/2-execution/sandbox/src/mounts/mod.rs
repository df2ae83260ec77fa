//! The mounts of a sandbox.
//!
//! All that is taken from the host is opened before anything is mounted: binds as detached mounts (`open_tree`), layers of
//! overlays as `O_PATH` descriptors. The new root is put together on a tmpfs that covers a folder which every system
//! has, then becomes the root of the mount namespace, from which the host's is unmounted.

mod overlay;
mod paths;
mod proc;

pub use self::overlay::{OVERLAYFS_HELP, is_overlayfs};

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, IntoRawFd as _, OwnedFd};
use std::os::unix::fs::symlink;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{CWD, FileType};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};

use self::paths::{make_file, make_folder, open_root};
use crate::syscalls::mount_set_attributes;
use crate::{ConfinementLayer, Mount, Network, Sandbox, SandboxError};

/// Folder on which the new root is assembled, under a tmpfs; every system has it.
const STAGE: &str = "/tmp";
/// Device nodes that every program may use.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
const NO_SUID: u64 = libc::MOUNT_ATTR_NOSUID;
const NO_DEVICES: u64 = libc::MOUNT_ATTR_NODEV;
const NO_EXEC: u64 = libc::MOUNT_ATTR_NOEXEC;

/// Mounts the sandbox's root, and makes it ours. Returns its `proc` as a mount that has no place and can be written to.
pub(crate) fn enter(sandbox: &Sandbox) -> Result<OwnedFd, SandboxError> {
    // Nothing of what follows may reach the host.
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(SandboxError::call("mount --make-rprivate /"))?;
    let opened = Opened::new(sandbox)?;
    let stage = Utf8PathBuf::from(STAGE);
    filesystem("tmpfs", &stage, &stage, &tmpfs_options(sandbox, "0755"))?;
    let new_root = stage.join("root");
    fs::create_dir(&new_root).map_err(SandboxError::path(new_root.clone()))?;
    opened.root(&stage, &new_root)?;
    let root = open_root(&new_root)?;
    devices(sandbox, &root)?;
    let proc = kernel_filesystems(sandbox, &root)?;
    for (mount, sources) in sandbox.mounts.iter().zip(&opened.mounts) {
        match (mount, sources) {
            (Mount::Bind { to, .. }, Source::Tree(tree)) => attach(tree, &root, to)?,
            (Mount::Stack { to, .. }, Source::Layers(layers)) => {
                let place = make_folder(&root, to)?;
                overlay::read_only(layers, &stage, &place.path(), to)?;
            }
            (Mount::Memory { to }, _) => {
                let options = tmpfs_options(sandbox, "1777");
                filesystem("tmpfs", &make_folder(&root, to)?.path(), to, &options)?;
            }
            (Mount::Stack { .. }, _) => {}
            (Mount::Bind { .. }, _) => {}
        }
    }
    change_root(sandbox, &new_root)?;
    if !sandbox.policy.is_enforced(ConfinementLayer::Descriptors) {
        opened.leak();
    }
    Ok(proc)
}

fn change_root(sandbox: &Sandbox, new_root: &Utf8Path) -> Result<(), SandboxError> {
    rustix::process::chdir(new_root.as_std_path()).map_err(SandboxError::call("chdir"))?;
    if sandbox.policy.is_enforced(ConfinementLayer::PivotRoot) {
        // With both arguments the same, the old root ends up on top of the new one, from where it is taken away.
        rustix::process::pivot_root(".", ".").map_err(SandboxError::call("pivot_root"))?;
        rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(SandboxError::call("umount"))?;
    } else {
        rustix::process::chroot(".").map_err(SandboxError::call("chroot"))?;
    }
    rustix::process::chdir("/").map_err(SandboxError::call("chdir"))
}

/// Files and folders of the host, opened before the first mount, so that they stay the same whatever is mounted over
/// their paths.
struct Opened {
    layers: Vec<OwnedFd>,
    scratch: Option<OwnedFd>,
    mounts: Vec<Source>,
}

enum Source {
    /// A detached mount, with its final attributes.
    Tree(OwnedFd),
    /// `O_PATH` descriptors.
    Layers(Vec<OwnedFd>),
    Nothing,
}

impl Opened {
    fn new(sandbox: &Sandbox) -> Result<Self, SandboxError> {
        let all = |paths: &[Utf8PathBuf]| paths.iter().map(|path| open(path)).collect::<Result<Vec<_>, _>>();
        let read_only = read_only(sandbox);
        let mounts = sandbox.mounts.iter().map(|mount| match mount {
            Mount::Bind { from, writable, .. } => {
                let attributes = NO_SUID | NO_DEVICES | if *writable { 0 } else { read_only };
                clone_tree(from, attributes).map(Source::Tree)
            }
            Mount::Stack { layers, .. } => all(layers).map(Source::Layers),
            Mount::Memory { .. } => Ok(Source::Nothing),
        });
        Ok(Self {
            layers: all(&sandbox.root.layers)?,
            scratch: sandbox.root.scratch.as_deref().map(open).transpose()?,
            mounts: mounts.collect::<Result<_, _>>()?,
        })
    }

    /// Mounts the overlay of the root.
    fn root(&self, stage: &Utf8Path, target: &Utf8Path) -> Result<(), SandboxError> {
        let place = match &self.scratch {
            Some(scratch) => Utf8PathBuf::from(format!("/proc/self/fd/{}", scratch.as_raw_fd())),
            None => stage.join("memory"),
        };
        for folder in [&place.join("upper"), &place.join("work")] {
            fs::create_dir_all(folder).map_err(SandboxError::path(folder.clone()))?;
        }
        overlay::writable(&self.layers, self.scratch.as_ref(), &place, stage, target)
    }

    /// For tests that show what the closing of these descriptors prevents.
    fn leak(self) {
        for descriptor in self.layers.into_iter().chain(self.scratch) {
            let _ = descriptor.into_raw_fd();
        }
    }
}

fn open(path: &Utf8Path) -> Result<OwnedFd, SandboxError> {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    rustix::fs::open(path.as_std_path(), flags, rustix::fs::Mode::empty())
        .map_err(|source| SandboxError::path(path)(source.into()))
}

/// The attribute of binds that the program may not change.
fn read_only(sandbox: &Sandbox) -> u64 {
    if sandbox.policy.is_enforced(ConfinementLayer::ReadOnly) {
        READ_ONLY
    } else {
        0
    }
}

/// A detached copy of the mounts at a path and below it, with more attributes (`MOUNT_ATTR_*`).
fn clone_tree(path: &Utf8Path, attributes: u64) -> Result<OwnedFd, SandboxError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = rustix::mount::open_tree(CWD, path.as_std_path(), flags)
        .map_err(|source| SandboxError::path(path)(source.into()))?;
    mount_set_attributes(tree.as_fd(), attributes).map_err(mount_failed("a file or folder of the host", path))?;
    Ok(tree)
}

/// Attaches a detached mount in the new root; its mount point is made as needed.
fn attach(tree: &OwnedFd, root: &OwnedFd, to: &Utf8Path) -> Result<(), SandboxError> {
    let failed = || mount_failed("a file or folder of the host", to);
    let kind = FileType::from_raw_mode(rustix::fs::fstat(tree).map_err(failed())?.st_mode);
    let place = if kind == FileType::Directory {
        make_folder(root, to)?
    } else {
        make_file(root, to)?
    };
    attach_at(tree, &place.path()).map_err(failed())
}

fn attach_at(tree: &OwnedFd, target: &Utf8Path) -> rustix::io::Result<()> {
    // A path of /proc is a link to what is held open.
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
    rustix::mount::move_mount(tree, c"", CWD, target.as_std_path(), flags)
}

fn mount_failed(what: impl Into<String>, path: &Utf8Path) -> impl FnOnce(Errno) -> SandboxError {
    let (what, path) = (what.into(), path.to_owned());
    move |source| SandboxError::Mount {
        what,
        path,
        help: None,
        source,
    }
}

/// The options of a tmpfs. A full one stops a program at twice of what the limit of memory ends it for.
fn tmpfs_options(sandbox: &Sandbox, mode: &str) -> String {
    let size = sandbox.limits.memory.or(sandbox.limits.disk);
    let size = size.map(|bytes| format!(",size={}", bytes.saturating_mul(2)));
    format!("mode={mode}{}", size.unwrap_or_default())
}

/// Mounts a filesystem at `target`, which errors call `shown`.
fn filesystem(kind: &str, target: &Utf8Path, shown: &Utf8Path, options: &str) -> Result<(), SandboxError> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let options = CString::new(options).map_err(|_| mount_failed(kind, shown)(Errno::INVAL))?;
    rustix::mount::mount(kind, target.as_std_path(), kind, flags, options.as_c_str()).map_err(mount_failed(kind, shown))
}

/// A read-only `/proc` of the sandbox's own processes, and a read-only `/sys`. Returns the former as [`enter`] does.
fn kernel_filesystems(sandbox: &Sandbox, root: &OwnedFd) -> Result<OwnedFd, SandboxError> {
    let place = make_folder(root, Utf8Path::new("/proc"))?;
    if sandbox.policy.is_enforced(ConfinementLayer::ProcessNamespace) {
        proc::mount(&place.path())?;
    } else {
        let tree = clone_tree(Utf8Path::new("/proc"), NO_SUID | NO_DEVICES | NO_EXEC)?;
        attach_at(&tree, &place.path()).map_err(mount_failed("proc", Utf8Path::new("/proc")))?;
    }
    let mounted = make_folder(root, Utf8Path::new("/proc"))?;
    let writable = clone_tree(&mounted.path(), NO_SUID | NO_DEVICES | NO_EXEC)?;
    if sandbox.policy.is_enforced(ConfinementLayer::ProcMasks) {
        proc::mask(&mounted)?;
    }
    let sys = make_folder(root, Utf8Path::new("/sys"))?;
    if sandbox.network == Network::None {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
        // Only who owns the network namespace may mount it; a build that misses it misses nothing.
        let _ = rustix::mount::mount("sysfs", sys.path().as_std_path(), "sysfs", flags, c"");
    }
    Ok(writable)
}

fn devices(sandbox: &Sandbox, root: &OwnedFd) -> Result<(), SandboxError> {
    let folder = Utf8Path::new("/dev");
    let options = tmpfs_options(sandbox, "0755");
    filesystem("tmpfs", &make_folder(root, folder)?.path(), folder, &options)?;
    // Opened again: what is mounted there now.
    let dev = make_folder(root, folder)?;
    let common = DEVICES.iter().map(|name| folder.join(name));
    for path in common.chain(sandbox.devices.iter().cloned()) {
        if path.exists() {
            // What is read-only is the node: its mode and times are the host's. The device can be written to.
            let attributes = NO_SUID | NO_EXEC | read_only(sandbox);
            attach(&clone_tree(&path, attributes)?, root, &path)?;
        }
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, dev.path().join(name)).map_err(SandboxError::path(folder.join(name)))?;
    }
    let (shm, options) = (folder.join("shm"), tmpfs_options(sandbox, "1777"));
    filesystem("tmpfs", &make_folder(root, &shm)?.path(), &shm, &options)?;
    let pts = make_folder(root, &folder.join("pts"))?;
    // Its nodes are terminals of its own, which have to open.
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    let options = c"newinstance,ptmxmode=0666,mode=0620";
    rustix::mount::mount("devpts", pts.path().as_std_path(), "devpts", flags, options)
        .map_err(mount_failed("devpts", &folder.join("pts")))
}
