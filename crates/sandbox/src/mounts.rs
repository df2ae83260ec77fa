//! The mounts of a sandbox.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::symlink;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use crate::{Mount, Network, Root, Sandbox, SandboxError};

/// Where the new root is put together: any folder that every system has and that nothing below is mounted on.
const STAGE: &str = "/tmp";
/// Device nodes that every program may use.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

/// Mounts the sandbox's root, and makes it ours.
pub(crate) fn enter(sandbox: &Sandbox) -> Result<(), SandboxError> {
    // Nothing of what follows may reach the host.
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(SandboxError::call("mount --make-rprivate /"))?;
    // Binding and stacking follow the host's paths, which /tmp may lie on: they are opened before it is covered.
    let root = Utf8PathBuf::from(STAGE);
    let pinned = pin(sandbox)?;
    filesystem("tmpfs", &root, Some("mode=0755"))?;
    let work = root.join("work");
    let new_root = root.join("root");
    for folder in [&work, &new_root] {
        fs::create_dir(folder).map_err(SandboxError::path(folder.clone()))?;
    }
    stack_root(&pinned.root, &pinned.scratch, &work, &new_root)?;
    devices(sandbox, &new_root)?;
    filesystem("proc", &make_folder(&new_root, "/proc")?, None)?;
    let sys = make_folder(&new_root, "/sys")?;
    if sandbox.network == Network::None {
        // Only who owns the network namespace may mount it; a build that misses it misses nothing.
        drop(filesystem("sysfs", &sys, None));
    }
    for (mount, sources) in sandbox.mounts.iter().zip(&pinned.mounts) {
        match mount {
            Mount::Bind { to, writable, .. } => bind(&sources[0], &new_root, to, *writable)?,
            Mount::Stack { to, .. } => {
                let target = make_folder(&new_root, to.as_str())?;
                stack(sources, None, &target)?;
            }
            Mount::Memory { to } => filesystem("tmpfs", &make_folder(&new_root, to.as_str())?, Some("mode=1777"))?,
        }
    }
    rustix::process::chdir(new_root.as_std_path()).map_err(SandboxError::call("chdir"))?;
    // With both arguments the same, the old root ends up on top of the new one, from where it is taken away.
    rustix::process::pivot_root(".", ".").map_err(SandboxError::call("pivot_root"))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(SandboxError::call("umount"))?;
    rustix::process::chdir("/").map_err(SandboxError::call("chdir"))
}

/// The host's paths, each as a path through an open file, which stays true whatever is mounted over it.
struct Pinned {
    root: Vec<Utf8PathBuf>,
    scratch: Option<Utf8PathBuf>,
    mounts: Vec<Vec<Utf8PathBuf>>,
}

fn pin(sandbox: &Sandbox) -> Result<Pinned, SandboxError> {
    use std::os::fd::IntoRawFd as _;
    let pin_one = |path: &Utf8PathBuf| {
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let file = rustix::fs::open(path.as_std_path(), flags, rustix::fs::Mode::empty())
            .map_err(|source| SandboxError::path(path.clone())(source.into()))?;
        // It stays open until the program is started.
        Ok(Utf8PathBuf::from(format!("/proc/self/fd/{}", file.into_raw_fd())))
    };
    let pin_all = |paths: &[Utf8PathBuf]| paths.iter().map(pin_one).collect::<Result<Vec<_>, SandboxError>>();
    let Root { layers, scratch } = &sandbox.root;
    let mounts = sandbox.mounts.iter().map(|mount| match mount {
        Mount::Bind { from, .. } => pin_all(std::slice::from_ref(from)),
        Mount::Stack { layers, .. } => pin_all(layers),
        Mount::Memory { .. } => Ok(Vec::new()),
    });
    Ok(Pinned {
        root: pin_all(layers)?,
        scratch: scratch.as_ref().map(pin_one).transpose()?,
        mounts: mounts.collect::<Result<_, _>>()?,
    })
}

fn stack_root(
    layers: &[Utf8PathBuf],
    scratch: &Option<Utf8PathBuf>,
    memory: &Utf8Path,
    target: &Utf8Path,
) -> Result<(), SandboxError> {
    let place = scratch.as_deref().unwrap_or(memory);
    let (upper, work) = (place.join("upper"), place.join("work"));
    for folder in [&upper, &work] {
        fs::create_dir_all(folder).map_err(SandboxError::path(folder.clone()))?;
    }
    stack(layers, Some((&upper, &work)), target)
}

