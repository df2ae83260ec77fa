//! Kernel settings, and those that a node cannot live with.

use std::fmt;
use std::str::FromStr;

use basalt_document::Finding;

mod absence;
mod range;

/// Size of a huge page on x86-64, unless the kernel is told another one.
const HUGE_PAGE: u64 = 2 << 20;
/// Memory in bytes that no machine lacks: 4 TiB.
const MOST_RESERVED: u64 = 4 << 40;
/// Memory in bytes that few machines have: 256 GiB.
const RARE_RESERVED: u64 = 256 << 30;
/// Pages for the buffers of all connections that a node does not do without: 16 MiB.
const LEAST_BUFFERS: u64 = 4096;
/// Ports between the first and the last one for connections that leave a node.
const LEAST_PORTS: u32 = 1000;

/// The name of a kernel setting, in dots: `net.core.somaxconn`.
///
/// A part that itself contains a dot, such as the name of a VLAN interface, is written with `/` between the parts as
/// `sysctl` allows: `net/ipv4/conf/eth0.1/rp_filter`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SysctlName(String);

impl SysctlName {
    /// The path below `/proc/sys`.
    pub fn path(&self) -> String {
        match self.0.chars().find(|c| matches!(c, '.' | '/')) {
            Some('/') => self.0.clone(),
            // With dots between the parts, a slash stands for a dot in a part.
            _ => self
                .0
                .chars()
                .map(|c| {
                    if c == '.' {
                        '/'
                    } else if c == '/' {
                        '.'
                    } else {
                        c
                    }
                })
                .collect(),
        }
    }

    /// The name with dots and its value for comparison.
    fn dotted(&self) -> String {
        self.path().replace('/', ".")
    }

    /// Reason against setting this value on a node, if there is one.
    pub fn harm(&self, value: &str) -> Option<&'static str> {
        let value = value.trim();
        let name = self.dotted();
        // Where the machine is known, less is too much: see `reserved_memory`, and `risk`.
        let too_much = || {
            let bytes = self.reserved_memory(value)?;
            (bytes > MOST_RESERVED)
                .then_some("this is more memory than machines have, and the kernel would take all of it")
        };
        other_value(&name, value)
            .or_else(|| too_little(&name, value))
            .or_else(too_much)
    }

    /// Memory in bytes that the kernel keeps from processes by this value, if the setting is one of those.
    pub fn reserved_memory(&self, value: &str) -> Option<u64> {
        let unit = match self.dotted().as_str() {
            "vm.nr_hugepages" | "vm.nr_hugepages_mempolicy" => HUGE_PAGE,
            "vm.min_free_kbytes" => 1024,
            _ => return None,
        };
        Some(value.trim().parse::<u64>().ok()?.saturating_mul(unit))
    }

    /// Checks the form of a value: that its numbers are decimal, and that the kernel takes them.
    ///
    /// # Errors
    /// With what the kernel would say, or would read instead.
    pub fn check(&self, value: &str) -> Result<(), Finding> {
        range::check(&self.dotted(), value)
    }

    /// Reason for which this setting has no effect: the kernel of images does not have it.
    pub fn absence(&self) -> Option<&'static str> {
        absence::reason(&self.dotted())
    }

    /// Effect of this value on pods of many clusters, though not of all.
    pub fn risk(&self, value: &str) -> Option<&'static str> {
        let value = value.trim();
        let name = self.dotted();
        let part = name.rsplit('.').next().unwrap_or_default();
        let interface = name.starts_with("net.ipv4.conf.") || name.starts_with("net.ipv6.conf.");
        let on_all = name.contains(".conf.all.") || name.contains(".conf.default.");
        match part {
            _ if self.reserved_memory(value).is_some_and(|bytes| bytes > RARE_RESERVED) => {
                Some("this is more than 256 GiB of memory, and a machine with too little for it leaves the setting out")
            }
            "rp_filter" if interface && on_all && value == "1" => {
                Some("strict filtering drops packets of pods with Calico, Cilium and other network add-ons")
            }
            "disable_ipv6" if interface && on_all && value == "1" => {
                Some("pods and programs that listen on `::1` fail, and the cluster cannot use IPv6")
            }
            "ip_local_port_range" => {
                let mut ends = value
                    .split_whitespace()
                    .map(|end| end.parse::<u32>().unwrap_or_default());
                let (first, last) = (ends.next().unwrap_or_default(), ends.next().unwrap_or_default());
                (first <= 32767 && last >= 30000)
                    .then_some("connections that leave the node may take ports of services (30000 to 32767)")
            }
            _ => None,
        }
    }
}

