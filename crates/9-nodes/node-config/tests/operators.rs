//! NodeConfigs as operators write them, with the place and the reason of what is said, and the effects of their changes.

#![cfg(test)]

mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use basalt_node_config::json_schema;

use cases::{CA, accepted, refused, said, warned};

/// Place of a `^` in the end of a NodeConfig of the cases, as line and column, and that end without it.
fn placed(marked: &str) -> (String, String) {
    let (before, after) = marked.split_once('^').unwrap();
    // What the cases begin with, up to `ca: |`, and the authority.
    let line = 6 + CA.lines().count() + before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    (format!("node.yaml:{line}:{column}: "), format!("{before}{after}"))
}

/// Holds that a finding is told at the place that has a `^`.
#[track_caller]
fn told(marked: &str, finding: &str) {
    let (place, text) = placed(marked);
    let (_, said) = said(&text);
    let line = format!("{place}{finding}");
    assert!(said.lines().any(|known| known == line), "{line}: {said}");
}

#[test]
fn nodeconfigs_that_are_right_are_accepted_without_a_word() {
    accepted(&[
        // A server with a network of IPv6 alone, whose router is link-local.
        "network: { interfaces: [{ name: enp1s0, addresses: ['2001:db8:1::1/64'], gateway: 'fe80::1' }], \
         dns: { servers: ['2001:db8:1::53'] } }",
        // A mirror of one project behind a password that has a `$`.
        "registries:\n- host: docker.io\n  mirrors:\n  - url: https://harbor.example/v2/hub\n    overridePath: true\n    \
         auth: { username: robot$puller, password: secret }",
        "kubelet: { nodeIP: '::' }",
        "kubelet: { cloudProvider: external, providerID: 'aws:///eu-central-1a/i-0abc' }",
        "network: { interfaces: [{ name: enp7s0, unmanaged: true }] }",
    ]);
}

#[test]
fn a_registry_of_its_own_among_mirrors_only_is_told() {
    let text = "registries:\n  - host: ^registry.example\n    auth: { username: a, password: b }\n  - host: '*'\n    \
                mirrorsOnly: true\n    mirrors: [{ url: 'http://10.0.0.5:5000' }]";
    told(
        text,
        "warning: `registry.example` has an entry of its own: this node asks the registry itself, although `*` allows \
         mirrors only",
    );
    warned(&[(&placed(text).1, "add `mirrors:` with those of `*`, or `mirrors: []`")]);
}

#[test]
fn what_the_kubelet_sets_or_does_not_use_is_told() {
    let taint = "kubelet: { providerID: 'aws:///eu-central-1a/i-0abc' }\ntaints:\n  \
                 - { key: ^node.cloudprovider.kubernetes.io/uninitialized, value: 'true', effect: NoSchedule }";
    told(taint, "warning: this taint is the kubelet's to set");
    let eviction = "kubelet:\n  evictionHard: { memory.available: 5%, nodefs.available: 10%, containerfs.available: ^11% }\n  \
                    shutdownGracePeriod: 15m";
    told(
        eviction,
        "warning: the kubelet does not use `containerfs.available`: images and containers share one file system here",
    );
    warned(&[
        (
            &placed(taint).1,
            "write `cloudProvider: external` below `kubelet` instead",
        ),
        (&placed(eviction).1, "write `nodefs.` or `imagefs.` instead"),
    ]);
}

#[test]
fn names_and_labels_that_no_node_has_are_refused() {
    let name = |length: usize| {
        let domain = ".eu-central-1.compute.internal";
        format!("hostname: ^{}{domain}", "n".repeat(length - domain.len()))
    };
    told(&name(64), "error: the host name has 64 characters, and 63 are allowed");
    accepted(&[&placed(&name(63)).1]);
    let role = "labels:\n  ^node-role.kubernetes.io/worker: ''\n  topology.kubernetes.io/zone: eu-1a";
    told(
        role,
        "error: no node may give itself the label `node-role.kubernetes.io/worker`",
    );
    let space = "labels:\n  node.kubernetes.io/instance-type: c5.large\n  ^example.com/has space: x";
    told(space, "error: the key `has space` contains ` `");
    refused(&[
        (
            &placed(role).1,
            "kubectl label node NAME node-role.kubernetes.io/worker=",
        ),
        (&placed(space).1, "use letters, digits, `-`, `_` and `.`"),
    ]);
}

#[test]
fn an_interface_without_an_address_is_refused_with_what_leaves_it_alone() {
    let text = "network:\n  interfaces:\n    - name: enp7s0\n      dhcp: ^false";
    told(text, "error: the interface has neither addresses nor DHCP");
    refused(&[(&placed(text).1, "`unmanaged: true` leaves the interface alone")]);
}

