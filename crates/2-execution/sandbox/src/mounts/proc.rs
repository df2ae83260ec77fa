//! `/proc` of a sandbox: its own processes, and nothing that reaches beyond them.

use camino::Utf8Path;
use rustix::io::Errno;
use rustix::mount::MountFlags;

use super::paths::Place;
use super::{NO_EXEC, NO_SUID, READ_ONLY, attach_at, clone_tree, mount_failed};
use crate::SandboxError;
use crate::syscalls::mount_set_attributes;

/// Files with data of the host's kernel, memory and keys, which no build needs: they are empty.
const EMPTY_FILES: &[&str] = &[
    "config.gz",
    "kallsyms",
    "kcore",
    "keys",
    "key-users",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "modules",
    "sched_debug",
    "slabinfo",
    "timer_list",
    "timer_stats",
    "vmallocinfo",
];
/// Folders of the same kind.
const EMPTY_FOLDERS: &[&str] = &["acpi", "asound", "driver", "pressure", "scsi"];

/// Mounts the `proc` of our PID namespace.
pub(super) fn mount(target: &Utf8Path) -> Result<(), SandboxError> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", target.as_std_path(), "proc", flags, c"").map_err(|source| SandboxError::Mount {
        what: "proc".to_owned(),
        path: "/proc".into(),
        help: (source == Errno::PERM).then(|| {
            "parts of /proc are hidden here, as in a container, and the kernel then refuses a new one. Let the container \
             see all of it: `--security-opt systempaths=unconfined` (Docker), `--security-opt unmask=ALL` (Podman), \
             `procMount: Unmasked` (Kubernetes)"
                .to_owned()
        }),
        source,
    })
}

/// Mounts over the parts that reach beyond the sandbox's processes, and makes all of it read-only: settings, the modes of
/// files, which the kernel keeps for the whole machine, and what others may change of process 1.
pub(super) fn mask(place: &Place) -> Result<(), SandboxError> {
    let proc = place.path();
    let shown = |name: &str| Utf8Path::new("/proc").join(name);
    for name in EMPTY_FILES {
        let path = proc.join(name);
        if path.exists() {
            let tree = clone_tree(Utf8Path::new("/dev/null"), NO_SUID | NO_EXEC | READ_ONLY)?;
            attach_at(&tree, &path).map_err(mount_failed("an empty file", &shown(name)))?;
        }
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
    for name in EMPTY_FOLDERS {
        let path = proc.join(name);
        if path.is_dir() {
            rustix::mount::mount("tmpfs", path.as_std_path(), "tmpfs", flags, c"size=4k,mode=0555")
                .map_err(mount_failed("an empty folder", &shown(name)))?;
        }
    }
    mount_set_attributes(place.as_fd(), READ_ONLY).map_err(mount_failed("a read-only proc", Utf8Path::new("/proc")))
}