/// Reason against a value of a setting that has one good value, or that nobody may set.
fn other_value(name: &str, value: &str) -> Option<&'static str> {
    let always = |reason| Some(reason);
    let unless = |good: &str, reason| (value != good).then_some(reason);
    match name {
        "net.ipv4.ip_forward"
        | "net.ipv4.conf.all.forwarding"
        | "net.ipv4.conf.default.forwarding"
        | "net.ipv6.conf.all.forwarding"
        | "net.ipv6.conf.default.forwarding" => unless("1", "pods reach nothing without forwarding"),
        "net.bridge.bridge-nf-call-iptables" | "net.bridge.bridge-nf-call-ip6tables" => {
            unless("1", "services are unreachable from pods of the same node without it")
        }
        // The values that the kubelet compares at its start, and that the image sets.
        "vm.overcommit_memory" | "kernel.panic_on_oops" => unless(
            "1",
            "the kubelet does not start with another value than 1 (protectKernelDefaults)",
        ),
        "vm.panic_on_oom" => unless("0", "a pod that takes too much memory would stop the node"),
        "kernel.panic" => unless(
            "10",
            "the kubelet does not start with another value than 10 (protectKernelDefaults)",
        ),
        "kernel.keys.root_maxkeys" => unless(
            "1000000",
            "the kubelet does not start with another value than 1000000 (protectKernelDefaults)",
        ),
        "kernel.keys.root_maxbytes" => unless(
            "25000000",
            "the kubelet does not start with another value than 25000000 (protectKernelDefaults)",
        ),
        "kernel.modules_disabled" => unless("0", "network add-ons load modules"),
        "kernel.core_pattern" => value
            .starts_with('|')
            .then_some("it would run a program as root for every crash"),
        "kernel.modprobe" | "kernel.hotplug" => always("it names a program that the kernel runs as root"),
        "kernel.hostname" | "kernel.domainname" => always("the host name is set by `hostname`"),
        _ => None,
    }
}

/// Reason against a value below what a node needs.
fn too_little(name: &str, value: &str) -> Option<&'static str> {
    let small = |least: u64, reason| {
        let is_small = value.parse::<u64>().is_ok_and(|number| number < least);
        is_small.then_some(reason)
    };
    match name {
        // Most containers have no user namespace of their own.
        "user.max_user_namespaces" => small(1, "containers are made of namespaces"),
        "user.max_pid_namespaces"
        | "user.max_net_namespaces"
        | "user.max_mnt_namespaces"
        | "user.max_uts_namespaces"
        | "user.max_ipc_namespaces"
        | "user.max_cgroup_namespaces" => small(256, "each pod and many services have namespaces of their own"),
        "kernel.pid_max" | "kernel.threads-max" | "fs.file-max" | "fs.nr_open" => {
            small(32768, "this is too little for a node's own programs and its pods")
        }
        "fs.inotify.max_user_instances" | "fs.inotify.max_user_watches" => {
            small(128, "the kubelet and containerd watch files themselves")
        }
        "vm.max_map_count" => small(4096, "programs cannot map their files and memory with so few areas"),
        // 0 stands for no limit.
        "net.netfilter.nf_conntrack_max" | "net.nf_conntrack_max" if value != "0" => small(
            4096,
            "the kernel drops connections of pods and to services beyond this number",
        ),
        "net.ipv4.neigh.default.gc_thresh3" | "net.ipv6.neigh.default.gc_thresh3" => {
            small(128, "the node reaches no more neighbors than this: pods are neighbors")
        }
        "net.ipv4.tcp_mem" | "net.ipv4.udp_mem" => {
            let pages = value.split_whitespace().map(str::parse::<u64>);
            let is_small = pages.flatten().any(|pages| pages < LEAST_BUFFERS);
            is_small.then_some("connections get no memory beyond so few pages of 4 KiB")
        }
        "net.ipv4.ip_local_port_range" => port_range(value),
        _ => None,
    }
}

