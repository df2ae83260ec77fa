//! `kubeadm upgrade` of the control plane, with a node of Basalt in the cluster.

use basalt_test_environment::{Failed, ensure};
use serde_json::{Value, json};

use crate::cluster::KubeadmCluster;
use crate::control_plane::{COMPONENTS, ControlPlane, NODE};
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

/// Adds what a kubelet on the machine of the control plane would tell the API server, for kubeadm asks for it there: the node,
/// and mirrors of the static pods.
fn register(cluster: &KubeadmCluster, control_plane: &ControlPlane) -> Result<(), Failed> {
    let node =
        json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE }, "spec": { "unschedulable": true } });
    cluster.apply(&node.to_string())?;
    let status = json!({ "status": { "nodeInfo": { "kubeletVersion": cluster.version } } }).to_string();
    cluster.kubectl(&[
        "patch",
        "node",
        NODE,
        "--subresource=status",
        "--type=merge",
        "--patch",
        &status,
    ])?;
    for component in COMPONENTS {
        let mut pod = control_plane.manifest(component)?;
        pod["metadata"]["name"] = format!("{component}-{NODE}").into();
        pod["metadata"]["annotations"]["kubernetes.io/config.mirror"] = component.into();
        pod["spec"]["nodeName"] = NODE.into();
        cluster.apply(&pod.to_string())?;
    }
    Ok(())
}

/// Takes all of it away again, with pods of DaemonSets that nobody runs.
fn deregister(cluster: &KubeadmCluster) -> Result<(), Failed> {
    let selector = format!("--field-selector=spec.nodeName={NODE}");
    cluster.kubectl(&["delete", "pods", "--all-namespaces", &selector, "--force"])?;
    cluster.kubectl(&["delete", "node", NODE]).map(drop)
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
    // Its job has fifteen seconds to end, which is no time for a pod on machines without KVM.
    let upgrade = format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: UpgradeConfiguration\n\
         plan: {{kubernetesVersion: {next}, ignorePreflightErrors: [CreateJob]}}\n\
         apply: {{kubernetesVersion: {version}, certificateRenewal: false}}\n"
    );
    control_plane.write(CONFIGURATION, &upgrade)?;
    register(cluster, control_plane)?;
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
    deregister(cluster)?;
    let after = configuration(cluster, node)?;
    ensure(before == after, || format!("{before:#?} became {after:#?}"))?;
    cluster.node_ready(node)?;
    // The next node finds the cluster as the ones before it.
    kubeadm::its_join_command_makes_a_node_config(fixture)
}