#[test]
fn sysctls_that_break_nodes_or_pods_are_told_one_by_one() {
    let lines = [
        (
            "net.ipv4.conf.all.rp_filter",
            "1",
            "warning: `net.ipv4.conf.all.rp_filter` is `1`: strict filtering drops packets of pods",
        ),
        (
            "net.ipv6.conf.all.disable_ipv6",
            "1",
            "warning: `net.ipv6.conf.all.disable_ipv6` is `1`: pods and programs that listen on `::1` fail",
        ),
        (
            "fs.inotify.max_user_instances",
            "0",
            "error: `fs.inotify.max_user_instances` must not be `0` on a node",
        ),
        (
            "vm.nr_hugepages",
            "100000000",
            "error: `vm.nr_hugepages` must not be `100000000` on a node",
        ),
        (
            "vm.overcommit_memory",
            "0",
            "error: `vm.overcommit_memory` must not be `0` on a node",
        ),
        (
            "net.ipv4.ip_local_port_range",
            "1024 65535",
            "warning: `net.ipv4.ip_local_port_range` is `1024 65535`: connections that leave the node may take ports",
        ),
    ];
    let all: String = lines
        .iter()
        .map(|(key, value, _)| format!("  {key}: {value}\n"))
        .collect();
    let text = format!("sysctls:\n{all}  net.ipv4.ip_unprivileged_port_start: 0\n");
    let (is_good, said) = said(&text);
    assert!(!is_good);
    for (key, value, words) in lines {
        let pair = format!("{key}: {value}");
        let (place, _) = placed(&text.replace(&pair, &format!("{key}: ^{value}")));
        let line = format!("{place}{words}");
        assert!(said.lines().any(|known| known.starts_with(&line)), "{line}: {said}");
    }
    assert_eq!(
        said.matches(": error: ").count() + said.matches(": warning: ").count(),
        6,
        "{said}"
    );
}

/// Effects of changed keys, as the table of docs/node/changes.md says them, with all keys of each.
const EFFECTS: [(&str, &[&str]); 10] = [
    (
        "as they stand",
        &[
            "apiVersion",
            "kind",
            "network.bonds",
            "network.dns",
            "network.interfaces",
            "network.vlans",
            "sysctls",
            "time",
        ],
    ),
    (
        "as it stands",
        &[
            "cluster.kubeletConfig",
            "kubelet.allowedUnsafeSysctls",
            "kubelet.containerLogMaxFiles",
            "kubelet.containerLogMaxSize",
            "kubelet.cpuManagerPolicy",
            "kubelet.credentialProviders",
            "kubelet.evictionHard",
            "kubelet.evictionSoft",
            "kubelet.evictionSoftGracePeriod",
            "kubelet.extraConfig",
            "kubelet.failSwapOn",
            "kubelet.featureGates",
            "kubelet.imageGCHighThresholdPercent",
            "kubelet.imageGCLowThresholdPercent",
            "kubelet.kubeReserved",
            "kubelet.maxParallelImagePulls",
            "kubelet.maxPods",
            "kubelet.memorySwap",
            "kubelet.podPidsLimit",
            "kubelet.reservedSystemCPUs",
            "kubelet.seccompDefault",
            "kubelet.serverTLSBootstrap",
            "kubelet.shutdownGracePeriod",
            "kubelet.shutdownGracePeriodCriticalPods",
            "kubelet.systemReserved",
            "kubelet.topologyManagerPolicy",
            "kubelet.verbosity",
        ],
    ),
    ("joins as another node", &["hostname"]),
    (
        "the same node",
        &["cluster.ca", "cluster.caCertHashes", "cluster.endpoint"],
    ),
    (
        "for the first time, or anew",
        &["cluster.bootstrapToken", "cluster.discoveryToken"],
    ),
    ("as its address, authority and token would", &["cluster.kubeconfig"]),
    ("pods that start since", &["cluster.dns"]),
    (
        "pulls since then",
        &["caCertificates", "prepull", "proxy", "registries"],
    ),
    (
        "only when the node registers",
        &["kubelet.cloudProvider", "labels", "taints"],
    ),
    ("the Node object keeps", &["kubelet.nodeIP", "kubelet.providerID"]),
];

/// Keys of a definition in the JSON schema.
fn keys(pointer: &str) -> Vec<String> {
    let schema: serde_json::Value = serde_json::from_str(&json_schema()).unwrap();
    let properties = schema.pointer(pointer).and_then(serde_json::Value::as_object).unwrap();
    properties.keys().cloned().collect()
}

/// All keys of a NodeConfig; of the parts that have effects of their own, with the part before it.
fn keys_with_effects() -> BTreeSet<String> {
    let parts = [("cluster", "Cluster"), ("kubelet", "Kubelet"), ("network", "Network")];
    let mut found: BTreeSet<String> = keys("/properties").into_iter().collect();
    for (part, definition) in parts {
        assert!(found.remove(part), "{part}");
        let inner = keys(&format!("/$defs/{definition}/properties"));
        found.extend(inner.into_iter().map(|key| format!("{part}.{key}")));
    }
    found
}

/// Rows of the table by key.
fn rows() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/node/changes.md");
    let text = fs_err::read_to_string(path).unwrap();
    let mut rows = BTreeMap::new();
    for row in text.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (named, effect) = row.split_once("` | ").unwrap();
        for key in named.split("`, `") {
            let before = rows.insert(key.to_owned(), effect.to_owned());
            assert_eq!(before, None, "two rows for {key}");
        }
    }
    rows
}

#[test]
fn each_key_says_when_a_change_takes_effect() {
    let rows = rows();
    let mut with_effects = BTreeSet::new();
    for (effect, keys) in EFFECTS {
        for key in keys {
            assert!(with_effects.insert((*key).to_owned()), "{key} is there twice");
            let part = key.split('.').next().unwrap();
            let row = rows.get(*key).or_else(|| rows.get(part));
            let row = row.unwrap_or_else(|| panic!("docs/node/changes.md says nothing of `{key}`"));
            assert!(row.contains(effect), "{key}: `{row}` does not say `{effect}`");
        }
    }
    assert_eq!(
        with_effects,
        keys_with_effects(),
        "keys without an effect, or that there are not"
    );
    for key in rows.keys() {
        let is_part = |known: &String| known.split('.').next() == Some(key.as_str());
        assert!(
            with_effects.contains(key) || with_effects.iter().any(is_part),
            "a row for `{key}`"
        );
    }
}
