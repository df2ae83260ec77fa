//! Memory that builds may use: that of the machine, or of the control group that this process is in.

use camino::{Utf8Path, Utf8PathBuf};

/// Mount point of the control groups' file systems (file-hierarchy(7)).
const MOUNT: &str = "/sys/fs/cgroup";

/// Returns three quarters of the memory that this process may use, in MiB.
pub fn for_builds() -> u64 {
    let info = rustix::system::sysinfo();
    let total = info.totalram as u64 * u64::from(info.mem_unit);
    let groups = fs_err::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = limit(&groups, |path| fs_err::read_to_string(path).ok());
    limit.map_or(total, |limit| limit.min(total)) / 4 * 3 / (1024 * 1024)
}

/// Returns the lowest memory limit, in bytes, among the control groups of a process and all groups above them.
///
/// `groups` is the text of `/proc/self/cgroup` (cgroups(7)): a line `0::/path` for version 2, and for version 1
/// `4:memory:/path`. In a container, the path may be the host's, of which nothing is mounted; the group at the mount
/// point is the container's then.
fn limit(groups: &str, read: impl Fn(&Utf8Path) -> Option<String>) -> Option<u64> {
    files(groups)
        .iter()
        .filter_map(|path| read(path)?.trim().parse::<u64>().ok())
        .min()
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
            ("0::/a/b\n", &[("a/memory.max", "7\n"), ("a/b/memory.max", "max\n")], Some(7)),
            ("0::/a/b\n", &[("a/memory.max", "7\n"), ("a/b/memory.max", "5\n")], Some(5)),
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
            assert_eq!(limit(groups, read), expected, "{groups:?} {files:?}");
        }
    }

    #[test]
    fn builds_get_a_part_of_the_memory() {
        assert!(for_builds() > 0);
    }
}
