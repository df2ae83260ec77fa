//! Joins by the real kubeadm, compared field by field with those of the agent.
//!
//! Both read the same JoinConfiguration and ask the same API server on loopback. kubeadm runs its phase `kubelet-start`, which
//! writes all files of a worker, with a folder as its root and as root of a user namespace. `./basalt test` names the kubeadm
//! of each minor in `BASALT_KUBEADM`, one after the other.
//!
//! What stays out:
//! - preflight checks: they are about packages, ports and kernel options of other systems;
//! - what kubeadm asks systemd, which is not below that root: where systemd-resolved runs, it sets `resolvConf` to the file
//!   that the agent sets;
//! - the start of the kubelet, its certificate and `/etc/kubernetes/kubelet.conf`, which the kubelet writes: `tests/join` does
//!   that with machines.

#![cfg(test)]

mod run;

use std::collections::{BTreeMap, BTreeSet};

use api_server::{Authority, TOKEN};
use basalt_node::paths;
use basalt_node_config::KubeletMinor;
use run::{Case, Joined, Kubeadm, fields, parsed};
use serde_json::{Value, json};

#[path = "../../../join/tests/api_server/mod.rs"]
#[expect(dead_code, reason = "some of it is for other tests")]
mod api_server;
#[path = "../clock/mod.rs"]
mod clock;

/// Configuration of kubelets with settings of an administrator. The last field is of no kubelet.
const SETTINGS: &str = "\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
clusterDomain: of.the.kubelet
maxPods: 50
podPidsLimit: 4096
evictionHard: { memory.available: 1Gi }
systemReserved: { memory: 500Mi }
featureGates: { KubeletTracing: true }
shutdownGracePeriod: 45s
shutdownGracePeriodCriticalPods: 15s
authentication: { webhook: { cacheTTL: 3m0s } }
cgroupDriver: cgroupfs
volumePluginDir: /opt/plugins
serverTLSBootstrap: true
memoryReservationPolicy: None
aFieldOfTheFuture: 1
";

/// The least that can be uploaded.
const LEAST: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

const PLAIN: &str = "networking: { serviceSubnet: 10.96.0.0/12, dnsDomain: cluster.local }\n";

/// Registrations and clusters, of each of which the files are compared.
fn cases(kubeadm: &Kubeadm) -> Vec<Case> {
    let case = |name, cluster, kubelet: &str, registration| Case {
        name,
        cluster,
        kubelet: kubelet.to_owned(),
        registration,
        ..Case::default()
    };
    vec![
        case("defaults of kubeadm", PLAIN, &kubeadm.default_configuration(), ""),
        case("least configuration", PLAIN, LEAST, ""),
        case(
            "other subnets and domain",
            "networking: { serviceSubnet: '172.20.0.0/16,fd00:1::/108', dnsDomain: k8s.example }\n",
            LEAST,
            "",
        ),
        case(
            "IPv6 subnet",
            "networking: { serviceSubnet: 'fd00:1::/108' }\n",
            LEAST,
            "",
        ),
        case("settings of an administrator", PLAIN, SETTINGS, ""),
        case(
            "registration",
            PLAIN,
            LEAST,
            "  kubeletExtraArgs: [{ name: node-labels, value: 'a=b,c.example/d=e' }, { name: cloud-provider, value: external }]\n  \
             taints: [{ key: k, value: v, effect: NoSchedule }, { key: l, effect: PreferNoSchedule }]\n",
        ),
        case("no taints", PLAIN, LEAST, "  taints: []\n"),
        case(
            "provider id",
            PLAIN,
            LEAST,
            "  kubeletExtraArgs: [{ name: provider-id, value: 'vsphere://4203-0001' }]\n",
        ),
    ]
}

