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