/// Reason against a range of local ports. The kernel refuses one that does not ascend.
fn port_range(value: &str) -> Option<&'static str> {
    let ends: Option<Vec<u32>> = value.split_whitespace().map(|end| end.parse().ok()).collect();
    match ends.as_deref() {
        Some([first, last]) if first > last => {
            Some("the kernel refuses a range whose first port comes after its last one")
        }
        Some([first, last]) if last - first < LEAST_PORTS => Some("connections that leave the node need a port each"),
        Some([_, _]) => None,
        Some(_) | None => Some("the kernel takes two numbers here, the first and the last port"),
    }
}

impl fmt::Display for SysctlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SysctlName {
    type Err = Finding;

    fn from_str(text: &str) -> Result<Self, Finding> {
        let wrong = |message: String, help: String| Err(Finding::error(message, "not a setting").with_help(help));
        if let Some(bad) = text
            .chars()
            .find(|c| !c.is_ascii_alphanumeric() && !"._-/:@".contains(*c))
        {
            let help = "write it as `sysctl -a` shows it: `net.core.somaxconn`".to_owned();
            return wrong(format!("the name `{text}` contains `{bad}`"), help);
        }
        let name = Self(text.to_owned());
        let path = name.path();
        if path
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == "..")
        {
            let help = "write it as `sysctl -a` shows it: `net.core.somaxconn`".to_owned();
            return wrong(format!("`{text}` is not the name of a kernel setting"), help);
        }
        let areas = [
            "abi", "crypto", "debug", "dev", "fs", "kernel", "net", "sunrpc", "user", "vm",
        ];
        let area = path.split('/').next().unwrap_or_default();
        if !areas.contains(&area) || !path.contains('/') {
            let help = format!("names begin with one of {} and a dot", areas.join(", "));
            return wrong(format!("`{text}` is not the name of a kernel setting"), help);
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths() {
        let path = |name: &str| name.parse::<SysctlName>().unwrap().path();
        assert_eq!(path("net.core.somaxconn"), "net/core/somaxconn");
        assert_eq!(path("net/ipv4/conf/eth0.1/rp_filter"), "net/ipv4/conf/eth0.1/rp_filter");
        assert_eq!(path("net.ipv4.conf.eth0/1.rp_filter"), "net/ipv4/conf/eth0.1/rp_filter");
    }

    #[test]
    fn harm() {
        let harm = |name: &str, value: &str| name.parse::<SysctlName>().unwrap().harm(value).is_some();
        assert!(harm("net.ipv4.ip_forward", "0"));
        assert!(harm("net/ipv4/ip_forward", "0"));
        assert!(!harm("net.ipv4.ip_forward", "1"));
        assert!(harm("kernel.core_pattern", "|/bin/x"));
        assert!(harm("fs.file-max", "10"));
        assert!(harm("fs.inotify.max_user_instances", "0"));
        assert!(harm("vm.nr_hugepages", "100000000"));
        assert!(harm("vm.nr_hugepages_mempolicy", "100000000"));
        assert!(!harm("vm.nr_hugepages", "1024"));
        assert!(harm("vm.min_free_kbytes", "5000000000"));
        assert!(harm("net.ipv6.conf.all.forwarding", "0"));
        assert!(harm("net/ipv4/conf/default/forwarding", "0"));
        assert!(!harm("net.ipv6.conf.all.forwarding", "1"));
        assert!(!harm("net.ipv6.conf.eth1.forwarding", "0"));
        assert!(!harm("net.core.somaxconn", "4096"));
        for (name, bad, good) in [
            ("user.max_user_namespaces", "0", "1"),
            ("user.max_mnt_namespaces", "1", "15000"),
            ("user.max_net_namespaces", "100", "15000"),
            ("vm.max_map_count", "1", "65530"),
            ("net.netfilter.nf_conntrack_max", "1", "131072"),
            ("net.nf_conntrack_max", "1", "0"),
            ("net.ipv4.neigh.default.gc_thresh3", "1", "1024"),
            ("net.ipv4.tcp_mem", "1 1 1", "383490 511322 766980"),
            ("net.ipv4.udp_mem", "98304 1 131072", "98304 131072 196608"),
            ("net.ipv4.ip_local_port_range", "40000 30000", "32768 60999"),
            ("net.ipv4.ip_local_port_range", "40000 40001", "10240 65535"),
            ("net.ipv4.ip_local_port_range", "40000", "40000 60000"),
            ("net.ipv4.ip_local_port_range", "32768-60999", "32768\t60999"),
            ("net.ipv4.ip_local_port_range", "32768,60999", "32768 60999"),
        ] {
            assert!(harm(name, bad), "{name} {bad}");
            assert!(!harm(name, good), "{name} {good}");
        }
    }

    /// The image sets all of them: neither it nor who writes the same may be refused.
    #[test]
    fn values_that_the_kubelet_asks_for_do_no_harm() {
        let image = include_str!("../../../../distro/packages/basalt-defaults/sysctl-kubernetes.conf");
        let lines = image.lines().filter(|line| !line.starts_with('#'));
        let settings: Vec<_> = lines.filter_map(|line| line.split_once('=')).collect();
        for name in [
            "kernel.panic",
            "kernel.panic_on_oops",
            "kernel.keys.root_maxkeys",
            "kernel.keys.root_maxbytes",
            "vm.overcommit_memory",
            "vm.panic_on_oom",
        ] {
            assert!(settings.iter().any(|(known, _)| known.trim() == name), "{name}");
            let other = name.parse::<SysctlName>().unwrap().harm("7");
            assert!(other.is_some(), "{name}");
        }
        for (name, value) in settings {
            let name: SysctlName = name.trim().trim_start_matches('-').parse().unwrap();
            assert_eq!(name.harm(value), None, "{name}");
        }
    }

    #[test]
    fn memory_that_the_kernel_keeps() {
        let kept = |name: &str, value: &str| name.parse::<SysctlName>().unwrap().reserved_memory(value);
        assert_eq!(kept("vm.nr_hugepages", "1024"), Some(2 << 30));
        assert_eq!(kept("vm.min_free_kbytes", " 65536 "), Some(64 << 20));
        assert_eq!(kept("vm/nr_hugepages", "18446744073709551615"), Some(u64::MAX));
        assert_eq!(kept("vm.nr_hugepages", "many"), None);
        assert_eq!(kept("vm.swappiness", "10"), None);
    }

    #[test]
    fn risk() {
        let risk = |name: &str, value: &str| name.parse::<SysctlName>().unwrap().risk(value).is_some();
        assert!(risk("net.ipv4.conf.all.rp_filter", "1"));
        assert!(!risk("net.ipv4.conf.all.rp_filter", "2"));
        assert!(!risk("net.ipv4.conf.eth0.rp_filter", "1"));
        assert!(risk("net.ipv6.conf.default.disable_ipv6", "1"));
        assert!(risk("net.ipv4.ip_local_port_range", "1024 65535"));
        assert!(!risk("net.ipv4.ip_local_port_range", "32768 60999"));
        assert!(!risk("net.core.somaxconn", "1"));
        assert!(risk("vm.nr_hugepages", "1000000"));
        assert!(!risk("vm.nr_hugepages", "65536"));
    }

    #[test]
    fn names_that_leave_proc_sys_are_refused() {
        for bad in [
            "",
            "net",
            "..",
            "net/../../x/y",
            "net..core",
            "../etc/passwd",
            "/etc/passwd",
            "net.core x",
            "sys.x",
        ] {
            assert!(bad.parse::<SysctlName>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_path_leaves_proc_sys(text in "[a-z./-]{0,30}") {
            if let Ok(name) = text.parse::<SysctlName>() {
                let path = name.path();
                prop_assert!(!path.starts_with('/') && path.split('/').all(|part| part != ".." && !part.is_empty()));
            }
        }
    }
}
