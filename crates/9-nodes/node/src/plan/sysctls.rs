//! Kernel settings, without those that take more memory than the machine has for them.

use basalt_node_config::NodeConfig;
use basalt_node_config::sysctl::SysctlName;

use crate::facts::MachineFacts;
use crate::size::Size;

const MIB: u64 = 1 << 20;

/// Settings that the kernel is given, and what is left out, in words.
pub(super) fn affordable<'c>(
    config: &'c NodeConfig,
    facts: &MachineFacts,
) -> (Vec<(&'c SysctlName, &'c str)>, Vec<String>) {
    let mut left = facts.size.map(free);
    let (mut taken, mut left_out) = (Vec::new(), Vec::new());
    for (name, value) in &config.sysctls {
        let reserved = name.reserved_memory(value).unwrap_or_default();
        match (left, facts.size) {
            (Some(free), Some(size)) if reserved > free => left_out.push(format!(
                "{name} = {value} is left out: it takes {} MiB, and of the {} MiB of this machine {} MiB are to be had",
                reserved / MIB,
                size.memory / MIB,
                free / MIB
            )),
            _ => {
                left = left.map(|free| free.saturating_sub(reserved));
                taken.push((name, value.as_str()));
            }
        }
    }
    (taken, left_out)
}

/// Memory in bytes that the kernel may keep from processes: all but twice what the node keeps for itself, for its programs
/// and for the first pods.
fn free(size: Size) -> u64 {
    size.memory
        .saturating_sub(size.kept().mebibytes.saturating_mul(2 * MIB))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use basalt_node_config::{Clock, check};

    use super::*;

    /// Names of what is taken and lines about what is not, for settings of a machine with so much memory.
    fn of(sysctls: &str, mebibytes: Option<u64>) -> (Vec<String>, Vec<String>) {
        let text = format!(
            "apiVersion: basalt.dev/v1\nkind: NodeConfig\ncluster:\n  endpoint: https://10.0.0.1:6443\n  \
             bootstrapToken: abcdef.0123456789abcdef\n  caCertHashes: ['sha256:{}']\nsysctls: {{ {sysctls} }}\n",
            "5c".repeat(32)
        );
        let checked = check("node.yaml", &text, Clock::Unsure(SystemTime::now()));
        let (config, _) = checked.unwrap_or_else(|problems| panic!("{}", problems.brief()));
        let facts = MachineFacts {
            machine_id: None,
            size: mebibytes.map(|mebibytes| Size {
                processors: 2,
                memory: mebibytes * MIB,
            }),
            credential_providers: Vec::new(),
        };
        let (taken, left_out) = affordable(&config, &facts);
        (taken.iter().map(|(name, _)| name.to_string()).collect(), left_out)
    }

    #[test]
    fn huge_pages_that_the_machine_has_are_taken() {
        let (taken, left_out) = of("vm.nr_hugepages: 4096, vm.swappiness: 10", Some(16 << 10));
        assert_eq!((taken.len(), left_out.len()), (2, 0), "{left_out:?}");
        // Without a size, nothing is known to be too much.
        assert_eq!(of("vm.nr_hugepages: 4096", None).1, [] as [String; 0]);
    }

    #[test]
    fn more_than_the_machine_has_is_left_out_by_name() {
        let (taken, left_out) = of("vm.nr_hugepages: 2000000, vm.swappiness: 10", Some(2 << 10));
        assert_eq!(taken, ["vm.swappiness"]);
        assert_eq!(
            left_out,
            [
                "vm.nr_hugepages = 2000000 is left out: it takes 4000000 MiB, and of the 2048 MiB of this machine 1024 MiB are to be had"
            ]
        );
        assert_eq!(of("vm.min_free_kbytes: 2000000", Some(2 << 10)).0, [] as [String; 0]);
    }

    #[test]
    fn settings_are_added_up() {
        let both = "vm.min_free_kbytes: 819200, vm.nr_hugepages: 400";
        assert_eq!(of(both, Some(2 << 10)).0, ["vm.min_free_kbytes"]);
        assert_eq!(of(both, Some(8 << 10)).1, [] as [String; 0]);
    }
}
