//! Ends of machines: by Cluster API, by a command, by hand.

use serde_json::{Map, json};

use super::Executor;
use super::commands::CommandKind;
use crate::error::MigrateError;
use crate::inspect::Overview;
use crate::model::{NodeChange, ObservedNode};
use crate::options::MachineRetirement;
use crate::record::{MigrationRecord, RETIRES};
use crate::{cluster_api, replacement};

impl Executor<'_> {
    /// Has the machine of a node ended. Returns `false` while its command runs.
    pub(super) async fn retire(&mut self, node: &ObservedNode) -> Result<bool, MigrateError> {
        match self.options.retirement.clone() {
            MachineRetirement::ClusterApi => {
                let done = cluster_api::retire(&self.management, node).await?;
                self.tell(node, "Retiring", &done).await;
                Ok(true)
            }
            MachineRetirement::Command(command) => {
                let end = self.command_end(CommandKind::Retirement, node, &command).await?;
                Ok(end.is_some())
            }
            MachineRetirement::Keep | MachineRetirement::ByHand => Ok(true),
        }
    }

    /// Deletes the object of a node whose machine is off.
    pub(super) async fn delete_node(
        &mut self,
        overview: &Overview,
        node: &ObservedNode,
        record: Option<&MigrationRecord>,
    ) -> Result<(), MigrateError> {
        if let Some(record) = record {
            self.remember(overview, &node.name, record).await?;
        }
        let text = "the Node object is deleted: its kubelet is not heard of any more";
        self.tell(node, "Deleting", text).await;
        self.api.delete_node(node).await
    }

    /// Notes on the replacement that a node is retired: a later run knows its name when its object is gone.
    pub(super) async fn remember(
        &self,
        overview: &Overview,
        name: &str,
        record: &MigrationRecord,
    ) -> Result<(), MigrateError> {
        let replacement = record.replacement.as_deref().and_then(|name| overview.node(name));
        let Some(replacement) = replacement.filter(|node| !replacement::has_place_of(node, name)) else {
            return Ok(());
        };
        let before = replacement.annotations.get(RETIRES);
        let names = before.map_or_else(|| name.to_owned(), |before| format!("{before},{name}"));
        let annotations = Map::from_iter([(RETIRES.to_owned(), json!(names))]);
        self.api
            .patch_node(replacement, NodeChange::of_annotations(annotations))
            .await
    }
}
