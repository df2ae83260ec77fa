//! Properties of the mount that a store lies on: locks that hold on one machine only, overlays that the kernel refuses.

use camino::Utf8Path;

/// File systems besides FUSE that look every name up anew, as those of a network do: overlayfs takes them as lower
/// layers only (`ovl_dentry_remote` in Linux).
const REMOTE: &[&str] = &[
    "9p", "afs", "ceph", "cifs", "coda", "gfs2", "lustre", "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "virtiofs",
];

/// Returns the reason why locks in `path` do not exclude other machines; `None` when there is no sign of one.
///
/// NFS can be mounted so that locks never reach the server. Between processes of one machine, they work all the same.
pub(crate) fn local_locks(path: &Utf8Path) -> Option<String> {
    // Without /proc, nothing is known and nothing reported.
    let table = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    without_locks(&table, path)
}

/// Returns `true` if overlayfs takes folders in `path` as the writable layer.
pub(crate) fn takes_overlays(path: &Utf8Path) -> bool {
    // Without /proc, the kernel says so in an error.
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    !is_remote(&table, path)
}

fn is_remote(table: &str, path: &Utf8Path) -> bool {
    find(table, path).is_some_and(|mount| mount.kind.starts_with("fuse") || REMOTE.contains(&mount.kind))
}

/// Finds the mount of a path by a table in the format of proc_pid_mountinfo(5).
fn find<'a>(table: &'a str, path: &Utf8Path) -> Option<Mount<'a>> {
    let mounts = table.lines().filter_map(parse);
    let around = mounts.filter(|mount| path.starts_with(&mount.point));
    // Of several mounts on the same folder, the last one hides the others.
    around.reduce(|one, other| {
        if other.point.len() >= one.point.len() {
            other
        } else {
            one
        }
    })
}

fn without_locks(table: &str, path: &Utf8Path) -> Option<String> {
    let mount = find(table, path)?;
    let is_nfs = matches!(mount.kind, "nfs" | "nfs4");
    let local = ["nolock", "local_lock=flock", "local_lock=all"];
    let option = mount.options.split(',').find(|option| local.contains(option));
    option
        .filter(|_| is_nfs)
        .map(|option| format!("`{}` is mounted with the option {option}", mount.point))
}

struct Mount<'a> {
    point: String,
    kind: &'a str,
    options: &'a str,
}

/// Parses a line: `36 35 98:0 /root /point rw,noatime master:1 - nfs server:/path rw,nolock`.
fn parse(line: &str) -> Option<Mount<'_>> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut fields = file_system.split(' ');
    let (kind, _source, options) = (fields.next()?, fields.next()?, fields.next()?);
    let point = unescape(mount.split(' ').nth(4)?);
    Some(Mount { point, kind, options })
}

/// Replaces the escapes of a path: white space and backslashes are written as a backslash and three octal digits.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (written, meant)| text.replace(written, meant))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /net rw,relatime shared:2 - nfs4 server:/net rw,vers=4.2,local_lock=none
31 22 0:41 / /old rw,relatime - nfs server:/old rw,vers=3,nolock,local_lock=all
32 31 254:0 / /old/disk rw,relatime - ext4 /dev/vda rw
33 22 0:42 / /with\\040space rw,relatime - nfs server:/a rw,local_lock=flock
34 22 0:43 / /twice rw,relatime - nfs server:/a rw,nolock
35 34 0:44 / /twice rw,relatime - tmpfs tmpfs rw,nolock
36 22 0:45 / /mnt/ssh rw,relatime - fuse.sshfs host:/a rw,user_id=0
";

    #[test]
    fn only_network_mounts_without_locks_are_named() {
        for (path, named) in [
            ("/home/user/.cache/basalt", false),
            ("/net/store", false),
            ("/old/store", true),
            ("/old", true),
            ("/older/store", false),
            ("/old/disk/store", false),
            ("/with space/store", true),
            ("/twice/store", false),
        ] {
            assert_eq!(without_locks(TABLE, Utf8Path::new(path)).is_some(), named, "{path}");
        }
        let reason = without_locks(TABLE, Utf8Path::new("/old/store")).expect("named");
        assert_eq!(reason, "`/old` is mounted with the option nolock");
        assert_eq!(without_locks("nonsense\n1 2 3 - nfs", Utf8Path::new("/old")), None);
    }

    #[test]
    fn network_mounts_are_no_writable_layers() {
        for (path, remote) in [
            ("/home/user/.cache/basalt", false),
            ("/net/store", true),
            ("/old/disk/store", false),
            ("/mnt/ssh/store", true),
            ("/twice/store", false),
        ] {
            assert_eq!(is_remote(TABLE, Utf8Path::new(path)), remote, "{path}");
        }
        assert!(!is_remote("", Utf8Path::new("/")));
    }
}
