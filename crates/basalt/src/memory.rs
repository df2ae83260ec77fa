//! Memory that builds may use: that of the machine, or of the control group that this process is in.

use camino::{Utf8Path, Utf8PathBuf};

/// Mount point of the control groups' file systems (file-hierarchy(7)).
const MOUNT: &str = "/sys/fs/cgroup";

/// Memory of the machine, and the limit of this process's control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Size of the RAM, in bytes.
    pub ram: u64,
    /// Lowest limit of a control group.
    pub limit: Option<MemoryLimit>,
}

/// Limit of memory that a control group has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryLimit {
    /// Number of bytes.
    pub bytes: u64,
    /// File that holds it.
    pub file: Utf8PathBuf,
}

impl Memory {
    /// Reads the memory that this process may use.
    pub fn read() -> Self {
        let info = rustix::system::sysinfo();
        let groups = fs_err::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self {
            ram: info.totalram as u64 * u64::from(info.mem_unit),
            limit: limit(&groups, |path| fs_err::read_to_string(path).ok()),
        }
    }

    /// Returns the number of bytes that may be used.
    pub fn usable(&self) -> u64 {
        self.limit.as_ref().map_or(self.ram, |limit| limit.bytes.min(self.ram))
    }
}

/// Returns three quarters of the memory that this process may use, in MiB.
pub fn for_builds() -> u64 {
    Memory::read().usable() / 4 * 3 / (1024 * 1024)
}

/// Returns the lowest memory limit among the control groups of a process and all groups above them.
///
/// `groups` is the text of `/proc/self/cgroup` (cgroups(7)): a line `0::/path` for version 2, and for version 1
/// `4:memory:/path`. In a container, the path may be the host's, of which nothing is mounted; the group at the mount
/// point is the container's then.
fn limit(groups: &str, read: impl Fn(&Utf8Path) -> Option<String>) -> Option<MemoryLimit> {
    let limits = files(groups).into_iter().filter_map(|file| {
        let bytes = read(&file)?.trim().parse().ok()?;
        Some(MemoryLimit { bytes, file })
    });
    limits.min_by_key(|limit| limit.bytes)
}

/// Lists the files with limits. One that says `max` or does not exist sets none.
fn files(groups: &str) -> Vec<Utf8PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let (mount, names): (Utf8PathBuf, &[&str]) = if controllers.is_empty() {
            (MOUNT.into(), &["memory.max", "memory.high"])
        } else if controllers.split(',').any(|name| name == "memory") {
            (Utf8Path::new(MOUNT).join("memory"), &["memory.limit_in_bytes"])
        } else {
            continue;
        };
        // `/..` leads above the root of the namespace, where nothing is mounted.
        let below = Utf8Path::new(path.trim_start_matches('/'));
        for group in below.ancestors() {
            files.extend(names.iter().map(|name| mount.join(group).join(name)));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_on_the_way_up_holds() {
        /// Text of `/proc/self/cgroup`, files with their content, and the limit.
        type Case = (&'static str, &'static [(&'static str, &'static str)], Option<u64>);
        let cases: [Case; 10] = [
            ("", &[], None),
            ("0::/\n", &[], None),
            ("0::/\n", &[("memory.max", "max\n")], None),
            ("0::/\n", &[("memory.max", "2147483648\n")], Some(2_147_483_648)),
            (
                "0::/a/b\n",
                &[("a/memory.max", "7\n"), ("a/b/memory.max", "max\n")],
                Some(7),
            ),
            (
                "0::/a/b\n",
                &[("a/memory.max", "7\n"), ("a/b/memory.max", "5\n")],
                Some(5),
            ),
            ("0::/a\n", &[("a/memory.max", "7\n"), ("a/memory.high", "6\n")], Some(6)),
            ("0::/docker/1f\n", &[("memory.max", "9\n")], Some(9)),
            (
                "5:cpu,cpuacct:/x\n4:memory:/y\n0::/\n",
                &[("memory/y/memory.limit_in_bytes", "3\n"), ("x/memory.max", "1\n")],
                Some(3),
            ),
            ("nonsense\n0::/a\n", &[("a/memory.max", "nonsense\n")], None),
        ];
        for (groups, files, expected) in cases {
            let read = |path: &Utf8Path| {
                let below = path.strip_prefix(MOUNT).ok()?;
                let found = files.iter().find(|(name, _)| *name == below.as_str());
                found.map(|(_, text)| (*text).to_owned())
            };
            let found = limit(groups, read).map(|limit| limit.bytes);
            assert_eq!(found, expected, "{groups:?} {files:?}");
        }
    }

    #[test]
    fn a_limit_above_the_ram_changes_nothing() {
        for (limit, usable) in [(None, 1000), (Some(10), 10), (Some(5000), 1000)] {
            let limit = limit.map(|bytes| MemoryLimit {
                bytes,
                file: "memory.max".into(),
            });
            assert_eq!(Memory { ram: 1000, limit }.usable(), usable);
        }
    }

    #[test]
    fn builds_get_a_part_of_the_memory() {
        assert!(for_builds() > 0);
    }
}
