//! Settings that people carry over from nodes of other distributions, in the words and with the values that they had there.

#![cfg(test)]

mod cases;

use std::time::SystemTime;

use basalt_node_config::{Clock, check};

use cases::{accepted, refused, warned};

#[test]
fn files_of_other_formats_are_told_as_a_whole() {
    let text =
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery: { tlsBootstrapToken: hunter22 }\n";
    let problems = check("join.yaml", text, Clock::Unsure(SystemTime::UNIX_EPOCH)).unwrap_err();
    assert_eq!(
        problems.brief(),
        "join.yaml:1:1: error: this is a `JoinConfiguration`, and no NodeConfig\n    `basalt config from-join 'kubeadm join \
         --config FILE'` makes a NodeConfig of it\n"
    );
    assert!(!format!("{problems:?}").contains("hunter22"));
}

#[test]
fn a_version_that_is_missing_is_named() {
    let text = "kind: NodeConfig\ncluster: {}\n";
    let problems = check("node.yaml", text, Clock::Unsure(SystemTime::UNIX_EPOCH)).unwrap_err();
    assert!(
        problems.brief().contains("add `apiVersion: basalt.dev/v1`"),
        "{}",
        problems.brief()
    );
}

#[test]
fn keys_of_other_formats() {
    refused(&[
        (
            "network: { interfaces: [{ name: ens3, nameservers: { addresses: [10.0.0.2] } }] }",
            "write it as `network.dns.servers`",
        ),
        (
            "kubelet: { clusterDNS: [10.96.0.10] }",
            "write it as `cluster.dns.addresses`",
        ),
        (
            "kubelet: { serializeImagePulls: false }",
            "write it as `kubelet.maxParallelImagePulls`",
        ),
        ("kubelet: { podsPerCore: 10 }", "write it below `kubelet.extraConfig`"),
        (
            "kubelet: { cgroupDriver: systemd }",
            "containerd leaves control groups to systemd",
        ),
        ("kubelet: { max-pods: 50 }", "did you mean `maxPods`?"),
    ]);
}

#[test]
fn values_of_other_formats() {
    accepted(&[
        "time: { servers: [ntp.corp.example] }",
        "registries: [{ host: '*', mirrors: [{ url: 'https://mirror.corp.example' }] }]",
    ]);
    warned(&[(
        "network: { dns: { servers: [10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4] } }",
        "the first three name servers only",
    )]);
    refused(&[
        (
            "time: { servers: ['ntp.corp.example iburst'] }",
            "write `ntp.corp.example` alone",
        ),
        (
            "network: { interfaces: [{ name: ens3, routes: [{ to: default, via: 10.0.0.1 }] }] }",
            "write `0.0.0.0/0`",
        ),
        (
            "network: { interfaces: [{ name: ens3, routes: [{ to: default, via: 'fd00::1' }] }] }",
            "write `::/0`",
        ),
        ("registries: [{ host: '*.corp.example' }]", "`*` stands alone"),
    ]);
}

#[test]
fn kernel_settings_below_those_of_the_image() {
    accepted(&[
        "sysctls: { vm.max_map_count: 2097152, net.core.somaxconn: 65535, vm.swappiness: 10, kernel.sysrq: 0 }",
    ]);
    warned(&[
        (
            "sysctls: { vm.max_map_count: 262144 }",
            "`vm.max_map_count` is 1048576 in the image",
        ),
        ("sysctls: { net/core/somaxconn: '4096' }", "`4096` is less"),
        ("sysctls: { fs.inotify.max_user_instances: 1024 }", "8192 in the image"),
        // Hardening is taken back by the same lines.
        ("sysctls: { kernel.kptr_restrict: 0 }", "`0` is less"),
    ]);
}

