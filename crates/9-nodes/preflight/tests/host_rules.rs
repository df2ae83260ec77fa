//! Examples and counter-examples of the rules about hosts.

#![cfg(test)]

use std::collections::BTreeSet;

use basalt_inventory::{
    HostAccount, HostBond, HostCertificate, HostCniNetwork, HostCredentialProvider, HostCronJob, HostDevice,
    HostFilesystem, HostFilter, HostFlag, HostHugePages, HostInterface, HostInventory, HostLimit, HostMirror,
    HostModule, HostName, HostProxy, HostRegistry, HostRoute, HostRuntimeHandler, HostSettingsFile, HostStaticPod,
    HostSwap, HostSysctl, HostUnit, SettingsTopic,
};
use basalt_preflight::{NodeFacts, examine_host, host_rules};
use serde_json::json;

/// Facts of the image `node`.
fn node() -> NodeFacts {
    serde_json::from_str(include_str!("node-facts.json")).expect("facts")
}

/// Change of an empty inventory.
type Change = fn(&mut HostInventory);

fn device(bus: &str, class: &str, id: &str, driver: &str) -> HostDevice {
    HostDevice {
        bus: bus.to_owned(),
        class: Some(class.to_owned()),
        id: Some(id.to_owned()),
        driver: driver.to_owned(),
        module: Some(driver.to_owned()),
        number: 1,
    }
}

fn sysctl(key: &str, value: &str) -> HostSysctl {
    HostSysctl {
        key: key.to_owned(),
        configured: Some(value.to_owned()),
        file: Some("/etc/sysctl.d/a.conf".to_owned()),
        ..HostSysctl::default()
    }
}

fn filesystem(kind: &str, target: &str) -> HostFilesystem {
    HostFilesystem {
        target: target.to_owned(),
        kind: kind.to_owned(),
        source: "x".to_owned(),
        ..HostFilesystem::default()
    }
}

fn flag(name: &str, value: &str) -> HostFlag {
    HostFlag {
        name: name.to_owned(),
        value: value.to_owned(),
        file: "/etc/default/kubelet".to_owned(),
    }
}

fn interface(name: &str) -> HostInterface {
    HostInterface {
        name: name.to_owned(),
        is_configured: true,
        ..HostInterface::default()
    }
}

fn registry(host: &str) -> HostRegistry {
    HostRegistry {
        host: host.to_owned(),
        file: "/etc/containerd/certs.d/x/hosts.toml".to_owned(),
        ..HostRegistry::default()
    }
}

fn mirror(url: &str) -> HostMirror {
    HostMirror {
        url: url.to_owned(),
        ..HostMirror::default()
    }
}

fn settings(topic: SettingsTopic, file: &str) -> HostSettingsFile {
    HostSettingsFile {
        topic,
        file: file.to_owned(),
    }
}

