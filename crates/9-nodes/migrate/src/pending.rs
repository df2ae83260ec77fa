//! Marks of nodes whose turn is to come: a taint that turns the scheduler to other nodes, as long as they have room.
//!
//! Without it, pods of the first node would move to the second, and again when that is migrated. Capacity is not lost: where
//! no other node has room, pods still start on a marked one. Cluster API does the same to outdated Machines
//! (`node.cluster.x-k8s.io/outdated-revision`).

use std::collections::BTreeSet;

use crate::api::ClusterApi;
use crate::error::MigrateError;
use crate::inspect::Overview;
use crate::model::{NodeTaint, ObservedNode};

/// Key of the taint.
pub const PENDING: &str = "basalt.dev/migrate-pending";

fn is_mark(taint: &NodeTaint) -> bool {
    taint.key == PENDING
}

/// Returns `true` if a node is marked.
pub(crate) fn is_marked(node: &ObservedNode) -> bool {
    node.taints.iter().any(is_mark)
}

/// Marks the nodes of a migration whose turn is to come, and takes the mark from its others. Returns `true` if a node was
/// changed.
pub(crate) async fn mark(
    api: &ClusterApi,
    overview: &Overview,
    selected: &[String],
    pending: &BTreeSet<String>,
) -> Result<bool, MigrateError> {
    let mut changed = false;
    for node in selected.iter().filter_map(|name| overview.node(name)) {
        let wanted = pending.contains(&node.name);
        if wanted == is_marked(node) {
            continue;
        }
        let written = if wanted {
            api.patch_taints(node, &with_mark(node)).await
        } else {
            remove(api, node).await
        };
        match written {
            // Somebody else wrote the node: it is looked at again in the next round.
            Err(error) if !error.is_conflict() => return Err(error),
            _ => changed = true,
        }
    }
    Ok(changed)
}

/// Takes the mark from a node.
pub(crate) async fn remove(api: &ClusterApi, node: &ObservedNode) -> Result<(), MigrateError> {
    let others: Vec<_> = node.taints.iter().filter(|taint| !is_mark(taint)).cloned().collect();
    api.patch_taints(node, &others).await
}

fn with_mark(node: &ObservedNode) -> Vec<NodeTaint> {
    let mark = NodeTaint {
        key: PENDING.to_owned(),
        value: String::new(),
        effect: "PreferNoSchedule".to_owned(),
        added: None,
    };
    node.taints.iter().cloned().chain([mark]).collect()
}
