//! `kubeadm upgrade` of the control plane, with a node of Basalt in the cluster.

use basalt_test_environment::{Failed, ensure};
use serde_json::Value;

use crate::cluster::KubeadmCluster;
use crate::fixture::Fixture;
use crate::kubeadm;

/// Path of kubeadm's configuration of an upgrade, in the control plane's root folder.
const CONFIGURATION: &str = "/etc/kubeadm-upgrade.yaml";
/// Names of the ConfigMaps that nodes read.
const CONFIG_MAPS: [&str; 2] = ["kubeadm-config", "kubelet-config"];

/// Configuration of the cluster, as a node may read it.
fn configuration(cluster: &KubeadmCluster, node: &str) -> Result<Vec<Value>, Failed> {
    let user = format!("--as=system:node:{node}");
    let mut read = Vec::new();
    for name in CONFIG_MAPS {
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

/// Phases of `kubeadm upgrade apply` after that of the control plane, whose components are no static pods here.
const PHASES: [&[&str]; 3] = [&["upload-config", "all"], &["bootstrap-token"], &["addon", "all"]];

pub fn kubeadm_upgrades_beside_a_basalt_node(fixture: &Fixture) -> Result<(), Failed> {
    let (cluster, control_plane) = (&fixture.kubeadm, &fixture.control_plane);
    let (node, version) = (fixture.by_command()?, cluster.version.as_str());
    let next = next_patch(version).ok_or_else(|| format!("no version: {version}"))?;
    let before = configuration(cluster, node)?;
    let upgrade = format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: UpgradeConfiguration\nplan: {{kubernetesVersion: {next}}}\n\
         apply: {{kubernetesVersion: {version}, certificateRenewal: false}}\n"
    );
    control_plane.write(CONFIGURATION, &upgrade)?;
    // The plan for the next patch names the nodes whose kubelets are older.
    let plan = control_plane.kubeadm(&["upgrade", "plan", "--config", CONFIGURATION])?;
    let row = ["kubelet", node, version, next.as_str()];
    ensure(plan.lines().any(|line| line.split_whitespace().eq(row)), || {
        format!("no line {row:?} in:\n{plan}")
    })?;
    // The API server goes and comes, as in an upgrade of its machine.
    control_plane.init_phase(&["control-plane", "all"])?;
    control_plane.restart()?;
    for phase in PHASES {
        let words = [&["upgrade", "apply", "phase"], phase, &["--config", CONFIGURATION]].concat();
        control_plane.kubeadm(&words)?;
    }
    let after = configuration(cluster, node)?;
    ensure(before == after, || format!("{before:#?} became {after:#?}"))?;
    cluster.node_ready(node)?;
    // The next node finds the cluster as the ones before it.
    kubeadm::its_join_command_makes_a_node_config(fixture)
}
