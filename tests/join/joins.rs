//! Basalt nodes join the kubeadm cluster: by its join command, and by bootstrap data of Cluster API.

use basalt_tests::{Failed, ensure};
use serde_json::Value;

use crate::fixture::Fixture;

/// Fails unless a node is one of Basalt, with the kubelet of the cluster's version.
fn is_basalt(node: &Value, version: &str) -> Result<(), Failed> {
    let info = &node["status"]["nodeInfo"];
    let system = info["osImage"].as_str().unwrap_or_default();
    ensure(
        system.starts_with("Basalt Linux") && info["kubeletVersion"] == version,
        || format!("{node:#}"),
    )
}

pub fn a_node_joins_by_the_join_command(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    let node = cluster.get(&["node", fixture.by_command()?])?;
    is_basalt(&node, &cluster.version)?;
    ensure(node["spec"]["taints"].is_null(), || format!("{:#}", node["spec"]))
}

pub fn it_has_the_clusters_kubelet_configuration(fixture: &Fixture) -> Result<(), Failed> {
    let configuration = |node: &str| fixture.kubeadm.raw(&format!("/api/v1/nodes/{node}/proxy/configz"));
    let (debian, basalt) = (
        configuration(&fixture.kubeadm.node)?,
        configuration(fixture.by_command()?)?,
    );
    for field in [
        "clusterDNS",
        "clusterDomain",
        "rotateCertificates",
        "authentication",
        "authorization",
    ] {
        let [ours, theirs] = [&basalt, &debian].map(|configuration| &configuration["kubeletconfig"][field]);
        ensure(!ours.is_null() && ours == theirs, || {
            format!("{field}: {ours}, and {theirs} on Debian")
        })?;
    }
    Ok(())
}

pub fn a_node_joins_by_bootstrap_data_of_cluster_api(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    let name = fixture.by_bootstrap_data()?;
    let node = cluster.get(&["node", name])?;
    is_basalt(&node, &cluster.version)?;
    ensure(name.starts_with("basalt-"), || {
        format!("{name} is not the machine's own name")
    })?;
    ensure(node["spec"]["providerID"] == "vsphere://4203-0001", || {
        format!("{:#}", node["spec"])
    })?;
    // Cluster API takes the first away when it has seen the node, the cloud's controller the other.
    let taints = node["spec"]["taints"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut keys: Vec<_> = taints.iter().filter_map(|taint| taint["key"].as_str()).collect();
    keys.sort_unstable();
    let expected = [
        "node.cloudprovider.kubernetes.io/uninitialized",
        "node.cluster.x-k8s.io/uninitialized",
    ];
    ensure(keys == expected, || format!("{keys:?}"))
}
