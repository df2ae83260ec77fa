//! Parts of a bundle, and the ways to them.

use crate::node::NodeName;

/// Last lines of a unit's journal that are collected.
const JOURNAL_LINES: &str = "--lines=20000";

/// Units whose journals are collected.
const UNITS: &[&str] = &[
    "basalt-node",
    "basalt-ready",
    "containerd",
    "kubelet",
    "systemd-networkd",
];

/// Way to a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartSource {
    /// Output of kubectl with these arguments.
    Kubectl(Vec<String>),
    /// Output of a program of the node, in its mount namespace.
    Node(Vec<String>),
    /// Files below the node's `/proc` and `/sys`, each line with its path before it. Needs an image of tools.
    Kernel(&'static [&'static str]),
}

/// Part of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundlePart {
    /// Path in the archive.
    pub file: String,
    /// Content in a few words.
    pub what: &'static str,
    /// Way to it.
    pub source: PartSource,
}

/// Content that is never collected, with the reason.
pub const LEFT_OUT: &[(&str, &str)] = &[
    (
        "Secrets and ConfigMaps",
        "not asked for: their purpose is to hold what others must not see",
    ),
    (
        "private keys (/var/lib/kubelet/pki, /run/basalt/kubelet/*.key)",
        "not read; PEM blocks elsewhere are taken out",
    ),
    (
        "the NodeConfig",
        "not read: it has the bootstrap token and the credentials of registries. `basalt-node status` names where it came from",
    ),
    (
        "environments and memory of processes",
        "not read: programs take secrets from there",
    ),
    ("logs of containers", "not read: they are the tenants' (`kubectl logs`)"),
    (
        "specifications of pods",
        "only their list: environment variables in them hold secrets",
    ),
];

/// Files about memory, pressure, mounts and the kernel.
const KERNEL_FILES: &[&str] = &[
    "/proc/version",
    "/proc/cmdline",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/vmstat",
    "/proc/swaps",
    "/proc/pressure/cpu",
    "/proc/pressure/io",
    "/proc/pressure/memory",
    "/proc/1/mounts",
    "/proc/diskstats",
    "/proc/partitions",
    "/proc/cgroups",
    "/proc/modules",
    "/proc/sys/kernel/tainted",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/fs/file-nr",
];

/// Files about the network.
const NETWORK_FILES: &[&str] = &[
    "/proc/net/dev",
    "/proc/net/route",
    "/proc/net/ipv6_route",
    "/proc/net/if_inet6",
    "/proc/net/fib_trie",
    "/proc/net/arp",
    "/proc/net/sockstat",
    "/proc/net/sockstat6",
    "/proc/net/snmp",
    "/proc/net/netstat",
    "/proc/net/softnet_stat",
    "/proc/sys/net/netfilter/nf_conntrack_count",
    "/proc/sys/net/netfilter/nf_conntrack_max",
];

/// Parts of the bundle of a node.
pub fn parts(node: &NodeName) -> Vec<BundlePart> {
    let mut parts = of_the_cluster(node);
    parts.extend(of_the_node());
    parts
}

fn of_the_cluster(node: &NodeName) -> Vec<BundlePart> {
    let kubectl = |file: &str, what, arguments: &[&str]| BundlePart {
        file: format!("cluster/{file}"),
        what,
        source: PartSource::Kubectl(arguments.iter().map(|argument| (*argument).to_owned()).collect()),
    };
    let name = node.as_str();
    let events = format!("--field-selector=involvedObject.kind=Node,involvedObject.name={name}");
    let pods = format!("--field-selector=spec.nodeName={name}");
    let proxy = |path: &str| format!("/api/v1/nodes/{name}/proxy/{path}");
    vec![
        kubectl(
            "versions.json",
            "versions of kubectl and the API server",
            &["version", "--output=json"],
        ),
        kubectl("node.yaml", "the Node object", &["get", "node", name, "--output=yaml"]),
        kubectl(
            "node.txt",
            "the node, its conditions and allocations",
            &["describe", "node", name],
        ),
        kubectl(
            "events.txt",
            "events about the node",
            &[
                "get",
                "events",
                "--all-namespaces",
                &events,
                "--sort-by=.lastTimestamp",
                "--output=wide",
            ],
        ),
        kubectl(
            "pods.txt",
            "list of its pods",
            &["get", "pods", "--all-namespaces", &pods, "--output=wide"],
        ),
        kubectl(
            "lease.yaml",
            "the node's lease, renewed by its kubelet",
            &["get", "lease", "--namespace=kube-node-lease", name, "--output=yaml"],
        ),
        kubectl(
            "kubelet-config.json",
            "configuration of the kubelet",
            &["get", "--raw", &proxy("configz")],
        ),
        kubectl(
            "usage.json",
            "usage of processors, memory and disk",
            &["get", "--raw", &proxy("stats/summary")],
        ),
    ]
}

