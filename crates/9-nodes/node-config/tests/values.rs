//! Values of a NodeConfig against those that the agent and the kubelet put beside them.

#![cfg(test)]

mod cases;

use std::time::SystemTime;

use basalt_node_config::Clock;

use cases::{CA, accepted, refused, said, warned};

#[test]
fn the_kubelet_starts_with_what_is_accepted() {
    accepted(&[
        "kubelet: { shutdownGracePeriod: 5s }",
        "kubelet: { shutdownGracePeriod: 0s }",
        "kubelet: { shutdownGracePeriod: 0s, shutdownGracePeriodCriticalPods: 0s }",
        "kubelet: { shutdownGracePeriodCriticalPods: 30s }",
        "kubelet: { imageGCHighThresholdPercent: 81 }",
        "kubelet: { imageGCHighThresholdPercent: 75, imageGCLowThresholdPercent: 70 }",
        "kubelet: { imageGCLowThresholdPercent: 84 }",
        "kubelet: { cpuManagerPolicy: static }",
        "kubelet: { cpuManagerPolicy: static, systemReserved: { cpu: '0' }, kubeReserved: { cpu: 100m } }",
        "kubelet: { evictionHard: { memory.available: 5%, nodefs.available: 0% } }",
        "kubelet: { allowedUnsafeSysctls: ['net.*', kernel.sem, 'kernel.shm*', net/core/somaxconn] }",
        "kubelet: { nodeIP: '10.0.0.1,fd00::1' }",
    ]);
    refused(&[
        ("kubelet: { shutdownGracePeriod: 500ms }", "less than a second"),
        (
            "kubelet: { shutdownGracePeriodCriticalPods: 31s }",
            "more than the whole shutdown with its 30s",
        ),
        (
            "kubelet: { shutdownGracePeriod: 10s, shutdownGracePeriodCriticalPods: 20s }",
            "more than the whole shutdown with its 10s",
        ),
        (
            "kubelet: { imageGCHighThresholdPercent: 75 }",
            "the kubelet's low threshold, 80, is not below the high one 75",
        ),
        (
            "kubelet: { imageGCLowThresholdPercent: 85 }",
            "the low threshold 85 is not below the kubelet's high one, 85",
        ),
        (
            "kubelet: { imageGCHighThresholdPercent: 60, imageGCLowThresholdPercent: 60 }",
            "the low threshold 60 is not below the high one 60",
        ),
        (
            "kubelet: { cpuManagerPolicy: static, systemReserved: { cpu: '0' } }",
            "needs processors that are kept back",
        ),
        (
            "kubelet: { evictionHard: { memory.available: '0' } }",
            "the threshold `0` is zero",
        ),
        (
            "kubelet: { allowedUnsafeSysctls: [vm.swappiness] }",
            "`vm.swappiness` is not of a namespace",
        ),
        ("kubelet: { nodeIP: '10.0.0.1,10.0.0.2' }", "are of the same family"),
        ("kubelet: { nodeIP: 'fe80::1' }", "cannot be the address of a node"),
    ]);
    warned(&[(
        "kubelet: { evictionHard: { containerfs.available: 10% } }",
        "the kubelet does not use `containerfs.available`",
    )]);
}

#[test]
fn soft_thresholds_and_times() {
    accepted(&[
        "kubelet: { evictionSoft: { memory.available: 1Gi }, evictionSoftGracePeriod: { memory.available: 1m } }",
    ]);
    refused(&[
        (
            "kubelet: { evictionSoft: { memory.available: 1Gi } }",
            "`memory.available` has no grace period",
        ),
        (
            "kubelet: { evictionSoft: { memory.available: 1Gi }, evictionSoftGracePeriod: { nodefs.available: 1m } }",
            "`memory.available` has no grace period",
        ),
    ]);
    warned(&[
        (
            "kubelet: { evictionSoftGracePeriod: { memory.available: 1m } }",
            "`memory.available` has a grace period and no soft threshold",
        ),
        // Part of `cluster`, whose configuration may have a threshold.
        (
            "  kubeletConfig: fromCluster\nkubelet: { evictionSoftGracePeriod: { memory.available: 1m } }",
            "the grace period of `memory.available` is for a soft threshold of the cluster's kubelet-config",
        ),
        // Thresholds of a NodeConfig take the place of all of the cluster's.
        (
            "  kubeletConfig: fromCluster\nkubelet: { evictionSoft: { nodefs.available: 15% }, \
             evictionSoftGracePeriod: { nodefs.available: 1m, memory.available: 1m } }",
            "`memory.available` has a grace period and no soft threshold",
        ),
    ]);
}

