//! Basalt nodes join the kubeadm cluster: by its join command, and by bootstrap data of Cluster API.

use std::time::Duration;

use basalt_test_environment::{Failed, ensure, until_every};
use serde_json::Value;

use crate::cluster::TICK;
use crate::fixture::Fixture;

/// Time-out of what follows when a node is Ready.
const SOON: Duration = Duration::from_secs(120);

/// Fails unless a node is one of Basalt, with the kubelet of the cluster's version.
fn is_basalt(node: &Value, version: &str) -> Result<(), Failed> {
    let info = &node["status"]["nodeInfo"];
    let system = info["osImage"].as_str().unwrap_or_default();
    ensure(
        system.starts_with("Basalt Linux") && info["kubeletVersion"] == version,
        || format!("{node:#}"),
    )
}

/// Waits until a node has taints of these keys, and no others: those of a node that is not Ready go a moment after it is.
fn has_taints(fixture: &Fixture, name: &str, expected: &[&str]) -> Result<(), Failed> {
    let mut keys: Vec<String> = Vec::new();
    let waited = until_every(TICK, &format!("{name} has the taints {expected:?}"), SOON, || {
        let Ok(node) = fixture.kubeadm.get(&["node", name]) else {
            return false;
        };
        let taints = node["spec"]["taints"].as_array().into_iter().flatten();
        keys = taints
            .filter_map(|taint| taint["key"].as_str().map(str::to_owned))
            .collect();
        keys.sort_unstable();
        keys == expected
    });
    waited.map_err(|failed| format!("{failed:?}; it has {keys:?}").into())
}

pub fn a_node_joins_by_the_join_command(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    let name = fixture.by_command()?;
    is_basalt(&cluster.get(&["node", name])?, &cluster.version)?;
    has_taints(fixture, name, &[])
}

pub fn it_has_the_clusters_kubelet_configuration(fixture: &Fixture) -> Result<(), Failed> {
    let configuration = |node: &str| {
        let path = format!("/api/v1/nodes/{node}/proxy/configz");
        let mut found = Value::Null;
        // A node may be Ready before its kubelet has the certificate that it answers with.
        until_every(TICK, &format!("the kubelet of {node} answers"), SOON, || {
            found = fixture.kubeadm.raw(&path).unwrap_or_default();
            !found.is_null()
        })?;
        // Each has the cluster's authority at a path of its own.
        let authority = found.pointer_mut("/kubeletconfig/authentication/x509/clientCAFile");
        let is_path = |path: Value| path.as_str().is_some_and(|path| path.ends_with("/ca.crt"));
        ensure(authority.is_some_and(|authority| is_path(authority.take())), || {
            format!("{node} has no authority: {found:#}")
        })?;
        Ok::<_, Failed>(found)
    };
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
    let expected = [
        "node.cloudprovider.kubernetes.io/uninitialized",
        "node.cluster.x-k8s.io/uninitialized",
    ];
    has_taints(fixture, name, &expected)
}
