//! Comparison of a node's inventory with an image: what has to be written into a NodeConfig, and what is lost.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use basalt_inventory::{HostSetting, NodeInventory, UnreadPath};
use serde::Serialize;

use crate::NodeFacts;
use crate::rule::WorkloadVerdict;

/// Finding about a node: something that a Basalt node has otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InventoryFinding {
    /// `runs-otherwise` for what a Basalt node does not have, `note` for what a NodeConfig gives it.
    pub verdict: WorkloadVerdict,
    /// Place on the node: a file, a folder, `/proc/modules`.
    pub place: String,
    /// Fact, in one sentence without a full stop.
    pub message: String,
    /// Mend.
    pub help: String,
}

/// Report about a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InventoryReport {
    /// Version of the format: 1.
    pub version: u32,
    /// Host name of the node.
    pub hostname: String,
    /// Operating system of the node.
    pub os: String,
    /// Image that it was compared with.
    pub image: String,
    /// Number of findings by verdict; verdicts without findings are left out.
    pub counts: BTreeMap<WorkloadVerdict, usize>,
    /// Findings, the worst first.
    pub findings: Vec<InventoryFinding>,
    /// Paths that could not be read: the report is incomplete if there are any.
    pub unread: Vec<UnreadPath>,
}

impl InventoryReport {
    /// Worst verdict; `None` if nothing was found.
    pub fn worst(&self) -> Option<WorkloadVerdict> {
        self.counts.keys().next_back().copied()
    }

    /// Text for people: each finding in two lines, then what was looked at.
    pub fn text(&self) -> String {
        let mut text = format!("Node {} ({})\n", self.hostname, self.os);
        for finding in &self.findings {
            let _ = writeln!(text, "  {:<14}  {}", finding.verdict, finding.message);
            let _ = writeln!(text, "  {:<14}  {}: {}", "", finding.place, finding.help);
        }
        text.push('\n');
        for unread in &self.unread {
            let _ = writeln!(text, "not read        {}: {}", unread.path, unread.reason);
        }
        let counts: Vec<String> = self
            .counts
            .iter()
            .rev()
            .map(|(verdict, number)| format!("{number} {verdict}"))
            .collect();
        let counts = if counts.is_empty() {
            "nothing found".to_owned()
        } else {
            counts.join(", ")
        };
        let _ = writeln!(text, "compared with {}: {counts}", self.image);
        text
    }
}

/// Compares an inventory with the image that is to take the node's place.
pub fn compare_inventory(inventory: &NodeInventory, node: &NodeFacts) -> InventoryReport {
    let mut comparison = Comparison {
        node,
        findings: Vec::new(),
    };
    comparison.modules(inventory);
    comparison.sysctls(&inventory.sysctls);
    comparison.mounts(inventory);
    comparison.settings(inventory);
    comparison.programs(inventory);
    let mut findings = comparison.findings;
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    let mut counts = BTreeMap::new();
    for finding in &findings {
        *counts.entry(finding.verdict).or_default() += 1;
    }
    InventoryReport {
        version: 1,
        hostname: inventory.hostname.clone(),
        os: inventory.os.clone(),
        image: node.image.clone(),
        counts,
        findings,
        unread: inventory.unread.clone(),
    }
}

struct Comparison<'n> {
    node: &'n NodeFacts,
    findings: Vec<InventoryFinding>,
}