#[test]
fn swap() {
    accepted(&[
        "kubelet: { memorySwap: { swapBehavior: NoSwap }, failSwapOn: true }",
        "kubelet: { failSwapOn: false }",
    ]);
    warned(&[
        (
            "kubelet: { memorySwap: { swapBehavior: LimitedSwap } }",
            "the image has no swap",
        ),
        (
            "kubelet: { memorySwap: { swapBehavior: LimitedSwap }, failSwapOn: false }",
            "the image has no swap",
        ),
    ]);
    refused(&[
        (
            "kubelet: { memorySwap: { swapBehavior: LimitedSwap }, failSwapOn: true }",
            "the kubelet refuses to start with swap",
        ),
        ("kubelet: { memorySwap: { swapBehavior: Unlimited } }", "`Unlimited`"),
    ]);
}

#[test]
fn cloud_controllers() {
    accepted(&["kubelet: { cloudProvider: external, providerID: 'aws:///eu-central-1a/i-0abc' }"]);
    accepted(&[
        "kubelet: { providerID: 'openstack://region/5c4b0c2e' }",
        "kubelet: { providerID: ocid1.instance.oc1.phx.abc }",
    ]);
    refused(&[
        ("kubelet: { cloudProvider: aws }", "`aws`"),
        (
            "kubelet: { providerID: 'openstack:///$(uuid)' }",
            "nothing puts a value in its place",
        ),
        (
            "kubelet: { providerID: 'openstack:///{{ instance_id }}' }",
            "nothing puts a value",
        ),
        (
            "kubelet: { providerID: 5c4b0c2e-1 }",
            "does not begin with the name of a cloud",
        ),
        (
            "kubelet: { providerID: 'openstack:///' }",
            "does not begin with the name of a cloud",
        ),
        ("kubelet: { providerID: '' }", "is empty"),
        ("hostname: localhost", "is that of each machine itself"),
    ]);
    let taint = "taints: [{ key: node.cloudprovider.kubernetes.io/uninitialized, value: 'true', effect: NoSchedule }]";
    warned(&[(taint, "write `cloudProvider: external` below `kubelet` instead")]);
}

#[test]
fn kernel_settings_with_a_risk() {
    accepted(&[
        "sysctls: { net.ipv4.conf.all.rp_filter: 2, net.ipv4.ip_local_port_range: 32768 60999 }",
        // As the CIS benchmark asks for.
        "sysctls: { kernel.panic: 10, kernel.panic_on_oops: 1, vm.overcommit_memory: 1, vm.panic_on_oom: 0, \
         kernel.keys.root_maxkeys: 1000000, kernel.keys.root_maxbytes: 25000000 }",
    ]);
    warned(&[
        ("sysctls: { net.ipv4.conf.all.rp_filter: 1 }", "strict filtering"),
        ("sysctls: { net.ipv6.conf.all.disable_ipv6: 1 }", "`::1`"),
        (
            "sysctls: { net.ipv4.ip_local_port_range: 1024 65535 }",
            "ports of services",
        ),
        ("sysctls: { vm.nr_hugepages: 1000000 }", "more than 256 GiB of memory"),
        (
            "sysctls: { kernel.unprivileged_userns_clone: 1 }",
            "only kernels of Debian and Ubuntu have it",
        ),
    ]);
    refused(&[
        ("sysctls: { net.core.rmem_max: 16M }", "the kernel reads no units"),
        (
            "sysctls: { fs.inotify.max_user_instances: 0 }",
            "watch files themselves",
        ),
        ("sysctls: { vm.nr_hugepages: 100000000 }", "take all of it"),
        ("sysctls: { user.max_mnt_namespaces: 1 }", "namespaces of their own"),
        ("sysctls: { net.netfilter.nf_conntrack_max: 1 }", "drops connections"),
        ("sysctls: { net.ipv4.tcp_mem: 1 1 1 }", "no memory beyond"),
        (
            "sysctls: { net.ipv4.ip_local_port_range: 40000 30000 }",
            "the kernel refuses a range",
        ),
        ("sysctls: { net.ipv6.conf.all.forwarding: 0 }", "without forwarding"),
        (
            "sysctls: { vm.nr_hugepages: '0x7fffffff' }",
            "the kernel reads 2147483647",
        ),
        ("sysctls: { fs.file-max: '0x10' }", "the kernel reads 16"),
        ("sysctls: { vm.swappiness: 201 }", "out of range"),
        (
            "sysctls: { vm.overcommit_memory: 0 }",
            "the kubelet does not start with another value than 1",
        ),
        (
            "sysctls: { kernel.panic: 20 }",
            "the kubelet does not start with another value than 10",
        ),
    ]);
}