fn module(name: &str, taint: &str, options: &[&str]) -> HostModule {
    HostModule {
        name: name.to_owned(),
        is_loaded: true,
        taint: taint.to_owned(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        ..HostModule::default()
    }
}

fn packages(host: &mut HostInventory, names: &[&str]) {
    let packages = names.iter().map(|name| ((*name).to_owned(), "1".to_owned()));
    host.packages.manual = packages.collect();
}

/// Rule, with a host that it reports and one that it does not.
const CASES: &[(&str, Change, Change)] = &[
    (
        "host-firmware",
        |host| host.system.machine = Some("QEMU".to_owned()),
        |host| {
            host.system.machine = Some("QEMU".to_owned());
            host.system.is_uefi = true;
        },
    ),
    (
        "host-driver",
        |host| host.devices = vec![device("pci", "0x020000", "1:2", "no_such_driver")],
        |host| {
            host.devices = vec![
                device("pci", "0x020000", "15b3:1", "mlx5_core"),
                device("pci", "0x0c0300", "1:2", "odd_hcd"),
            ]
        },
    ),
    (
        "host-gpu",
        |host| host.devices = vec![device("pci", "0x030200", "10de:1", "nvidia")],
        |host| host.devices = vec![device("pci", "0x030000", "1234:1", "bochs")],
    ),
    (
        "host-module",
        |host| host.kernel.modules = vec![module("zfs", "POE", &[])],
        |host| host.kernel.modules = vec![module("overlay", "", &[])],
    ),
    (
        "host-module-option",
        |host| host.kernel.modules = vec![module("nf_conntrack", "", &["hashsize=1"])],
        |host| host.kernel.modules = vec![module("floppy", "", &["x=1"])],
    ),
    (
        "host-command-line",
        |host| host.kernel.command_line = vec!["isolcpus=2-7".to_owned()],
        |host| host.kernel.command_line = vec!["root=/dev/sda1".to_owned(), "quiet".to_owned()],
    ),
    (
        "host-sysctl",
        |host| host.sysctls = vec![sysctl("vm.swappiness", "10")],
        |host| host.sysctls = vec![sysctl("net.ipv4.ip_forward", "1")],
    ),
    (
        "host-sysctl-refused",
        |host| host.sysctls = vec![sysctl("kernel.panic", "30")],
        |host| host.sysctls = vec![sysctl("vm.swappiness", "10")],
    ),
    (
        "host-sysctl-running",
        |host| {
            host.sysctls = vec![HostSysctl {
                key: "kernel.pid_max".to_owned(),
                running: Some("8388608".to_owned()),
                ..HostSysctl::default()
            }];
        },
        |host| {
            host.sysctls = vec![HostSysctl {
                key: "kernel.pid_max".to_owned(),
                running: Some("32768".to_owned()),
                ..HostSysctl::default()
            }];
        },
    ),
    (
        "host-huge-pages",
        |host| {
            host.kernel.huge_pages = vec![HostHugePages {
                size_kib: 2048,
                pages: 4,
            }]
        },
        |host| host.kernel.loaded = 4,
    ),
    (
        "host-swap",
        |host| {
            host.storage.swap = vec![HostSwap {
                source: "/swap.img".to_owned(),
                size_kib: None,
            }]
        },
        |host| host.system.memory_kib = Some(1),
    ),
    (
        "host-mount-server",
        |host| host.storage.filesystems = vec![filesystem("nfs4", "/mnt/x")],
        |host| host.storage.filesystems = vec![filesystem("ext4", "/mnt/x")],
    ),
    (
        "host-mount-disk",
        |host| host.storage.filesystems = vec![filesystem("xfs", "/var/lib/containerd")],
        |host| host.storage.filesystems = vec![filesystem("ext4", "/"), filesystem("vfat", "/boot/efi")],
    ),
    (
        "host-volume-layer",
        |host| host.storage.volume_groups = vec!["vg".to_owned()],
        |host| host.storage.filesystems = vec![filesystem("ext4", "/")],
    ),
    (
        "host-iscsi",
        |host| host.storage.iscsi_targets = vec!["iqn.x".to_owned()],
        |host| host.storage.has_multipath = true,
    ),
    (
        "host-export",
        |host| host.storage.exports = vec!["/srv".to_owned()],
        |host| host.storage.iscsi_targets = vec!["iqn.x".to_owned()],
    ),
    (
        "host-network",
        |host| {
            host.network.interfaces = vec![HostInterface {
                addresses: vec!["10.0.0.2/24".to_owned()],
                ..interface("eth0")
            }];
        },
        |host| {
            host.network.interfaces = vec![HostInterface {
                dhcp: true,
                mtu: Some(1500),
                ..interface("eth0")
            }];
            host.network.resolver.link = Some("../run/systemd/resolve/stub-resolv.conf".to_owned());
        },
    ),
    (
        "host-network-other",
        |host| {
            host.network.interfaces = vec![HostInterface {
                routes: vec![HostRoute {
                    to: "default".to_owned(),
                    table: Some(7),
                    ..HostRoute::default()
                }],
                ..interface("eth0")
            }];
        },
        |host| {
            host.network.bonds = vec![HostBond {
                name: "bond0".to_owned(),
                members: vec!["eth0".to_owned()],
                ..HostBond::default()
            }];
        },
    ),
    (
        "host-names",
        |host| {
            host.network.hosts = vec![HostName {
                address: "10.0.0.9".to_owned(),
                names: vec!["nas".to_owned()],
            }];
        },
        |host| host.network.resolver.servers = vec!["10.0.0.9".to_owned()],
    ),
    (
        "host-proxy",
        |host| host.proxies = vec![proxy("/etc/environment", "https_proxy", "http://p:3128")],
        |host| host.proxies = vec![proxy("/etc/apt/apt.conf.d/p", "http_proxy", "http://p:3128")],
    ),
    (
        "host-time-servers",
        |host| host.time.servers = vec!["ntp.example".to_owned()],
        |host| host.time.servers = vec!["2.debian.pool.ntp.org".to_owned()],
    ),
    (
        "host-time-zone",
        |host| host.time.zone = Some("Europe/Berlin".to_owned()),
        |host| host.time.zone = Some("Etc/UTC".to_owned()),
    ),
    (
        "host-filter",
        |host| {
            host.filters = vec![HostFilter {
                tool: "ufw".to_owned(),
                file: "/etc/ufw".to_owned(),
                rules: 2,
            }]
        },
        |host| host.cni.programs = vec!["firewall".to_owned()],
    ),
    (
        "host-runtime",
        |host| host.runtime.found = vec!["containerd".to_owned(), "docker".to_owned()],
        |host| {
            host.runtime.found = vec!["containerd".to_owned()];
            host.kubelet.flags = vec![flag(
                "container-runtime-endpoint",
                "unix:///run/containerd/containerd.sock",
            )];
        },
    ),
    (
        "host-runtime-handler",
        |host| host.runtime.handlers = vec![handler("kata")],
        |host| host.runtime.handlers = vec![handler("runc")],
    ),
    (
        "host-runtime-setting",
        |host| host.runtime.systemd_cgroup = Some(false),
        |host| {
            host.runtime.systemd_cgroup = Some(true);
            host.runtime.snapshotter = Some("overlayfs".to_owned());
            host.runtime.default_handler = Some("runc".to_owned());
        },
    ),
    (
        "host-registry",
        |host| {
            host.registries = vec![HostRegistry {
                mirrors: vec![mirror("https://m.example")],
                ..registry("docker.io")
            }];
        },
        |host| host.registries = vec![registry("docker.io")],
    ),
    (
        "host-registry-credentials",
        |host| {
            host.registries = vec![HostRegistry {
                has_credentials: true,
                ..registry("r.example")
            }];
        },
        |host| {
            host.registries = vec![HostRegistry {
                mirrors: vec![mirror("https://m.example")],
                ..registry("docker.io")
            }];
        },
    ),
    (
        "host-control-plane",
        |host| host.kubelet.static_pods = vec![static_pod("kube-apiserver")],
        |host| host.kubelet.static_pods = vec![static_pod("haproxy")],
    ),
    (
        "host-static-pod",
        |host| host.kubelet.static_pods = vec![static_pod("haproxy")],
        |host| host.kubelet.static_pods = vec![static_pod("etcd")],
    ),
    (
        "host-kubelet-flag",
        |host| host.kubelet.flags = vec![flag("max-pods", "200")],
        |host| {
            host.kubelet.flags = vec![
                flag("config", "/var/lib/kubelet/config.yaml"),
                flag("cloud-provider", "aws"),
            ]
        },
    ),
    (
        "host-kubelet-flag-unknown",
        |host| host.kubelet.flags = vec![flag("event-burst", "100")],
        |host| host.kubelet.flags = vec![flag("pod-infra-container-image", "pause"), flag("v", "2")],
    ),
    (
        "host-kubelet-config",
        |host| host.kubelet.config = Some(json!({ "maxPods": 200 })),
        |host| host.kubelet.config = Some(json!({ "shutdownGracePeriod": "0s", "clusterDomain": "cluster.local" })),
    ),
    (
        "host-label",
        |host| host.kubelet.flags = vec![flag("node-labels", "a=b")],
        |host| host.kubelet.flags = vec![flag("node-labels", "")],
    ),
    (
        "host-credential-provider",
        |host| {
            host.kubelet.credential_providers = vec![HostCredentialProvider {
                name: "ecr".to_owned(),
                ..HostCredentialProvider::default()
            }];
        },
        |host| host.kubelet.flags = vec![flag("image-credential-provider-config", "/x")],
    ),
    (
        "host-flex-volume",
        |host| host.kubelet.flex_volumes = vec!["nodeagent~uds".to_owned()],
        |host| host.kubelet.plugins = vec!["csi-nfs".to_owned()],
    ),
    (
        "host-cni",
        |host| host.cni.networks = vec![network("/etc/cni/net.d/20-storage.conf", "macvlan")],
        |host| {
            host.cni.networks = vec![
                network("/etc/cni/net.d/10-calico.conflist", "calico"),
                network("/etc/cni/net.d/11-crio-ipv4-bridge.conflist", "bridge"),
            ];
        },
    ),
    (
        "host-unit",
        |host| host.units = vec![unit("backup.service", true, &[])],
        |host| {
            host.units = vec![
                unit("kubelet.service", true, &[]),
                unit("ssh.service", false, &["Service.Nice"]),
            ]
        },
    ),
    (
        "host-unit-change",
        |host| host.units = vec![unit("containerd.service", false, &["Service.LimitNOFILE"])],
        |host| host.units = vec![unit("containerd.service", false, &["Service.Environment"])],
    ),
    (
        "host-cron",
        |host| host.cron = vec![HostCronJob::default()],
        |host| {
            host.cron = vec![HostCronJob {
                is_of_package: true,
                ..HostCronJob::default()
            }];
        },
    ),
    (
        "host-account",
        |host| host.accounts = vec![account("ada", 1001, Some(0))],
        |host| host.accounts = vec![account("root", 0, None)],
    ),
    (
        "host-agent",
        |host| packages(host, &["zabbix-agent2"]),
        |host| packages(host, &["auditdisp-x", "kubelet"]),
    ),
    (
        "host-helper",
        |host| packages(host, &["nfs-common"]),
        |host| packages(host, &["nfs-kernel-server"]),
    ),
    (
        "host-package",
        |host| packages(host, &["htop"]),
        |host| packages(host, &["kubelet", "linux-image-generic", "nfs-common", "telegraf"]),
    ),
    (
        "host-log-forwarding",
        |host| host.settings = vec![settings(SettingsTopic::Rsyslog, "/etc/rsyslog.d/a.conf")],
        |host| host.settings = vec![settings(SettingsTopic::Logrotate, "/etc/logrotate.d/a")],
    ),
    (
        "host-file",
        |host| host.settings = vec![settings(SettingsTopic::Udev, "/etc/udev/rules.d/a.rules")],
        |host| host.settings = vec![settings(SettingsTopic::Sudo, "/etc/sudoers.d/a")],
    ),
    (
        "host-limit",
        |host| host.limits = vec![HostLimit::default()],
        |host| host.units = vec![unit("a.service", true, &[])],
    ),
    (
        "host-authority",
        |host| host.certificates = vec![certificate("/usr/local/share/ca-certificates/a.crt")],
        |host| host.certificates = vec![certificate("/etc/kubernetes/pki/ca.crt")],
    ),
    (
        "host-apparmor-profile",
        |host| profiles(host, "k8s-nginx"),
        |host| profiles(host, "cri-containerd.apparmor.d"),
    ),
    (
        "host-seccomp-profile",
        |host| host.confinement.seccomp = vec!["profiles/a.json".to_owned()],
        |host| host.confinement.seccomp = vec!["operator/ns/a.json".to_owned()],
    ),
];

fn proxy(file: &str, variable: &str, value: &str) -> HostProxy {
    HostProxy {
        file: file.to_owned(),
        variable: variable.to_owned(),
        value: value.to_owned(),
        has_credentials: false,
    }
}

fn handler(name: &str) -> HostRuntimeHandler {
    HostRuntimeHandler {
        name: name.to_owned(),
        ..HostRuntimeHandler::default()
    }
}

fn static_pod(name: &str) -> HostStaticPod {
    HostStaticPod {
        file: format!("/etc/kubernetes/manifests/{name}.yaml"),
        name: name.to_owned(),
        ..HostStaticPod::default()
    }
}

fn network(file: &str, plugin: &str) -> HostCniNetwork {
    HostCniNetwork {
        file: file.to_owned(),
        name: None,
        plugins: vec![plugin.to_owned()],
    }
}

fn unit(name: &str, is_own: bool, settings: &[&str]) -> HostUnit {
    HostUnit {
        name: name.to_owned(),
        is_own,
        settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
        ..HostUnit::default()
    }
}

fn account(name: &str, uid: u64, ssh_keys: Option<usize>) -> HostAccount {
    HostAccount {
        name: name.to_owned(),
        uid,
        ssh_keys,
    }
}

fn certificate(file: &str) -> HostCertificate {
    HostCertificate {
        file: file.to_owned(),
        subject: "CN=x".to_owned(),
        ..HostCertificate::default()
    }
}

fn profiles(host: &mut HostInventory, name: &str) {
    host.confinement
        .profiles
        .insert("/etc/apparmor.d/a".to_owned(), vec![name.to_owned()]);
}

/// Rules that report something about a host.
fn reporting(change: Change, node: &NodeFacts) -> BTreeSet<&'static str> {
    let mut host = HostInventory::default();
    change(&mut host);
    examine_host(&host, node)
        .iter()
        .map(|finding| finding.rule.id)
        .collect()
}