#[test]
fn labels_of_the_machine() {
    accepted(&[
        "labels: { kubernetes.io/os: linux, kubernetes.io/arch: amd64, topology.kubernetes.io/zone: a }",
        "hostname: w1\nlabels: { kubernetes.io/hostname: w1 }",
    ]);
    refused(&[
        (
            "hostname: w1\nlabels: { kubernetes.io/hostname: foo }",
            "pods with local volumes look for their node by it",
        ),
        ("labels: { kubernetes.io/hostname: foo }", "is the kubelet's to set"),
        ("labels: { kubernetes.io/os: windows }", "`windows` takes the place"),
        ("labels: { kubernetes.io/arch: arm64 }", "`arm64` takes the place"),
    ]);
}

#[test]
fn mirrors_that_never_answer() {
    let mirror = |rest: &str| format!("registries: [{{ host: docker.io, mirrors: [{{ {rest} }}] }}]");
    accepted(&[
        &mirror("url: 'https://harbor.example/v2/hub', overridePath: true"),
        &mirror("url: 'https://mirror.example/v2/'"),
        &mirror("url: 'https://mirror.example/hub'"),
        &mirror("url: 'https://v2.example/hub'"),
        "registries: [{ host: registry-1.docker.io, auth: { username: a, password: b } }]",
    ]);
    warned(&[
        (
            &mirror("url: 'https://harbor.example/v2/hub/'"),
            "asks `https://harbor.example/v2/hub/v2/`",
        ),
        (
            "registries: [{ host: index.docker.io, mirrors: [{ url: 'https://mirror.example' }] }]",
            "write `host: docker.io`",
        ),
        (
            "registries: [{ host: registry-1.docker.io, mirrors: [] }]",
            "never as `registry-1.docker.io`",
        ),
    ]);
}

/// A network with name servers.
fn network(rest: &str) -> String {
    format!("network: {{ dns: {{ servers: [10.0.0.2] }}, {rest} }}")
}

const FIXED: &str = "interfaces: [{ name: ens3, addresses: [10.0.0.11/24], gateway: 10.0.0.1 }]";
const BOND: &str = "bonds: [{ name: bond0, members: [eno1, eno2] }], vlans: [{ name: vlan10, id: 10, link: bond0 }], ";

#[test]
fn networks_that_hold() {
    let vlan = "{ name: vlan10, addresses: [10.0.0.11/24], gateway: 10.0.0.1, mtu: 9000 }";
    accepted(&[
        &network(FIXED),
        // A bond below VLANs has large packets, and no address.
        &network(&format!(
            "{BOND} interfaces: [{{ name: bond0, dhcp: false, mtu: 9000 }}, {vlan}]"
        )),
        // DHCP may say how large they are.
        &network(&format!("{BOND} interfaces: [{{ name: bond0 }}, {vlan}]")),
        &format!("{}\nkubelet: {{ nodeIP: 10.0.0.11 }}", network(FIXED)),
        &format!("{}\nkubelet: {{ nodeIP: 0.0.0.0 }}", network(FIXED)),
        // Another card may have it.
        "network: { interfaces: [{ name: ens3, addresses: [10.0.0.11/24] }, { name: ens4 }] }\n\
         kubelet: { nodeIP: 10.9.9.9 }",
        // No name is looked up.
        &format!(
            "network: {{ {FIXED} }}\n\
             registries: [{{ host: '*', mirrorsOnly: true, mirrors: [{{ url: 'http://10.0.0.5:5000' }}] }}]"
        ),
    ]);
}

