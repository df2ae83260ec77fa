//! Mounted file systems and swap.

use crate::HostMount;
use crate::reader::InventoryReader;

/// Types of file systems that the kernel, the system or containers mount.
const KINDS: [&str; 29] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.lxcfs",
    "fuse.snapfuse",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "nfsd",
];

/// Folders below which others than people mount.
const FOLDERS: [&str; 10] = [
    "/boot",
    "/dev",
    "/proc",
    "/run",
    "/snap",
    "/sys",
    "/var/lib/containerd",
    "/var/lib/docker",
    "/var/lib/kubelet",
    "/var/snap",
];

/// File systems that somebody mounted.
pub(crate) fn mounts(reader: &mut InventoryReader) -> Vec<HostMount> {
    let text = reader.text("/proc/self/mounts").unwrap_or_default();
    let mounts = text.lines().filter_map(mount);
    let mut mounts: Vec<HostMount> = mounts.filter(is_of_people).collect();
    mounts.dedup();
    mounts
}

/// Line of fstab(5): source, folder, type.
fn mount(line: &str) -> Option<HostMount> {
    let mut parts = line.split(' ');
    Some(HostMount {
        source: plain(parts.next()?),
        path: plain(parts.next()?),
        kind: parts.next()?.to_owned(),
    })
}

/// Text whose spaces, tabs, line breaks and backslashes the kernel wrote in octal.
fn plain(text: &str) -> String {
    let text = text.replace("\\040", " ").replace("\\011", "\t");
    text.replace("\\012", "\n").replace("\\134", "\\")
}

fn is_of_people(mount: &HostMount) -> bool {
    let is_below = |folder: &&str| {
        let rest = mount.path.strip_prefix(*folder);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    mount.path != "/" && !KINDS.contains(&mount.kind.as_str()) && !FOLDERS.iter().any(is_below)
}

/// Swap spaces in use.
pub(crate) fn swaps(reader: &mut InventoryReader) -> Vec<String> {
    let text = reader.text("/proc/swaps").unwrap_or_default();
    let lines = text.lines().skip(1);
    lines
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}
