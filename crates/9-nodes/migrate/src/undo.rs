//! Undoing: the cordons of migrations, their probe pods and their annotations. Pods stay where they have moved to.

use std::collections::BTreeSet;

use basalt_progress::Reporter;
use serde_json::{Map, Value};

use crate::api::ClusterApi;
use crate::error::MigrateError;
use crate::executor::NodeReport;
use crate::journal::Journal;
use crate::model::{NodeChange, ObservedNode};
use crate::record::{self, CORDONED, MigrationRecord, REPLACES, RETIRED};
use crate::{pending, probe};

/// Tries of a write that meets another writer.
const TRIES: usize = 5;

/// Outcome for a node whose machine is being ended.
const NOT_TAKEN_BACK: &str = "its machine is being retired, which is not taken back; the node stays as it is";

/// Takes back what migrations did to some nodes; to all that are not done, if none is named.
pub(crate) async fn undo(
    api: &ClusterApi,
    journal: &Journal,
    namespace: &str,
    names: &[String],
    reporter: &dyn Reporter,
) -> Result<Vec<NodeReport>, MigrateError> {
    let nodes = api.nodes(None).await?;
    let meant = nodes.iter().filter(|node| is_meant(node, names));
    let (retired, undone): (Vec<&ObservedNode>, Vec<&ObservedNode>) =
        meant.partition(|node| node.annotations.contains_key(RETIRED));
    let undone_names: BTreeSet<&str> = undone.iter().map(|node| node.name.as_str()).collect();
    for probe in probe::list(api, namespace).await? {
        let orphaned = !nodes.iter().any(|node| node.name == probe.migrated);
        if orphaned || undone_names.contains(probe.migrated.as_str()) {
            api.delete_pod(&probe.name, &probe.uid, None).await?;
        }
    }
    let mut reports: Vec<NodeReport> = retired.into_iter().map(left_alone).collect();
    for report in &reports {
        reporter.warn(&format!("{}: {NOT_TAKEN_BACK}", report.name));
    }
    for node in &undone {
        let uncordoned = restore(api, &node.name).await?;
        let text = if uncordoned {
            "undone; the node is un-cordoned"
        } else {
            "undone; the migration had not cordoned the node"
        };
        reporter.note(&format!("{}: {text}", node.name));
        if let Err(error) = journal.write(node, "Undone", text).await {
            reporter.warn(&basalt_process::chain(&error));
        }
        reports.push(NodeReport {
            name: node.name.clone(),
            phase: None,
            replacement: None,
            reason: Some(text.to_owned()),
        });
    }
    for node in &nodes {
        let replaces = node.annotations.get(REPLACES);
        if replaces.is_some_and(|replaced| undone_names.contains(replaced.as_str())) {
            let claim = || Map::from_iter([(REPLACES.to_owned(), Value::Null)]);
            patch(api, &node.name, |_| NodeChange::of_annotations(claim())).await?;
        }
    }
    Ok(reports)
}

fn left_alone(node: &ObservedNode) -> NodeReport {
    let record = MigrationRecord::read(&node.name, &node.annotations).ok().flatten();
    NodeReport {
        name: node.name.clone(),
        phase: record.as_ref().map(|record| record.phase),
        replacement: record.and_then(|record| record.replacement),
        reason: Some(NOT_TAKEN_BACK.to_owned()),
    }
}

/// Returns `true` if a node is to be undone. A record that cannot be read is one, too.
fn is_meant(node: &ObservedNode, names: &[String]) -> bool {
    let has_record = record::ALL.iter().any(|key| node.annotations.contains_key(*key));
    let has_trace = has_record || pending::is_marked(node);
    if !names.is_empty() {
        return has_trace && names.contains(&node.name);
    }
    let record = MigrationRecord::read(&node.name, &node.annotations);
    let done = matches!(record, Ok(Some(record)) if record.phase == record::MigrationPhase::Done);
    has_trace && !done
}

/// Removes the record of a node, the mark of one whose turn was to come, and the cordon if that is the migration's. Returns
/// `true` if it was.
async fn restore(api: &ClusterApi, name: &str) -> Result<bool, MigrateError> {
    patch(api, name, |node| {
        let ours = node.unschedulable && node.annotations.contains_key(CORDONED);
        NodeChange {
            annotations: MigrationRecord::removal(),
            unschedulable: ours.then_some(false),
            taints: pending::is_marked(node).then(|| pending::without_mark(node)),
        }
    })
    .await
}

/// Patches a node, reading it again when somebody else wrote it. Returns `true` if it was un-cordoned.
async fn patch(
    api: &ClusterApi,
    name: &str,
    change: impl Fn(&ObservedNode) -> NodeChange,
) -> Result<bool, MigrateError> {
    let mut tries = 0;
    loop {
        let nodes = api.nodes(None).await?;
        let Some(node) = nodes.iter().find(|node| node.name == name) else {
            return Ok(false);
        };
        let change = change(node);
        let uncordons = change.unschedulable.is_some();
        match api.patch_node(node, change).await {
            Err(error) if error.is_conflict() && tries < TRIES => tries += 1,
            other => return other.map(|()| uncordons),
        }
    }
}
