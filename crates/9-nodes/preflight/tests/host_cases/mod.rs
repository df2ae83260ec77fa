//! Hosts that the rules report, and hosts that they do not.

use basalt_inventory::{
    HostBond, HostCredentialProvider, HostCronJob, HostFilter, HostHugePages, HostInterface, HostInventory, HostLimit,
    HostName, HostRegistry, HostRoute, HostSwap, HostSysctl, SettingsTopic,
};
use serde_json::json;

use super::host_parts::{
    account, certificate, device, filesystem, flag, handler, interface, mirror, module, network, packages, profiles,
    proxy, registry, settings, static_pod, sysctl, unit,
};

/// Change of an empty inventory.
pub type Change = fn(&mut HostInventory);

/// Rule, with a host that it reports and one that it does not.
pub const CASES: &[(&str, Change, Change)] = &[
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
        "host-sysctl-lower",
        |host| host.sysctls = vec![sysctl("vm.max_map_count", "262144")],
        |host| host.sysctls = vec![sysctl("vm.max_map_count", "2097152")],
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
                file: "/etc/fstab".to_owned(),
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
        "host-network-other",
        |host| host.network.interfaces = vec![with_settings("wlan0", &["optional", "wpa-psk"])],
        |host| host.network.interfaces = vec![with_settings("eth0", &["optional", "*"])],
    ),
    (
        "host-network-setting",
        |host| host.network.interfaces = vec![with_settings("eth0", &["optional"])],
        |host| host.network.interfaces = vec![with_settings("wlan0", &["access-points"])],
    ),
    (
        "host-endpoint",
        |host| {
            host.kubelet.server = Some("https://cp.internal:6443".to_owned());
            host.network.hosts = vec![HostName {
                address: "10.0.0.1".to_owned(),
                names: vec!["cp.internal".to_owned()],
            }];
        },
        |host| host.kubelet.server = Some("https://cp.internal:6443".to_owned()),
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
        |host| host.kubelet.flags = vec![flag("no-such-flag", "100")],
        |host| host.kubelet.flags = vec![flag("event-burst", "100"), flag("v", "2")],
    ),
    (
        "host-kubelet-config",
        |host| host.kubelet.config = Some(json!({ "maxPods": 200 })),
        |host| host.kubelet.config = Some(json!({ "shutdownGracePeriod": "0s", "clusterDomain": "cluster.local" })),
    ),
    (
        "host-kubelet-config",
        |host| host.kubelet.config = Some(json!({ "registryPullQPS": 10 })),
        |host| host.kubelet.config = Some(json!({ "registryPullQPS": 0, "rotateCertificates": true })),
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
    (
        "host-left-out",
        |host| host.kubelet.flags = vec![flag("node-labels", "node-role.kubernetes.io/worker=")],
        |host| host.kubelet.flags = vec![flag("node-labels", "tier=front")],
    ),
];

/// Interface with settings that inventories do not read.
pub fn with_settings(name: &str, others: &[&str]) -> HostInterface {
    HostInterface {
        others: others.iter().map(|other| (*other).to_owned()).collect(),
        ..interface(name)
    }
}
