//! Replacements: recognizing them among the nodes; the command of a user that makes one, or ends an old machine.

use std::collections::BTreeSet;
use std::time::Duration;

use basalt_process::Command;

use crate::api::ClusterApi;
use crate::error::MigrateError;
use crate::facts::ReplacementCandidate;
use crate::model::ObservedNode;
use crate::record::{REPLACES, RETIRES};

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

/// Returns `true` if a node has the place of another one, whose object may be gone.
pub(crate) fn has_place_of(node: &ObservedNode, replaced: &str) -> bool {
    let of = |key: &str| node.annotations.get(key).map(String::as_str);
    let retired = of(RETIRES).unwrap_or_default();
    of(REPLACES) == Some(replaced) || retired.split(',').any(|name| name == replaced)
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
