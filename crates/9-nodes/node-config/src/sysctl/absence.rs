//! Settings that other kernels have, and the image's (Linux 6.12) does not.

/// Reasons for which the image's kernel lacks a setting, by name. The second part is the option that it would come with, for
/// those that Linux has.
const ABSENT: &[(&str, &str, &str)] = &[
    // Patches of distributions.
    ("fs.may_detach_mounts", "", RED_HAT),
    ("kernel.apparmor_restrict_unprivileged_io_uring", "", UBUNTU),
    ("kernel.apparmor_restrict_unprivileged_userns", "", UBUNTU),
    ("kernel.exec-shield", "", RED_HAT),
    (
        "kernel.unprivileged_userns_clone",
        "",
        "only kernels of Debian and Ubuntu have it",
    ),
    // Parts of Linux that went.
    ("kernel.sched_child_runs_first", "", GONE),
    ("kernel.sched_latency_ns", "", DEBUGFS),
    ("kernel.sched_migration_cost_ns", "", DEBUGFS),
    ("kernel.sched_min_granularity_ns", "", DEBUGFS),
    ("kernel.sched_nr_migrate", "", DEBUGFS),
    ("kernel.sched_tunable_scaling", "", DEBUGFS),
    ("kernel.sched_wakeup_granularity_ns", "", DEBUGFS),
    (
        "net.ipv4.ip_conntrack_max",
        "",
        "its name is `net.netfilter.nf_conntrack_max`",
    ),
    (
        "net.ipv4.netfilter.ip_conntrack_max",
        "",
        "its name is `net.netfilter.nf_conntrack_max`",
    ),
    ("net.ipv4.rt_cache_rebuild_count", "", GONE),
    ("net.ipv4.tcp_abc", "", GONE),
    ("net.ipv4.tcp_frto_response", "", GONE),
    ("net.ipv4.tcp_tw_recycle", "", "Linux has not had it since 4.12"),
    ("vm.block_dump", "", GONE),
    ("vm.nr_pdflush_threads", "", GONE),
    // Options that are off.
    ("kernel.acct", "CONFIG_BSD_PROCESS_ACCT", OFF),
    (
        "kernel.kexec_load_disabled",
        "CONFIG_KEXEC",
        "the image's kernel cannot load another one",
    ),
    ("kernel.sched_autogroup_enabled", "CONFIG_SCHED_AUTOGROUP", OFF),
    ("kernel.stack_tracer_enabled", "CONFIG_STACK_TRACER", OFF),
    (
        "vm.unprivileged_userfaultfd",
        "CONFIG_USERFAULTFD",
        "the image's kernel has no userfaultfd",
    ),
];

const DEBUGFS: &str = "since Linux 5.13 it is no sysctl";
const GONE: &str = "Linux has it no longer";
const OFF: &str = "the image's kernel is built without it";
const RED_HAT: &str = "only kernels of Red Hat have it";
const UBUNTU: &str = "only kernels of Ubuntu have it";

/// Reason for which the image's kernel lacks a setting, for those that are known to be missing. The name has dots.
pub(super) fn reason(name: &str) -> Option<&'static str> {
    let found = ABSENT.iter().find(|(known, ..)| *known == name);
    found.map(|(_, _, reason)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysctl::SysctlName;

    const FRAGMENTS: &[&str] = &[
        include_str!("../../../../../distro/packages/kernel/base.config"),
        include_str!("../../../../../distro/packages/kernel/containers.config"),
        include_str!("../../../../../distro/packages/kernel/hardening.config"),
        include_str!("../../../../../distro/packages/kernel/network.config"),
        include_str!("../../../../../distro/packages/kernel/servers.config"),
        include_str!("../../../../../distro/packages/kernel/storage.config"),
        include_str!("../../../../../distro/packages/kernel/virtualization.config"),
        include_str!("../../../../../distro/packages/kernel/x86_64.config"),
    ];

    #[test]
    fn no_fragment_of_the_kernel_asks_for_what_is_said_to_be_absent() {
        let lines = || FRAGMENTS.iter().flat_map(|fragment| fragment.lines());
        assert!(lines().any(|line| line.starts_with("CONFIG_USER_NS=y")));
        for (name, option, reason) in ABSENT {
            let asked = lines().find(|line| ["=y", "=m"].iter().any(|on| line.starts_with(&format!("{option}{on}"))));
            assert!(option.is_empty() || asked.is_none(), "{name}: {asked:?}");
            assert!(!reason.is_empty());
        }
    }

    #[test]
    fn names_are_those_of_settings_and_sorted_out_once() {
        for (name, ..) in ABSENT {
            assert_eq!(name.parse::<SysctlName>().unwrap().dotted(), *name);
            assert_eq!(ABSENT.iter().filter(|(other, ..)| other == name).count(), 1, "{name}");
        }
        assert_eq!(
            reason("kernel.unprivileged_userns_clone"),
            Some("only kernels of Debian and Ubuntu have it")
        );
        assert_eq!(reason("vm.swappiness"), None);
    }
}