#[test]
fn the_real_kubeadm_writes_the_same_files() {
    let Some(kubeadm) = Kubeadm::of_environment("the_real_kubeadm_writes_the_same_files") else {
        return;
    };
    let mut changes = Vec::new();
    for case in cases(&kubeadm) {
        let authority = Authority::root("kubernetes");
        let server = case.serve(&authority);
        let theirs = kubeadm
            .join(&case, &authority, server)
            .unwrap_or_else(|why| panic!("{}: {why}", case.name));
        let ours = run::join(&kubeadm, &case, &authority, server).unwrap_or_else(|why| panic!("{}: {why}", case.name));

        // The cluster's configuration, with what kubeadm adds to it.
        let mut settings = ours.settings.as_ref().unwrap().as_kubeadm_writes();
        let resolver = settings.as_object_mut().unwrap().remove("resolvConf");
        assert_eq!(resolver, Some(json!(paths::RESOLV_CONF)), "{}", case.name);
        let config = parsed(&theirs.read(paths::KUBEADM_CONFIG));
        assert_eq!(fields(&settings), fields(&config), "{}", case.name);
        changes.push((case.name, changed(&config, &ours)));

        same_access(&theirs, &ours, case.name);
        for path in [paths::KUBEADM_CA, paths::KUBEADM_INSTANCE_CONFIG] {
            assert_eq!(theirs.read(path), ours.read(path), "{}: {path}", case.name);
        }
        assert_eq!(theirs.arguments(), ours.arguments(), "{}", case.name);
        assert_eq!(
            theirs.files(),
            BTreeSet::from(WRITTEN.map(str::to_owned)),
            "{}",
            case.name
        );
        // The same files, but for the one with the token: the agent keeps it in memory.
        for path in WRITTEN.iter().filter(|path| **path != BOOTSTRAP) {
            assert!(ours.files().contains(*path), "{}: no {path}", case.name);
        }
        assert!(!ours.files().contains(BOOTSTRAP), "{}", case.name);
    }
    // What the image and its NodeConfig change of that configuration. Fields that not every minor has are dropped by both.
    insta::assert_snapshot!(shown(&changes));
}

/// Lines that all cases have, then those that each case has besides.
fn shown(changes: &[(&str, BTreeSet<String>)]) -> String {
    let (_, first) = changes.first().unwrap();
    let is_common = |line: &&String| changes.iter().all(|(_, lines)| lines.contains(*line));
    let common: BTreeSet<_> = first.iter().filter(is_common).cloned().collect();
    let others = changes.iter().map(|(name, lines)| (*name, lines - &common));
    let parts = std::iter::once(("in every case", common.clone())).chain(others);
    let parts: Vec<_> = parts
        .map(|(name, lines)| format!("{name}\n{}", lines.into_iter().collect::<String>()))
        .collect();
    parts.join("\n")
}

/// Bootstrap kubeconfig of kubeadm.
const BOOTSTRAP: &str = "/etc/kubernetes/bootstrap-kubelet.conf";

/// Files that kubeadm writes.
const WRITTEN: [&str; 5] = [
    BOOTSTRAP,
    paths::KUBEADM_CA,
    paths::KUBEADM_CONFIG,
    paths::KUBEADM_INSTANCE_CONFIG,
    paths::KUBEADM_FLAGS,
];

/// Lines `field: value of kubeadm → value of the agent`, for each that differs. `—` stands for the kubelet's default.
fn changed(config: &Value, ours: &Joined) -> BTreeSet<String> {
    let (theirs, ours) = (fields(config), fields(&parsed(&ours.read(paths::KUBEADM_CONFIG))));
    let names: BTreeSet<_> = theirs.keys().chain(ours.keys()).collect();
    let value = |fields: &BTreeMap<String, Value>, name: &str| {
        let value = fields.get(name);
        value.map_or_else(|| "—".to_owned(), Value::to_string)
    };
    let pairs = names
        .iter()
        .map(|name| (name, value(&theirs, name), value(&ours, name)));
    let other = pairs.filter(|(_, one, other)| one != other);
    other
        .map(|(name, one, other)| format!("    {name}: {one} → {other}\n"))
        .collect()
}

/// The kubeconfig of the first contact: server, authorities and token are the same, whatever its parts are called.
fn same_access(theirs: &Joined, ours: &Joined, case: &str) {
    let access = |text: &str| {
        let config = parsed(text);
        let cluster = &config["clusters"][0]["cluster"];
        let part = |value: &Value| value.as_str().unwrap().to_owned();
        [
            part(&cluster["server"]),
            part(&cluster["certificate-authority-data"]),
            part(&config["users"][0]["user"]["token"]),
        ]
    };
    assert_eq!(
        access(&theirs.read(BOOTSTRAP)),
        access(&ours.read(paths::BOOTSTRAP_KUBECONFIG)),
        "{case}"
    );
}