#[test]
fn registries() {
    let mirrored = "registries: [{ host: '*', mirrors: [{ url: 'http://10.0.0.5:5000' }], mirrorsOnly: true }, ";
    accepted(&[
        "registries: [{ host: docker.io, mirrors: [{ url: 'https://h.example/v2/hub', overridePath: true, \
         auth: { username: robot$puller, password: secret } }] }]",
        "registries: [{ host: a.azurecr.io, auth: { identityToken: token } }]",
        &format!("{mirrored} {{ host: a.example, mirrors: [], auth: {{ username: a, password: b }} }}]"),
        "registries: [{ host: a.example, auth: { username: a, password: b } }]",
    ]);
    refused(&[
        (
            "registries: [{ host: a, auth: { username: a } }]",
            "a name and a password, or a token",
        ),
        (
            "registries: [{ host: a, auth: { username: a, password: b, identityToken: c } }]",
            "a name and a password, or a token",
        ),
        (
            "registries: [{ host: a, auth: { identityToken: '' } }]",
            "the token is empty",
        ),
        (
            "registries: [{ host: a, mirrorsOnly: true, mirrors: [{ url: 'https://m' }], \
             auth: { username: a, password: b } }]",
            "only mirrors are asked",
        ),
        (
            "registries: [{ host: '*', skipVerify: true, mirrors: [{ url: 'https://m' }] }]",
            "`*` can only have mirrors",
        ),
        (
            "registries: [{ host: a, mirrors: [{ url: 'http://m', skipVerify: true }] }]",
            "without TLS, `skipVerify`",
        ),
        (
            "registries: [{ host: a, clientCertificate: { certificate: a, key: b } }]",
            "there is no certificate in PEM here",
        ),
        (
            "registries: [{ host: a, mirrors: [{ url: 'https://m', auth: { username: a, password: b } }] }, \
             { host: b, mirrors: [{ url: 'https://m/v2/b', auth: { username: a, password: c } }] }]",
            "`m` is given two different passwords",
        ),
    ]);
    warned(&[
        (
            &format!("{mirrored} {{ host: a.example, auth: {{ username: a, password: b }} }}]"),
            "`a.example` has an entry of its own: this node asks the registry itself",
        ),
        (
            "registries: [{ host: '*', mirrors: [{ url: 'https://m' }] }, { host: a, plainHttp: true }]",
            "the mirrors of `*` are not asked for it",
        ),
        (
            "registries: [{ host: a, skipVerify: true }]",
            "whoever is between may answer",
        ),
    ]);
}

#[test]
fn images_to_pull_early() {
    let digest = "0123abcd".repeat(8);
    accepted(&[&format!(
        "prepull: [registry.example/app:1, 'a.example:5000/b@sha256:{digest}']"
    )]);
    refused(&[
        (
            "prepull: ['https://registry.example/app']",
            "is not the name of an image",
        ),
        ("prepull: [UPPER/x:1]", "lower-case"),
        ("prepull: ['r/x@sha256:abc']", "64 hexadecimal digits"),
    ]);
}

#[test]
fn a_client_certificate() {
    let with = |certificate: &str, key: &str| {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\n', "\\n"));
        let (certificate, key) = (quoted(certificate), quoted(key));
        format!("registries: [{{ host: a, clientCertificate: {{ certificate: {certificate}, key: {key} }} }}]")
    };
    let key = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
    accepted(&[&with(CA, key)]);
    let encrypted = key.replace("EC PRIVATE", "ENCRYPTED PRIVATE");
    refused(&[
        (&with(CA, CA), "not a private key"),
        (&with(CA, &encrypted), "without a password"),
        (&with(key, key), "no certificate in PEM"),
    ]);
}