#[test]
fn networks_that_may_lose_the_node() {
    warned(&[
        (&format!("network: {{ {FIXED} }}"), "no name server is given"),
        (
            "network: { bonds: [{ name: bond0, members: [eno1] }], \
             interfaces: [{ name: bond0, addresses: [10.0.0.11/24], gateway: 10.0.0.1 }] }",
            "no name server is given",
        ),
        (
            "network: { interfaces: [{ name: ens3, addresses: ['fd00::11/64'] }] }",
            "unless router advertisements name one",
        ),
        (
            "network: { dns: { servers: [127.0.0.1, 10.0.0.2] } }",
            "`127.0.0.1` is the node itself",
        ),
        (
            &network("interfaces: [{ name: 'en*', addresses: [10.0.0.11/24] }]"),
            "`en*` may fit several cards, and each of them gets `10.0.0.11/24`",
        ),
        (
            &network(&format!("{BOND} interfaces: [{{ name: vlan10, mtu: 9000 }}]")),
            "add `{ name: bond0, dhcp: false, mtu: 9000 }` to `interfaces`",
        ),
        (
            &network(&format!(
                "{BOND} interfaces: [{{ name: bond0, dhcp: false, mtu: 1400 }}, {{ name: vlan10, mtu: 1450 }}]"
            )),
            "`vlan10` has packets of 1450 bytes, and `bond0`, which carries it, of 1400",
        ),
        (
            "network: { bonds: [{ name: bond0, members: [eno1] }], vlans: [{ name: vlan10, id: 10, link: bond1 }] }",
            "did you mean `bond0`?",
        ),
        (
            "network: { vlans: [{ name: vlan10, id: 10, link: bond0 }] }",
            "add it to `bonds`",
        ),
    ]);
}

#[test]
fn networks_that_lose_the_node() {
    refused(&[
        (
            "network: { dns: { servers: [127.0.0.53] } }",
            "`127.0.0.53` is the node itself",
        ),
        (
            &format!("{}\nkubelet: {{ nodeIP: 10.9.9.9 }}", network(FIXED)),
            "no interface has `10.9.9.9`: the addresses are `10.0.0.11`",
        ),
        (
            &network("interfaces: [{ name: ens3, addresses: [10.0.0.11/24, 10.87.0.1/24] }]"),
            "`10.87.0.1` is the address of the API server",
        ),
    ]);
}

#[test]
fn default_gateways() {
    let two = |one: &str, other: &str| {
        format!(
            "network: {{ interfaces: [{{ name: a, addresses: [10.0.0.11/24, 'fd00::11/64'], {one} }}, \
             {{ name: b, addresses: [10.0.1.11/24, 'fd01::11/64'], {other} }}], dns: {{ servers: [10.0.0.2] }} }}"
        )
    };
    let (first, second) = ("gateway: 10.0.0.1", "gateway: 10.0.1.1");
    accepted(&[
        &two(first, "metric: 100, gateway: 10.0.1.1"),
        &two(first, "gateway: 'fd01::1'"),
        &two(first, "routes: [{ to: 10.0.0.0/8, via: 10.0.1.1 }]"),
        &two(first, "routes: [{ to: 0.0.0.0/0, via: 10.0.1.1, metric: 5 }]"),
        &two(
            "gateway: 10.0.0.1, routes: [{ to: '::/0', via: 'fd00::1' }]",
            "mtu: 1500",
        ),
        // DHCP gives its routes a metric of its own.
        &two(first, "dhcp: true, gateway: 10.0.1.1"),
    ]);
    let says = "`10.0.1.1` is a default gateway of IPv4 beside `10.0.0.1`, and has the same metric";
    refused(&[
        (&two(first, second), says),
        (&two(first, "metric: 0, gateway: 10.0.1.1"), says),
        (
            &two("metric: 100, gateway: 10.0.0.1", "metric: 100, gateway: 10.0.1.1"),
            says,
        ),
        (&two(first, "routes: [{ to: 0.0.0.0/0, via: 10.0.1.1 }]"), says),
        (
            &two(
                "gateway: 10.0.0.1, routes: [{ to: 0.0.0.0/0, via: 10.0.0.2 }]",
                "mtu: 1500",
            ),
            "`10.0.0.2` is a default gateway of IPv4 beside `10.0.0.1`",
        ),
        (
            &two("gateway: 'fd00::1'", "metric: 1024, gateway: 'fd01::1'"),
            "a default gateway of IPv6",
        ),
    ]);
}