/// Arguments of the kubelet count before its file, and the file of this node before patches, and these before the cluster's.
#[test]
fn the_real_kubeadm_has_the_same_order_of_precedence() {
    let Some(kubeadm) = Kubeadm::of_environment("the_real_kubeadm_has_the_same_order_of_precedence") else {
        return;
    };
    let authority = Authority::root("kubernetes");
    let case = Case {
        name: "precedence",
        cluster: PLAIN,
        kubelet: format!(
            "{LEAST}maxPods: 50\npodPidsLimit: 4096\ncontainerRuntimeEndpoint: unix:///of/the/cluster\nregistryPullQPS: 7\n"
        ),
        registration: "  kubeletExtraArgs: [{ name: max-pods, value: '70' }]\n",
        // A NodeConfig has what kubeadm's patches are for.
        patch: "maxPods: 60\npodPidsLimit: 8192\ncontainerRuntimeEndpoint: unix:///of/the/patch\n",
        own: json!({ "podPidsLimit": 8192 }),
        ..Case::default()
    };
    let server = case.serve(&authority);
    let theirs = kubeadm.join(&case, &authority, server).unwrap();
    let ours = run::join(&kubeadm, &case, &authority, server).unwrap();
    let [theirs_file, ours_file] = [&theirs, &ours].map(|joined| parsed(&joined.read(paths::KUBEADM_CONFIG)));
    for field in ["podPidsLimit", "containerRuntimeEndpoint", "registryPullQPS"] {
        assert_eq!(theirs_file[field], ours_file[field], "{field}");
    }
    // As an argument with kubeadm, and in the file with the agent.
    assert!(theirs.arguments().contains("--max-pods=70"), "{:?}", theirs.arguments());
    assert_eq!(
        (&theirs_file["maxPods"], &ours_file["maxPods"]),
        (&json!(60), &json!(70))
    );
}

/// Refusals: each case is refused by both.
#[test]
fn the_real_kubeadm_refuses_the_same() {
    let Some(kubeadm) = Kubeadm::of_environment("the_real_kubeadm_refuses_the_same") else {
        return;
    };
    let node = |status: &str, machine: &str| {
        json!({
            "kind": "Node", "apiVersion": "v1",
            "status": { "conditions": [{ "type": "Ready", "status": status }], "nodeInfo": { "machineID": machine } },
        })
    };
    let other = "ffffffffffffffffffffffffffffffff";
    let (signer, stranger) = (Authority::root("kubernetes"), Authority::root("kubernetes"));
    for (name, node, pinned, token, kubeadm_joins, agent_joins) in [
        ("no such node", Value::Null, &signer, TOKEN, true, true),
        (
            "a Ready node of another machine",
            node("True", other),
            &signer,
            TOKEN,
            false,
            false,
        ),
        (
            "a node of another machine that is not Ready",
            node("False", other),
            &signer,
            TOKEN,
            true,
            true,
        ),
        // A machine that was installed anew, or lost its certificate, has its name back.
        (
            "its own former identity",
            node("True", run::MACHINE_ID),
            &signer,
            TOKEN,
            false,
            true,
        ),
        (
            "a pin of another authority",
            Value::Null,
            &stranger,
            TOKEN,
            false,
            false,
        ),
        (
            "another secret of the token",
            Value::Null,
            &signer,
            "abcdef.ffffffffffffffff",
            false,
            false,
        ),
        (
            "a token that has not signed",
            Value::Null,
            &signer,
            "ghijkl.0123456789abcdef",
            false,
            false,
        ),
    ] {
        let case = Case {
            name,
            cluster: PLAIN,
            kubelet: LEAST.to_owned(),
            node,
            token,
            ..Case::default()
        };
        let server = case.serve(&signer);
        let theirs = kubeadm.join(&case, pinned, server);
        assert_eq!(theirs.is_ok(), kubeadm_joins, "kubeadm, {name}: {:?}", theirs.err());
        let ours = run::join(&kubeadm, &case, pinned, server);
        assert_eq!(ours.is_ok(), agent_joins, "the agent, {name}: {:?}", ours.err());
    }
}

/// The minor that both are of is one that images can have.
#[test]
fn the_real_kubeadm_is_of_a_known_minor() {
    if let Some(kubeadm) = Kubeadm::of_environment("the_real_kubeadm_is_of_a_known_minor") {
        assert!(
            KubeletMinor::of_version(&kubeadm.version.to_string()).is_some(),
            "{}",
            kubeadm.version
        );
    }
}
