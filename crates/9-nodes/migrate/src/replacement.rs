//! Replacements: recognizing them among the nodes, and asking for one.

use std::collections::BTreeSet;
use std::time::Duration;

use basalt_process::Command;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::api::{ClusterApi, MANAGER, failed};
use crate::error::MigrateError;
use crate::facts::ReplacementCandidate;
use crate::model::{NamespacedName, ObservedNode};
use crate::record::REPLACES;

/// Names of the nodes that are replacements: those with certain labels, or those that run Basalt Linux.
pub(crate) async fn names(
    api: &ClusterApi,
    nodes: &[ObservedNode],
    selector: Option<&str>,
) -> Result<BTreeSet<String>, MigrateError> {
    if selector.is_some() {
        let selected = api.nodes(selector).await?;
        return Ok(selected.into_iter().map(|node| node.name).collect());
    }
    let basalt = nodes.iter().filter(|node| node.is_basalt());
    Ok(basalt.map(|node| node.name.clone()).collect())
}

/// Replacements that could take the place of a node that is migrated: none that is migrated itself.
pub(crate) fn candidates(
    nodes: &[ObservedNode],
    replacements: &BTreeSet<String>,
    migrated: &[String],
) -> Vec<ReplacementCandidate> {
    let nodes = nodes.iter();
    let mut candidates: Vec<ReplacementCandidate> = nodes
        .filter(|node| replacements.contains(&node.name) && !migrated.contains(&node.name))
        .map(|node| ReplacementCandidate {
            name: node.name.clone(),
            ready: node.takes_pods(),
            replaces: node.annotations.get(REPLACES).cloned(),
        })
        .collect();
    candidates.sort_by(|one, other| one.name.cmp(&other.name));
    candidates
}

/// Runs a user's command for a node. It blocks until the command ends.
pub(crate) fn run_command(command: &str, node: &ObservedNode, limit: Duration) -> Result<(), String> {
    let provider = node.provider_id.clone().unwrap_or_default();
    let run = Command::new("sh")
        .arg("-c")
        .arg(command)
        .env("BASALT_MIGRATE_NODE", &node.name)
        .env("BASALT_MIGRATE_PROVIDER_ID", provider)
        .time_limit(limit);
    run.output().map(drop).map_err(|error| error.to_string())
}

/// Scales a MachineDeployment of Cluster API up by one for a request. Its name (the node's, and the time at which the phase that
/// asks began) is written beside the number in the same patch, so that it is counted once, however often this is asked; another
/// migration of the same node, after an undo or of a node that joined anew, is another request.
pub(crate) async fn scale_up(api: &ClusterApi, name: &NamespacedName, wanted: &str) -> Result<(), MigrateError> {
    let kind = ApiResource {
        group: "cluster.x-k8s.io".to_owned(),
        version: "v1beta2".to_owned(),
        api_version: "cluster.x-k8s.io/v1beta2".to_owned(),
        kind: "MachineDeployment".to_owned(),
        plural: "machinedeployments".to_owned(),
    };
    let deployments = Api::<DynamicObject>::namespaced_with(api.client(), &name.namespace, &kind);
    let action = |verb: &str| format!("{verb} MachineDeployment {name}");
    let present = deployments.get(&name.name).await.map_err(failed(action("get")))?;
    let annotations = present.metadata.annotations.unwrap_or_default();
    let mut counted: Vec<&str> = annotations
        .get(REPLACES)
        .map(|all| all.split(',').collect())
        .unwrap_or_default();
    if counted.contains(&wanted) {
        return Ok(());
    }
    counted.push(wanted);
    let replicas = present
        .data
        .pointer("/spec/replicas")
        .and_then(Value::as_i64)
        .unwrap_or(1);
    let patch = json!({
        "metadata": {
            "resourceVersion": present.metadata.resource_version,
            "annotations": { REPLACES: counted.join(",") },
        },
        "spec": { "replicas": replicas + 1 },
    });
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patched = deployments.patch(&name.name, &params, &Patch::Merge(&patch)).await;
    patched.map(drop).map_err(failed(action("scale")))
}
