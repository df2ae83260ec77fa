//! Kernel settings.

use std::collections::BTreeMap;

use basalt_inventory::{HostInventory, HostSysctl, is_hidden};
use basalt_node_config::raw;
use basalt_node_config::sysctl::SysctlName;

use crate::NodeFacts;

/// Kernel setting of a file that no package brought and that the node does not have alike.
pub(in super::super) struct WantedSysctl<'h> {
    /// Setting.
    pub(in super::super) setting: &'h HostSysctl,
    /// Value in the file.
    pub(in super::super) value: &'h str,
    /// Fate in a NodeConfig.
    pub(in super::super) fate: SysctlFate<'h>,
}

/// Fate of a kernel setting in a NodeConfig.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum SysctlFate<'h> {
    /// Taken over.
    Kept,
    /// Left out: the inventory does not have its value, or not all of it, since it may be secret.
    Secret,
    /// Left out: its number is lower than the image's, which counts.
    Lower {
        /// Value of the image.
        image: &'h str,
    },
    /// Refused in a NodeConfig, for a reason.
    Refused(String),
}

/// Kernel settings of files that no package brought and that the node does not have alike.
pub(in super::super) fn wanted_sysctls<'h>(
    host: &'h HostInventory,
    node: &'h NodeFacts,
) -> impl Iterator<Item = WantedSysctl<'h>> {
    let settings = host.sysctls.iter().filter(|setting| !setting.is_of_package);
    settings.filter_map(move |setting| {
        let value = setting.configured.as_deref()?;
        let image = node.sysctls.get(&setting.key).map(String::as_str);
        let is_alike = image.is_some_and(|image| image.split_whitespace().eq(value.split_whitespace()));
        (!is_alike).then(|| WantedSysctl {
            setting,
            value,
            fate: fate(&setting.key, value, image),
        })
    })
}

/// Fate of a setting, by its value and the image's.
fn fate<'h>(key: &str, value: &str, image: Option<&'h str>) -> SysctlFate<'h> {
    if value.split_whitespace().any(is_hidden) {
        return SysctlFate::Secret;
    }
    let is_lower = |image: &&str| match (value.parse::<u64>(), image.parse::<u64>()) {
        (Ok(value), Ok(image)) => value < image,
        _ => false,
    };
    if let Some(image) = image.filter(is_lower) {
        return SysctlFate::Lower { image };
    }
    refusal(key, value).map_or(SysctlFate::Kept, SysctlFate::Refused)
}

/// Reason for which a NodeConfig may not have a setting.
fn refusal(key: &str, value: &str) -> Option<String> {
    let name = match key.parse::<SysctlName>() {
        Ok(name) => name,
        Err(finding) => return Some(finding.message),
    };
    let harm = name.harm(value).map(str::to_owned);
    harm.or_else(|| name.check(value).err().map(|finding| finding.message))
}

/// Kernel settings that a NodeConfig takes over, and huge pages of 2 MiB.
pub(in super::super) fn sysctls(host: &HostInventory, node: &NodeFacts) -> BTreeMap<String, raw::SysctlValue> {
    let kept = wanted_sysctls(host, node).filter(|wanted| wanted.fate == SysctlFate::Kept);
    let kept = kept.map(|wanted| (wanted.setting.key.clone(), sysctl_value(wanted.value)));
    let mut settings: BTreeMap<String, raw::SysctlValue> = kept.collect();
    let key = "vm.nr_hugepages";
    let pool = host.kernel.huge_pages.iter().find(|pool| pool.size_kib == 2048);
    if let Some(pages) = pool.and_then(|pool| i64::try_from(pool.pages).ok())
        && !node.sysctls.contains_key(key)
    {
        settings
            .entry(key.to_owned())
            .or_insert(raw::SysctlValue::Number(pages));
    }
    settings
}

/// Value of a sysctl as a NodeConfig has it.
pub(in super::super) fn sysctl_value(value: &str) -> raw::SysctlValue {
    match value.parse() {
        Ok(number) => raw::SysctlValue::Number(number),
        Err(_) => raw::SysctlValue::Text(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_one_fate() {
        for (key, value, image, wanted) in [
            ("vm.swappiness", "10", None, SysctlFate::Kept),
            ("vm.max_map_count", "9", Some("10"), SysctlFate::Lower { image: "10" }),
            ("vm.max_map_count", "1048577", Some("1048576"), SysctlFate::Kept),
            ("net.ipv4.tcp_fastopen_key", "*", Some("1"), SysctlFate::Secret),
            ("kernel.core_pattern", "|/bin/dump token=* %p", None, SysctlFate::Secret),
        ] {
            assert_eq!(fate(key, value, image), wanted, "{key}");
        }
        let refused = fate("kernel.panic", "30", Some("10"));
        assert!(
            matches!(&refused, SysctlFate::Refused(reason) if reason.contains("kubelet")),
            "{refused:?}"
        );
    }

    #[test]
    fn what_a_package_brought_or_the_image_has_is_not_wanted() {
        let setting = |key: &str, value: Option<&str>, is_of_package| HostSysctl {
            key: key.to_owned(),
            configured: value.map(str::to_owned),
            is_of_package,
            ..HostSysctl::default()
        };
        let host = HostInventory {
            sysctls: vec![
                setting("vm.swappiness", Some("10"), true),
                setting("vm.swappiness", None, false),
                setting("net.ipv4.tcp_rmem", Some("1\t2 3"), false),
                setting("vm.swappiness", Some("10"), false),
            ],
            ..HostInventory::default()
        };
        let mut node: NodeFacts = serde_json::from_str(include_str!("../../../tests/node-facts.json")).expect("facts");
        node.sysctls.remove("vm.swappiness");
        node.sysctls.insert("net.ipv4.tcp_rmem".to_owned(), "1 2 3".to_owned());
        let wanted: Vec<&str> = wanted_sysctls(&host, &node)
            .map(|wanted| wanted.setting.key.as_str())
            .collect();
        assert_eq!(wanted, ["vm.swappiness"]);
    }
}