/// Part that a program of the node writes.
fn node(file: &str, what: &'static str, words: &[&str]) -> BundlePart {
    BundlePart {
        file: format!("node/{file}"),
        what,
        source: PartSource::Node(words.iter().map(|word| (*word).to_owned()).collect()),
    }
}

/// Part with files of the node's kernel.
fn kernel(file: &str, what: &'static str, files: &'static [&'static str]) -> BundlePart {
    BundlePart {
        file: format!("node/{file}"),
        what,
        source: PartSource::Kernel(files),
    }
}

/// Part that journalctl writes.
fn journal(file: &str, what: &'static str, options: &[&str]) -> BundlePart {
    let command: &[&str] = &["journalctl", "--utc", "--no-pager", "--output=short-precise"];
    node(file, what, &[command, options].concat())
}

/// Part that crictl writes. By default it waits two seconds, and the nodes that bundles are made of are busy ones.
fn crictl(file: &str, what: &'static str, words: &[&str]) -> BundlePart {
    let command: &[&str] = &[
        "crictl",
        "--runtime-endpoint=unix:///run/containerd/containerd.sock",
        "--timeout=30s",
    ];
    node(file, what, &[command, words].concat())
}

fn of_the_node() -> Vec<BundlePart> {
    [agent_and_units(), journals(), kernel_and_network(), container_runtime()].concat()
}

fn agent_and_units() -> Vec<BundlePart> {
    vec![
        node(
            "status.json",
            "status of Basalt's agent",
            &["basalt-node", "status", "--json"],
        ),
        node(
            "agent-version.txt",
            "version of the agent",
            &["basalt-node", "--version"],
        ),
        kernel("release.txt", "release of the system", &["/host/usr/lib/os-release"]),
        node(
            "units.txt",
            "units of systemd",
            &["systemctl", "--no-pager", "list-units", "--all"],
        ),
        node(
            "failed-units.txt",
            "units that failed",
            &["systemctl", "--no-pager", "list-units", "--failed"],
        ),
        node(
            "jobs.txt",
            "jobs that systemd waits for",
            &["systemctl", "--no-pager", "list-jobs"],
        ),
    ]
}

fn journals() -> Vec<BundlePart> {
    let of_unit = |unit: &&str| {
        journal(
            &format!("journal/{unit}.txt"),
            "journal of a unit, of this boot",
            &["--boot=0", JOURNAL_LINES, &format!("--unit={unit}")],
        )
    };
    let mut parts: Vec<_> = UNITS.iter().map(of_unit).collect();
    parts.extend([
        journal(
            "journal/errors.txt",
            "errors of all units, of all boots",
            &["--priority=err", "--lines=5000"],
        ),
        journal(
            "journal/previous-boot.txt",
            "end of the boot before",
            &["--boot=-1", "--lines=3000"],
        ),
        node(
            "journal/boots.txt",
            "list of boots",
            &["journalctl", "--no-pager", "--list-boots"],
        ),
        journal("dmesg.txt", "messages of the kernel", &["--dmesg", "--boot=0"]),
    ]);
    parts
}

fn kernel_and_network() -> Vec<BundlePart> {
    vec![
        kernel(
            "kernel.txt",
            "memory, pressure, mounts, command line, control groups, modules",
            KERNEL_FILES,
        ),
        kernel("network.txt", "addresses, routes, counters", NETWORK_FILES),
        node(
            "networkctl.txt",
            "state of the links",
            &["networkctl", "--no-pager", "status", "--all"],
        ),
        node(
            "resolvectl.txt",
            "name servers",
            &["resolvectl", "--no-pager", "status"],
        ),
        node("iptables.txt", "packet filters of IPv4", &["iptables-save"]),
        node("ip6tables.txt", "packet filters of IPv6", &["ip6tables-save"]),
    ]
}

fn container_runtime() -> Vec<BundlePart> {
    vec![
        crictl("containers.txt", "containers", &["ps", "--all"]),
        crictl("images.txt", "container images", &["images"]),
        crictl(
            "containerd-version.txt",
            "version of the container runtime",
            &["version"],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn files_are_distinct_and_stay_inside() {
        let parts = parts(&"node-1".parse().expect("a name"));
        let files: BTreeSet<_> = parts.iter().map(|part| part.file.as_str()).collect();
        assert_eq!(files.len(), parts.len());
        for file in files {
            assert!(file.starts_with("cluster/") || file.starts_with("node/"), "{file}");
            assert!(!file.contains("..") && !file.ends_with('/'), "{file}");
        }
    }

    #[test]
    fn nothing_secret_is_asked_for() {
        for part in parts(&"node-1".parse().expect("a name")) {
            let words = match &part.source {
                PartSource::Kubectl(words) | PartSource::Node(words) => words.join(" "),
                PartSource::Kernel(files) => files.join(" "),
            };
            for secret in [
                "secret",
                "configmap",
                "environ",
                "/pki",
                ".key",
                "node.yaml",
                "kubeconfig",
            ] {
                assert!(!words.to_lowercase().contains(secret), "{words}");
            }
        }
    }
}