#[test]
fn a_proxy() {
    accepted(&["proxy: { https: 'http://u:p@proxy.example:3128', noProxy: [.example.com, 10.0.0.0/8, 'h:8443'] }"]);
    refused(&[
        ("proxy: {}", "no proxy is named"),
        ("proxy: { http: 'proxy.example:3128' }", "begins with `http://`"),
        ("proxy: { http: 'http://p:1', noProxy: ['a, b'] }", "`a, b` is neither"),
        (
            "proxy: { http: 'http://p:1', noProxy: ['http://x'] }",
            "`http://x` is neither",
        ),
        (
            "proxy: { http: 'http://p:1', noProxy: [10.0.0.0/99] }",
            "`10.0.0.0/99` is neither",
        ),
    ]);
    let (_, said) = said("proxy: { http: 'http://u:s3cret@pro xy' }");
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn credential_providers() {
    let with = |rest: &str| format!("kubelet: {{ credentialProviders: [{{ defaultCacheDuration: 12h, {rest} }}] }}");
    accepted(&[&with(
        "name: acr-credential-provider, matchImages: ['*.azurecr.io', 'a.example:5000/team']",
    )]);
    refused(&[
        (&with("name: ../sh, matchImages: [a]"), "is not the name of a program"),
        (&with("name: a, matchImages: []"), "is asked for no image"),
        (&with("name: a, matchImages: ['https://a']"), "does not match images"),
        (
            &with("name: a, matchImages: ['a.example:+5000']"),
            "does not match images",
        ),
    ]);
}

#[test]
fn interfaces() {
    let one =
        |rest: &str| format!("network: {{ interfaces: [{{ name: eth0, {rest} }}], dns: {{ servers: [10.0.0.2] }} }}");
    accepted(&[
        &one("unmanaged: true"),
        &one("addresses: [10.0.0.11/32], gateway: 10.0.0.1, gatewayOnLink: true"),
        &one("addresses: [10.0.0.11/24], routes: [{ to: 0.0.0.0/0, via: 172.16.0.1, onLink: true }]"),
        &one("metric: 100, optional: true"),
        "network: { bonds: [{ name: bond0, members: [eno1, '52:54:00:12:34:56'] }] }",
        "network: { bonds: [{ name: b, members: ['en*'], mode: 802.3ad, lacpRate: fast }], \
         vlans: [{ name: v, id: 10, link: b }, { name: w, id: 11, link: v }] }",
    ]);
    refused(&[
        (
            &one("unmanaged: true, addresses: [10.0.0.11/24]"),
            "left alone, and set up as well",
        ),
        (&one("dhcp: false"), "`unmanaged: true` leaves the interface alone"),
        (
            "network: { interfaces: [{ name: eth0, dhcp: false, gateway: 10.0.0.1 }], \
             vlans: [{ name: v, id: 1, link: eth0 }] }",
            "neither addresses nor DHCP",
        ),
        (
            &one("addresses: [10.0.0.11/32], gateway: 10.0.0.1"),
            "is in none of the interface's networks",
        ),
        (&one("gatewayOnLink: true"), "there is no `gateway`"),
        ("network: { bonds: [{ name: bond0, members: [] }] }", "has no members"),
        (
            "network: { bonds: [{ name: bond0, members: [a], lacpRate: fast }] }",
            "`active-backup` has no LACP",
        ),
        (
            "network: { bonds: [{ name: bond0, members: [a], transmitHashPolicy: layer2 }] }",
            "`active-backup` uses no hash",
        ),
        (
            "network: { bonds: [{ name: 'bond*', members: [a] }] }",
            "is not the name of one interface",
        ),
        (
            "network: { vlans: [{ name: a-name-of-16-chars, id: 1, link: eth0 }] }",
            "is not the name of one interface",
        ),
        (
            "network: { vlans: [{ name: v, id: 4095, link: eth0 }] }",
            "4095 is out of range",
        ),
        (
            "network: { vlans: [{ name: v, id: 1, link: v }] }",
            "`v` is on `v`, which is made later",
        ),
        (
            "network: { bonds: [{ name: x, members: [a] }], vlans: [{ name: x, id: 1, link: eth0 }] }",
            "two interfaces are made with the name `x`",
        ),
    ]);
    warned(&[(
        "network: { dns: { servers: [10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4] } }",
        "the first three name servers only",
    )]);
    // A finding stands at its own address, also behind one that cannot be read.
    let case = one("addresses: [nonsense, 10.0.0.0/24]");
    let column = case.find("10.0.0.0/24").expect("there") + 1;
    let (_, brief) = said(&case);
    assert!(
        brief.contains(&format!(":{column}: error: `10.0.0.0/24` is the network")),
        "{column}: {brief}"
    );
}

#[test]
fn interfaces_that_contradict_one_another() {
    accepted(&[
        "network: { interfaces: [{ name: eno1, addresses: [10.0.0.5/24] }, { name: 'en*' }] }",
        "network: { interfaces: [{ name: 'eno*' }, { name: 'en*' }, { name: 'wl*' }] }",
        // Hardware fits a pattern, and what the node makes does not.
        "network: { bonds: [{ name: en0, members: ['en*'] }], interfaces: [{ name: 'e*' }, { name: en0 }] }",
        "network: { bonds: [{ name: b, members: ['en*', eno1] }] }",
        "network: { vlans: [{ name: v, id: 1, link: eth0 }, { name: w, id: 1, link: eth1 }] }",
        "network: { interfaces: [{ name: eth0 }, { name: 'e*' }], vlans: [{ name: v, id: 1, link: eth0 }] }",
        "network: { interfaces: [{ name: eth0, addresses: [10.0.0.255/23, 10.0.1.254/23, 10.0.2.1/31] }], \
         dns: { servers: [10.0.0.2] } }",
    ]);
    let two = |first: &str, second: &str| format!("network: {{ interfaces: [{first}, {second}] }}");
    let addresses = |list: &str| format!("network: {{ interfaces: [{{ name: eth0, addresses: [{list}] }}] }}");
    let way = |rest: &str| format!("network: {{ interfaces: [{{ name: eth0, addresses: [10.0.0.5/24], {rest} }}] }}");
    refused(&[
        (
            "network: { bonds: [{ name: eno1, members: [eno1] }] }",
            "is a member of itself",
        ),
        (
            "network: { bonds: [{ name: a, members: [b] }, { name: b, members: [a] }] }",
            "`b` is made by the node",
        ),
        (
            "network: { bonds: [{ name: a, members: [eno1] }, { name: b, members: [eno1] }] }",
            "`eno1` is a member of the bond `a` already",
        ),
        (
            "network: { bonds: [{ name: a, members: ['en*'] }, { name: b, members: [eno1] }] }",
            "`eno1` is a member of the bond `a` already",
        ),
        (
            "network: { bonds: [{ name: a, members: ['52:54:00:12:34:56', '52:54:00:12:34:56'] }] }",
            "is a member of the bond `a` already",
        ),
        (
            "network: { bonds: [{ name: a, members: [eno1] }], interfaces: [{ name: eno1, mtu: 9000 }] }",
            "this is a member of the bond `a`",
        ),
        (
            "network: { bonds: [{ name: a, members: [eno1] }], vlans: [{ name: v, id: 1, link: eno1 }] }",
            "`eno1` is a member of the bond `a`, and carries no VLAN",
        ),
        (
            "network: { vlans: [{ name: v, id: 1, link: eth0 }, { name: w, id: 1, link: eth0 }] }",
            "`v` is the VLAN 1 on `eth0` already",
        ),
        (
            "network: { interfaces: [{ name: 'e*' }], vlans: [{ name: v, id: 1, link: eth0 }] }",
            "put an entry with `name: eth0` before it",
        ),
        (
            "network: { interfaces: [{ name: eth0, unmanaged: true }], vlans: [{ name: v, id: 1, link: eth0 }] }",
            "is left alone",
        ),
        (
            &two("{ name: 'en*' }", "{ name: eno1 }"),
            "`en*`, entry 1 of the list, fits all",
        ),
        (&two("{ name: 'en*' }", "{ name: 'eno*' }"), "this entry never counts"),
        (&two("{ name: eth0 }", "{ name: eth0 }"), "this entry never counts"),
        (
            &two("{ mac: '52:54:00:12:34:56' }", "{ mac: '52-54-00-12-34-56' }"),
            "this entry never counts",
        ),
        (&two("{ name: eth0 }", "{ name: lo }"), "`lo` is the loopback"),
        (&addresses("127.0.0.1/8"), "it is the loopback's"),
        (&addresses("224.0.0.5/24"), "a group of hosts"),
        (&addresses("10.0.0.255/24"), "broadcast"),
        (&addresses("0.0.0.5/24"), "this network"),
        (&addresses("'::1/64'"), "it is the loopback's"),
        (&addresses("10.0.0.5/24, 10.0.0.5/25"), "`10.0.0.5` is given twice"),
        (
            &two(
                "{ name: a, addresses: [10.0.0.5/24] }",
                "{ name: b, addresses: [10.0.0.5/24] }",
            ),
            "`10.0.0.5` is given twice",
        ),
        (&way("gateway: 10.0.0.5"), "`10.0.0.5` is the node's own address"),
        (
            &way("routes: [{ to: 192.168.0.0/16, via: 10.0.0.5 }]"),
            "`10.0.0.5` is the node's own address",
        ),
    ]);
    warned(&[(
        &two("{ name: a-name-of-18-chars }", "{ name: eth0 }"),
        "has 18 characters",
    )]);
    let many: String = (0..1001).map(|number| format!("{{ name: e{number} }}, ")).collect();
    refused(&[(&format!("network: {{ interfaces: [{many}] }}"), "1000 are allowed")]);
}

#[test]
fn endpoints_that_nobody_reaches() {
    for host in ["0.0.0.0", "127.0.0.1", "[::]", "224.0.0.1", "[fe80::1]", "localhost"] {
        let text = format!(
            "apiVersion: basalt.dev/v1\nkind: NodeConfig\ncluster:\n  endpoint: 'https://{host}:6443'\n  \
             bootstrapToken: abcdef.0123456789abcdef\n  caCertHashes: ['sha256:{}']\n",
            "5c".repeat(32)
        );
        let checked = basalt_node_config::check("a", &text, Clock::Unsure(SystemTime::now()));
        let said = checked.map(|_| ()).unwrap_err().brief();
        assert!(
            said.contains("a:4:13: error: no node reaches the API server"),
            "{host}: {said}"
        );
    }
}

#[test]
fn what_is_of_others_or_of_nobody() {
    accepted(&[
        "labels: { failure-domain.beta.kubernetes.io/zone: a, beta.kubernetes.io/instance-type: m5 }",
        "network: { interfaces: [{ name: eth0, addresses: [10.87.0.2/24], gateway: 10.87.0.1, mtu: 1000 }], \
         dns: { servers: [10.87.0.1] } }",
    ]);
    refused(&[
        (
            "network: { interfaces: [{ name: eth0, addresses: [10.87.0.1/24] }] }",
            "`10.87.0.1` is the address of the API server",
        ),
        (
            "kubelet: { nodeIP: 10.87.0.1 }",
            "`10.87.0.1` is the address of the API server",
        ),
        ("hostname: localhost", "that of each machine itself"),
        (
            "network: { dns: { servers: [127.0.0.53] } }",
            "`127.0.0.53` is the node itself",
        ),
        (
            "network: { interfaces: [{ name: eth0, addresses: ['fd00::2/64'], mtu: 1000 }] }",
            "IPv6 needs packets of 1280 bytes",
        ),
        (
            "sysctls: { net.core.somaxconn: 1024, net/core/somaxconn: 2048 }",
            "`net/core/somaxconn` is `net.core.somaxconn` written otherwise",
        ),
    ]);
}

#[test]
fn time_servers_and_registration() {
    accepted(&["time: { servers: [time.example.com, 'fd00::1'] }"]);
    refused(&[("time: { servers: ['fe80::1%eth0'] }", "one interface only")]);
    warned(&[(
        "kubelet: { extraConfig: { registerNode: false } }",
        "makes no Node of itself",
    )]);
}
