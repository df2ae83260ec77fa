//! Marks of nodes whose turn is to come: a taint that turns the scheduler to other nodes, as long as they have room.
//!
//! Without it, pods of the first node would move to the second, and again when that is migrated. Capacity is not lost: where
//! no other node has room, pods still start on a marked one. Cluster API does the same to outdated Machines
//! (`node.cluster.x-k8s.io/outdated-revision`).

use std::collections::BTreeSet;

use crate::api::ClusterApi;
use crate::error::MigrateError;
use crate::inspect::Overview;
use crate::model::{NodeChange, NodeTaint, ObservedNode};

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
        let taints = Some(if wanted { with_mark(node) } else { without_mark(node) });
        let change = NodeChange {
            taints,
            ..NodeChange::default()
        };
        let written = api.patch_node(node, change).await;
        match written {
            // Somebody else wrote the node: it is looked at again in the next round.
            Err(error) if !error.is_conflict() => return Err(error),
            _ => changed = true,
        }
    }
    Ok(changed)
}

/// Returns the taints of a node without the mark.
pub(crate) fn without_mark(node: &ObservedNode) -> Vec<NodeTaint> {
    node.taints.iter().filter(|taint| !is_mark(taint)).cloned().collect()
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
