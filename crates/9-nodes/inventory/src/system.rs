//! Name, distribution and size of a host.

use crate::HostSystem;
use crate::host_files::HostFiles;
use crate::syntax::assignments;

/// Fields of os-release that are kept.
const FIELDS: [&str; 5] = ["ID", "ID_LIKE", "PRETTY_NAME", "VERSION_CODENAME", "VERSION_ID"];

/// Reads what kind of host it is.
pub(crate) fn read(files: &mut HostFiles<'_>) -> HostSystem {
    let os_release = files
        .text("/etc/os-release")
        .or_else(|| files.text("/usr/lib/os-release"));
    let os_release = assignments(&os_release.unwrap_or_default()).into_iter();
    let memory = files.text("/proc/meminfo").unwrap_or_default();
    let processors = files.text_up_to("/proc/cpuinfo", 16 << 20).unwrap_or_default();
    let processors = processors.lines().filter(|line| line.starts_with("processor")).count();
    let firmware = ["sys_vendor", "product_name"].map(|name| files.line(&format!("/sys/class/dmi/id/{name}")));
    let firmware: Vec<String> = firmware.into_iter().flatten().collect();
    HostSystem {
        hostname: files
            .line("/etc/hostname")
            .or_else(|| files.line("/proc/sys/kernel/hostname"))
            .and_then(|name| name.split_whitespace().next().map(str::to_owned))
            .unwrap_or_default(),
        os_release: os_release.filter(|(key, _)| FIELDS.contains(&key.as_str())).collect(),
        machine: (!firmware.is_empty()).then(|| firmware.join(" ")),
        memory_kib: kib(&memory, "MemTotal"),
        processors: u64::try_from(processors).ok().filter(|number| *number > 0),
        is_uefi: files.has("/sys/firmware/efi"),
        has_cloud_init: files.has("/etc/cloud/cloud.cfg"),
    }
}

/// Size in a line of /proc/meminfo: `MemTotal:  2000000 kB`.
pub(crate) fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let text = "MemTotal:        2035948 kB\nMemTotalX: 1 kB\nHugepagesize:       2048 kB\n";
        assert_eq!(kib(text, "MemTotal"), Some(2_035_948));
        assert_eq!(kib(text, "Hugepagesize"), Some(2048));
        assert_eq!(kib(text, "SwapTotal"), None);
    }
}
