//! Kernel settings of a NodeConfig against those that the image has, whose place they take.
//!
//! People carry settings over from nodes whose kernel has its defaults. The image has more than many of these lines ask for.

use std::collections::BTreeMap;

use crate::sysctl::SysctlName;
use basalt_document::Finding;

/// Files of sysctl.d in the image, in the order in which they are read. `sources.toml` of the package basalt-node names
/// them: the agent is compiled with them, too.
const FILES: [&str; 2] = [
    include_str!("../../../../../distro/packages/basalt-defaults/sysctl-basalt.conf"),
    include_str!("../../../../../distro/packages/basalt-defaults/sysctl-kubernetes.conf"),
];

/// Settings that are sets of bits, of which none is less than another.
const BITS: &[&str] = &["kernel/sysrq"];

/// Numbers of the image's kernel settings, by their paths below `/proc/sys`.
pub(super) struct ImageSysctls(BTreeMap<String, i64>);

impl ImageSysctls {
    /// Reads the files of the image. Settings of several numbers, or of words, are left out.
    pub(super) fn read() -> Self {
        let lines = FILES.iter().flat_map(|file| file.lines());
        let settings = lines.filter_map(|line| {
            let (name, value) = line.trim().split_once('=')?;
            // A minus says that the setting may be missing.
            let name: SysctlName = name.trim().trim_start_matches('-').parse().ok()?;
            Some((name.path(), value.trim().parse::<i64>().ok()?))
        });
        Self(settings.filter(|(path, _)| !BITS.contains(&path.as_str())).collect())
    }

    /// Returns a warning of a value that is less than the image's.
    pub(super) fn lowered(&self, name: &SysctlName, value: &str) -> Option<Finding> {
        let image = *self.0.get(&name.path())?;
        let given: i64 = value.trim().parse().ok()?;
        (given < image).then(|| {
            let message = format!("`{name}` is {image} in the image: `{given}` is less");
            let help = "remove this setting, unless less is wanted";
            Finding::warning(message, "less than without it").with_help(help)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_image_are_read() {
        let ImageSysctls(numbers) = ImageSysctls::read();
        assert!(numbers.len() > 30, "{numbers:?}");
        for path in [
            "vm/max_map_count",
            "kernel/panic",
            "kernel/dmesg_restrict",
            "net/bridge/bridge-nf-call-iptables",
        ] {
            assert!(numbers.contains_key(path), "{path}: {numbers:?}");
        }
        // Two numbers, a word, bits.
        for path in ["net/ipv4/ping_group_range", "net/core/default_qdisc", "kernel/sysrq"] {
            assert!(!numbers.contains_key(path), "{path}");
        }
    }

    #[test]
    fn less_than_the_image_is_told() {
        let image = ImageSysctls(BTreeMap::from([("vm/max_map_count".to_owned(), 1_048_576)]));
        let is_told = |name: &str, value: &str| image.lowered(&name.parse().unwrap(), value).is_some();
        assert!(is_told("vm.max_map_count", "262144"));
        assert!(is_told("vm/max_map_count", " 1048575"));
        assert!(!is_told("vm.max_map_count", "1048576"));
        assert!(!is_told("vm.max_map_count", "2097152"));
        assert!(!is_told("vm.max_map_count", "many"));
        assert!(!is_told("vm.swappiness", "0"));
    }
}