#[test]
fn every_rule_has_an_example_and_a_counter_example() {
    let node = node();
    let known: BTreeSet<_> = CASES.iter().map(|(rule, ..)| *rule).collect();
    let rules: BTreeSet<_> = host_rules().map(|rule| rule.id).collect();
    assert_eq!(known, rules);
    for (rule, example, counter_example) in CASES {
        let found = reporting(*example, &node);
        assert!(found.contains(rule), "{rule} does not report its example: {found:?}");
        assert!(
            !reporting(*counter_example, &node).contains(rule),
            "{rule} reports its counter-example"
        );
    }
}

#[test]
fn nothing_is_found_about_nothing() {
    assert_eq!(reporting(|_| {}, &node()), BTreeSet::new());
}

#[test]
fn the_node_decides() {
    let mut node = node();
    node.kernel.modules.insert("zfs".to_owned());
    node.containerd.handlers.insert("kata".to_owned());
    node.apparmor_profiles.insert("k8s-nginx".to_owned());
    node.sysctls.insert("vm.swappiness".to_owned(), "10".to_owned());
    node.tree.add("/usr/bin/mount.nfs", basalt_preflight::TreeEntry::File);
    for rule in [
        "host-module",
        "host-runtime-handler",
        "host-apparmor-profile",
        "host-sysctl",
        "host-helper",
    ] {
        let (_, example, _) = CASES.iter().find(|(id, ..)| *id == rule).expect("a case");
        assert!(!reporting(*example, &node).contains(rule), "{rule}");
    }
}

#[test]
fn rules_have_names_and_texts() {
    let mut ids = BTreeSet::new();
    for rule in host_rules() {
        assert!(rule.id.starts_with("host-") && ids.insert(rule.id), "{}", rule.id);
        assert!(
            !rule.title.ends_with('.') && rule.title.len() <= 90,
            "{}: {}",
            rule.id,
            rule.title
        );
        assert!(
            rule.reason.ends_with('.') && !rule.reason.contains("  "),
            "{}: {}",
            rule.id,
            rule.reason
        );
    }
}
