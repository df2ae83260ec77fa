//! `kubeadm upgrade` of the control plane, with a node of Basalt in the cluster.

use basalt_tests::{Failed, ensure, has_all, until_every};
use serde_json::{Value, json};

use crate::cluster::{KubeadmCluster, TICK};
use crate::fixture::Fixture;
use crate::{debian, kubeadm};

/// Script that runs on the machine of the control plane, after the lines that set its variables.
const UPGRADE: &str = include_str!("scripts/upgrade.sh");
/// Name of the pod that runs it.
const POD: &str = "kubeadm-upgrade";
/// Names of the ConfigMaps that nodes read.
const CONFIGURATION: [&str; 2] = ["kubeadm-config", "kubelet-config"];

/// Pod that runs a script in the namespaces of a node's first process, with the programs of an image.
fn pod(node: &str, image: &str, script: &str) -> Value {
    let command = ["nsenter", "--target=1", "--all", "--", "/bin/sh", "-c", script];
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": POD },
        "spec": {
            "nodeName": node,
            "hostPID": true,
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "priorityClassName": "system-node-critical",
            "tolerations": [{ "operator": "Exists" }],
            "containers": [{
                "name": "kubeadm", "image": image, "command": command,
                "securityContext": { "privileged": true },
            }],
        },
    })
}

/// Output of the pod, which has to end well.
fn output(cluster: &KubeadmCluster) -> Result<String, Failed> {
    let phase = || {
        let pod = cluster.get(&["pod", POD]).unwrap_or_default();
        pod["status"]["phase"].as_str().unwrap_or_default().to_owned()
    };
    let ended = until_every(TICK, "kubeadm has ended", debian::KUBEADM, || {
        matches!(phase().as_str(), "Succeeded" | "Failed")
    });
    let said = cluster.kubectl(&["logs", POD]).unwrap_or_default();
    ended.map_err(|failed| format!("{failed:?}\n{said}"))?;
    ensure(phase() == "Succeeded", || said.clone())?;
    Ok(said)
}

/// Configuration of the cluster, as a node may read it.
fn configuration(cluster: &KubeadmCluster, node: &str) -> Result<Vec<Value>, Failed> {
    let user = format!("--as=system:node:{node}");
    let mut read = Vec::new();
    for name in CONFIGURATION {
        let object = ["configmap", name, "--namespace=kube-system"];
        let map = cluster.get(&[&object[..], &[user.as_str(), "--as-group=system:nodes"]].concat())?;
        ensure(map["data"].is_object(), || format!("{map:#}"))?;
        read.push(map["data"].clone());
    }
    Ok(read)
}

/// Version of the next patch: `v1.37.3` after `v1.37.2`.
fn next_patch(version: &str) -> Option<String> {
    let (minor, patch) = version.rsplit_once('.')?;
    Some(format!("{minor}.{}", patch.parse::<u32>().ok()? + 1))
}

pub fn kubeadm_upgrades_beside_a_basalt_node(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    let (node, version) = (fixture.by_command()?, cluster.version.as_str());
    let next = next_patch(version).ok_or_else(|| format!("no version: {version}"))?;
    let before = configuration(cluster, node)?;
    let timeouts = debian::KUBEADM_TIMEOUTS;
    let script = format!("VERSION='{version}'\nNEXT='{next}'\nTIMEOUTS='{timeouts}'\n{UPGRADE}");
    cluster.apply(&pod(&cluster.node, fixture.tools()?, &script).to_string())?;
    let said = output(cluster)?;
    // The plan for the next patch names the nodes whose kubelets are older.
    let row = ["kubelet", node, version, next.as_str()];
    ensure(said.lines().any(|line| line.split_whitespace().eq(row)), || {
        format!("no line {row:?} in:\n{said}")
    })?;
    has_all(&said, &[&format!("was upgraded to \"{version}\"")])?;
    let after = configuration(cluster, node)?;
    ensure(before == after, || format!("{before:#?} became {after:#?}"))?;
    cluster.node_ready(node)?;
    // The next node finds the cluster as the ones before it.
    kubeadm::its_join_command_makes_a_node_config(fixture)
}