/// An overlay of `layers`, the uppermost first.
fn stack(layers: &[Utf8PathBuf], upper: Option<(&Utf8Path, &Utf8Path)>, target: &Utf8Path) -> Result<(), SandboxError> {
    let failed = |source| SandboxError::Mount {
        what: format!("a stack of {} trees", layers.len()),
        path: target.to_owned(),
        source,
    };
    if let (Some([only]), None) = (layers.first_chunk::<1>().filter(|_| layers.len() == 1), upper) {
        // An overlay wants two layers at least.
        return rustix::mount::mount_bind(only.as_std_path(), target.as_std_path())
            .and_then(|()| read_only(target))
            .map_err(failed);
    }
    if layers.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = layers.iter().map(|layer| layer.as_str()).collect();
    let mut options = format!("userxattr,lowerdir={}", names.join(":"));
    if let Some((upper, work)) = upper {
        options += &format!(",upperdir={upper},workdir={work}");
    }
    let options = CString::new(options).map_err(|_| failed(rustix::io::Errno::INVAL))?;
    rustix::mount::mount(
        c"overlay",
        target.as_std_path(),
        c"overlay",
        MountFlags::empty(),
        Some(options.as_c_str()),
    )
    .map_err(failed)
}

fn bind(from: &Utf8Path, root: &Utf8Path, to: &Utf8Path, writable: bool) -> Result<(), SandboxError> {
    let target = if fs::metadata(from).is_ok_and(|metadata| metadata.is_dir()) {
        make_folder(root, to.as_str())?
    } else {
        make_file(root, to.as_str())?
    };
    let failed = |source| SandboxError::Mount {
        what: "a file or folder of the host".to_owned(),
        path: to.to_owned(),
        source,
    };
    rustix::mount::mount_bind_recursive(from.as_std_path(), target.as_std_path()).map_err(failed)?;
    if !writable {
        read_only(&target).map_err(failed)?;
    }
    Ok(())
}

/// Bind mounts take "read-only" only when they are mounted again, with the flags that the host has locked.
fn read_only(target: &Utf8Path) -> rustix::io::Result<()> {
    let mut flags = MountFlags::BIND | MountFlags::RDONLY;
    let held = rustix::fs::statvfs(target.as_std_path())?.f_flag;
    for (there, flag) in [
        (rustix::fs::StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (rustix::fs::StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (rustix::fs::StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
    ] {
        flags.set(flag, held.contains(there));
    }
    rustix::mount::mount_remount(target.as_std_path(), flags, c"")
}

fn filesystem(kind: &str, target: &Utf8Path, options: Option<&str>) -> Result<(), SandboxError> {
    let options = options.and_then(|options| CString::new(options).ok());
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount(kind, target.as_std_path(), kind, flags, options.as_deref()).map_err(|source| {
        SandboxError::Mount {
            what: kind.to_owned(),
            path: target.to_owned(),
            source,
        }
    })
}

fn devices(sandbox: &Sandbox, root: &Utf8Path) -> Result<(), SandboxError> {
    let dev = make_folder(root, "/dev")?;
    filesystem("tmpfs", &dev, Some("mode=0755"))?;
    let common = DEVICES.iter().map(|name| Utf8Path::new("/dev").join(name));
    for path in common.chain(sandbox.devices.iter().cloned()) {
        if path.exists() {
            bind(&path, root, &path, true)?;
        }
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, dev.join(name)).map_err(SandboxError::path(dev.join(name)))?;
    }
    filesystem("tmpfs", &make_folder(root, "/dev/shm")?, Some("mode=1777"))?;
    filesystem(
        "devpts",
        &make_folder(root, "/dev/pts")?,
        Some("newinstance,ptmxmode=0666,mode=0620"),
    )?;
    symlink("pts/ptmx", dev.join("ptmx")).map_err(SandboxError::path(dev.join("ptmx")))
}

/// Makes a folder of the sandbox, following links only within the sandbox's root.
fn make_folder(root: &Utf8Path, path: &str) -> Result<Utf8PathBuf, SandboxError> {
    let path = resolve(root, path);
    fs::create_dir_all(&path).map_err(SandboxError::path(path.clone()))?;
    Ok(path)
}

fn make_file(root: &Utf8Path, path: &str) -> Result<Utf8PathBuf, SandboxError> {
    let path = resolve(root, path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(SandboxError::path(folder))?;
    }
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .map_err(SandboxError::path(path.clone()))?;
    Ok(path)
}

/// The host's name of a path of the sandbox: links like `/bin -> usr/bin` are followed, but never out of the root.
fn resolve(root: &Utf8Path, path: &str) -> Utf8PathBuf {
    let mut resolved = root.to_owned();
    let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match part.as_str() {
            "" | "." => {}
            ".." => {
                if resolved != root {
                    resolved.pop();
                }
            }
            name => {
                let next = resolved.join(name);
                match next.read_link_utf8() {
                    Ok(target) if links < 40 => {
                        links += 1;
                        if target.is_absolute() {
                            resolved = root.to_owned();
                        }
                        rest.extend(target.as_str().split('/').rev().map(str::to_owned));
                    }
                    _ => resolved = next,
                }
            }
        }
    }
    resolved
}