impl Comparison<'_> {
    fn lost(&mut self, place: &str, message: String, help: &str) {
        self.add(WorkloadVerdict::RunsOtherwise, place, message, help);
    }

    fn written(&mut self, place: &str, message: String, help: &str) {
        self.add(WorkloadVerdict::Note, place, message, help);
    }

    fn add(&mut self, verdict: WorkloadVerdict, place: &str, message: String, help: &str) {
        self.findings.push(InventoryFinding {
            verdict,
            place: place.to_owned(),
            message,
            help: help.to_owned(),
        });
    }

    /// Modules that the image does not have: those that somebody asked for, and those that are merely loaded.
    fn modules(&mut self, inventory: &NodeInventory) {
        let kernel = &self.node.kernel;
        let wanted: Vec<&HostSetting> = inventory
            .wanted_modules
            .iter()
            .filter(|module| !kernel.has_module(&module.entry))
            .collect();
        let is_wanted = |name: &str| wanted.iter().any(|module| module.entry.replace('-', "_") == name);
        let loaded: Vec<&str> = inventory
            .modules
            .iter()
            .map(String::as_str)
            .filter(|name| !kernel.has_module(name) && !is_wanted(name))
            .collect();
        for module in wanted {
            let message = format!(
                "the module `{}` is loaded at boot, and the image does not have it",
                module.entry
            );
            let help = "look which workload needs it: `basalt addons` lists what add-ons ask of the kernel";
            self.lost(&module.file, message, help);
        }
        if !loaded.is_empty() {
            let message = format!(
                "the image does not have these modules that are loaded: {}",
                loaded.join(", ")
            );
            let help = "drivers of this machine's hardware matter if the Basalt node has the same";
            self.written("/proc/modules", message, help);
        }
    }

    fn sysctls(&mut self, sysctls: &[HostSetting]) {
        for setting in sysctls {
            let (key, value) = setting.entry.split_once(" = ").unwrap_or((&setting.entry, ""));
            let present = self.node.sysctls.get(key);
            let is_same = present.is_some_and(|present| present.split_whitespace().eq(value.split_whitespace()));
            if !is_same {
                let own = present
                    .map(|own| format!(", and `{own}` in the image"))
                    .unwrap_or_default();
                let message = format!("the kernel setting {key} is `{value}`{own}");
                self.written(
                    &setting.file,
                    message,
                    &format!("write it into `sysctls` of the NodeConfig: `{key}: \"{value}\"`"),
                );
            }
        }
    }

    fn mounts(&mut self, inventory: &NodeInventory) {
        for mount in &inventory.mounts {
            let message = format!("{} is mounted from {} ({})", mount.path, mount.source, mount.kind);
            let help = "a Basalt node mounts nothing of its own: use a PersistentVolume where pods have it by hostPath";
            self.lost(&mount.path, message, help);
        }
        for swap in &inventory.swaps {
            let message = format!("{swap} is used for swapping");
            self.lost(
                "/proc/swaps",
                message,
                "a Basalt node makes no swap space; `kubelet.memorySwap` is for one that there is",
            );
        }
    }

    /// Settings that a NodeConfig has a place for.
    fn settings(&mut self, inventory: &NodeInventory) {
        for proxy in &inventory.proxies {
            let message = format!("a proxy is set: {}", proxy.entry);
            self.written(&proxy.file, message, "write it into `proxy` of the NodeConfig");
        }
        for mirror in &inventory.mirrors {
            let message = format!("images have a mirror: {}", mirror.entry);
            self.written(&mirror.file, message, "write it into `registries` of the NodeConfig");
        }
        for certificate in &inventory.certificates {
            let message = "a certificate authority was added".to_owned();
            let help = "write it into `caCertificates` of the NodeConfig, or into `ca` of its registry; pods that mount \
                        the node's bundle have it by their own image";
            self.written(certificate, message, help);
        }
    }

    /// Programs that run beside Kubernetes.
    fn programs(&mut self, inventory: &NodeInventory) {
        for file in &inventory.static_pods {
            let message = "a static pod runs here, and a Basalt node has none".to_owned();
            self.lost(file, message, "make it a DaemonSet for these nodes");
        }
        for schedule in &inventory.schedules {
            let message = format!("it runs at times: {}", schedule.entry);
            self.lost(&schedule.file, message, "make it a CronJob, or a DaemonSet that waits");
        }
        for service in &inventory.services {
            let message = "a service of systemd runs here that no package brought".to_owned();
            self.lost(service, message, "make it a DaemonSet");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> NodeFacts {
        let text = include_str!("../tests/node-facts.json");
        serde_json::from_str(text).expect("facts of the image")
    }

    fn entry(file: &str, entry: &str) -> HostSetting {
        HostSetting {
            file: file.to_owned(),
            entry: entry.to_owned(),
        }
    }

    #[test]
    fn what_the_image_has_is_no_finding() {
        let mut node = facts();
        node.sysctls.insert("net.ipv4.ip_forward".to_owned(), "1".to_owned());
        node.kernel.modules.insert("nf_conntrack".to_owned());
        let inventory = NodeInventory {
            modules: ["nf_conntrack".to_owned()].into(),
            wanted_modules: vec![entry("/etc/modules", "nf-conntrack")],
            sysctls: vec![entry("/etc/sysctl.conf", "net.ipv4.ip_forward = 1")],
            ..NodeInventory::default()
        };
        let report = compare_inventory(&inventory, &node);
        assert_eq!((report.findings.as_slice(), report.worst()), (&[][..], None));
        assert!(report.text().contains("nothing found"));
    }

    #[test]
    fn what_is_written_and_what_is_lost() {
        let mut node = facts();
        node.sysctls.insert("vm.swappiness".to_owned(), "60".to_owned());
        let inventory = NodeInventory {
            hostname: "worker-1".to_owned(),
            os: "Ubuntu 24.04.3 LTS".to_owned(),
            modules: ["no_such_driver".to_owned(), "no_such_wish".to_owned()].into(),
            wanted_modules: vec![entry("/etc/modules", "no-such-wish")],
            sysctls: vec![entry("/etc/sysctl.conf", "vm.swappiness = 1")],
            mounts: vec![basalt_inventory::HostMount {
                path: "/data".to_owned(),
                kind: "xfs".to_owned(),
                source: "/dev/sdb1".to_owned(),
            }],
            swaps: vec!["/swap.img".to_owned()],
            proxies: vec![entry("/etc/environment", "http_proxy=http://proxy:3128")],
            mirrors: vec![entry("/etc/docker/daemon.json", "docker.io by https://m")],
            static_pods: vec!["/etc/kubernetes/manifests/haproxy.yaml".to_owned()],
            certificates: vec!["/usr/local/share/ca-certificates/root.crt".to_owned()],
            schedules: vec![entry("/etc/cron.d/own", "job own")],
            services: vec!["/etc/systemd/system/agent.service".to_owned()],
            ..NodeInventory::default()
        };
        let report = compare_inventory(&inventory, &node);
        let of = |verdict| {
            let findings = report.findings.iter().filter(|finding| finding.verdict == verdict);
            findings.map(|finding| finding.place.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(
            of(WorkloadVerdict::RunsOtherwise),
            [
                "/etc/modules",
                "/data",
                "/proc/swaps",
                "/etc/kubernetes/manifests/haproxy.yaml",
                "/etc/cron.d/own",
                "/etc/systemd/system/agent.service"
            ]
        );
        assert_eq!(
            of(WorkloadVerdict::Note),
            [
                "/proc/modules",
                "/etc/sysctl.conf",
                "/etc/environment",
                "/etc/docker/daemon.json",
                "/usr/local/share/ca-certificates/root.crt"
            ]
        );
        let text = report.text();
        for part in [
            "Node worker-1 (Ubuntu 24.04.3 LTS)",
            "the image does not have these modules that are loaded: no_such_driver\n",
            "vm.swappiness is `1`, and `60` in the image",
            "6 runs-otherwise, 5 note",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(report.worst(), Some(WorkloadVerdict::RunsOtherwise));
    }
}
