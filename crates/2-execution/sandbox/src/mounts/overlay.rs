//! Overlays of many trees.
//!
//! `mount(2)` takes one page of options, 4 KiB, for which the paths of a few dozen trees are too long. So each layer has a
//! name of up to three digits in a folder, a link to its open descriptor, and the mount is made from within that
//! folder: as many layers as the kernel stacks then fit, on every kernel. (The mount API's `lowerdir+` does the same from
//! Linux 6.8 on.)

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::symlink;

use camino::Utf8Path;
use rustix::io::Errno;
use rustix::mount::MountFlags;

use super::{NO_DEVICES, NO_SUID, READ_ONLY, attach_at, clone_tree, mount_failed};
use crate::SandboxError;

/// The most lower layers that overlayfs stacks: OVL_MAX_STACK.
const MOST: usize = 500;
/// The type of an overlay filesystem as `statfs` gives it: OVERLAYFS_SUPER_MAGIC.
const OVERLAYFS: i64 = 0x794c_7630;
/// Advice for a store on overlayfs.
pub const OVERLAYFS_HELP: &str = "the store lies on overlayfs, as in a container, which cannot be stacked again: mount a \
                                  volume there (`docker run -v basalt:/store -e BASALT_STORE=/store`)";

/// Returns `true` if a path lies on overlayfs, where no sandbox can have its scratch.
pub fn is_overlayfs(path: &Utf8Path) -> bool {
    rustix::fs::statfs(path.as_std_path()).is_ok_and(|status| status.f_type == OVERLAYFS)
}

/// Mounts an overlay of `layers`, the uppermost first, with `upper` and `work` in `place`.
pub(super) fn writable(
    layers: &[OwnedFd],
    scratch: Option<&OwnedFd>,
    place: &Utf8Path,
    stage: &Utf8Path,
    target: &Utf8Path,
) -> Result<(), SandboxError> {
    let options = format!(",upperdir={place}/upper,workdir={place}/work");
    overlay(layers, scratch, &options, stage, target, Utf8Path::new("/"))
}

/// Mounts `layers`, the uppermost first, read-only. Errors name `target` by its path in the sandbox, `shown`.
pub(super) fn read_only(
    layers: &[OwnedFd],
    stage: &Utf8Path,
    target: &Utf8Path,
    shown: &Utf8Path,
) -> Result<(), SandboxError> {
    if layers.is_empty() {
        return Ok(());
    }
    if let [only] = layers {
        // An overlay wants two layers at least.
        let path = format!("/proc/self/fd/{}", only.as_raw_fd());
        let tree = clone_tree(Utf8Path::new(&path), NO_SUID | NO_DEVICES | READ_ONLY)?;
        return attach_at(&tree, target).map_err(mount_failed("a tree", shown));
    }
    overlay(layers, None, "", stage, target, shown)
}

fn overlay(
    layers: &[OwnedFd],
    scratch: Option<&OwnedFd>,
    options: &str,
    stage: &Utf8Path,
    target: &Utf8Path,
    shown: &Utf8Path,
) -> Result<(), SandboxError> {
    if layers.len() > MOST {
        return Err(SandboxError::Layers {
            count: layers.len(),
            most: MOST,
        });
    }
    let failed = |source| SandboxError::Mount {
        what: format!("a stack of {} trees", layers.len()),
        path: shown.to_owned(),
        help: help(source, layers, scratch),
        source,
    };
    let names = stage.join("layers");
    fs::create_dir(&names).map_err(SandboxError::path(names.clone()))?;
    for (number, layer) in layers.iter().enumerate() {
        let name = names.join(number.to_string());
        symlink(format!("/proc/self/fd/{}", layer.as_raw_fd()), &name).map_err(SandboxError::path(name))?;
    }
    let lower: Vec<_> = (0..layers.len()).map(|number| number.to_string()).collect();
    let options = format!("userxattr,lowerdir={}{options}", lower.join(":"));
    let options = CString::new(options).map_err(|_| failed(Errno::INVAL))?;
    rustix::process::chdir(names.as_std_path()).map_err(SandboxError::call("chdir"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount(c"overlay", target.as_std_path(), c"overlay", flags, options.as_c_str()).map_err(failed)?;
    rustix::process::chdir("/").map_err(SandboxError::call("chdir"))?;
    fs::remove_dir_all(&names).map_err(SandboxError::path(names))
}

/// Advice where the kernel refuses an overlay because a layer is itself on overlayfs.
fn help(error: Errno, layers: &[OwnedFd], scratch: Option<&OwnedFd>) -> Option<String> {
    let mut descriptors = layers.iter().chain(scratch);
    let stacked = descriptors.any(|layer| rustix::fs::fstatfs(layer).is_ok_and(|status| status.f_type == OVERLAYFS));
    (matches!(error, Errno::INVAL | Errno::PERM) && stacked).then(|| OVERLAYFS_HELP.to_owned())
}
