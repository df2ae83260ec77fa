//! Settings that people carry over from nodes of other distributions, in the words and with the values that they had there.

#![cfg(test)]

mod cases;

use cases::{accepted, refused, warned};

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
