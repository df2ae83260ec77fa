//! Journal of a migration: Events on the nodes, and lines in a ConfigMap that outlast them.
//!
//! The journal is for people; no decision reads it. So a failure to write it is a warning and stops nothing.

use k8s_openapi::api::core::v1::{ConfigMap, Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Api;
use kube::api::PostParams;

use crate::api::{ClusterApi, MANAGER, failed};
use crate::clock::MigrationClock;
use crate::error::MigrateError;
use crate::model::{NamespacedName, ObservedNode};

/// Key of the lines in the ConfigMap.
const KEY: &str = "journal";

/// Most bytes of lines that are kept, far below the 1 MiB that an object may have.
const KEPT: usize = 256 * 1024;

/// Tries of a write that meets another writer.
const TRIES: usize = 3;

/// Writer of the journal.
#[derive(Clone)]
pub(crate) struct Journal {
    api: ClusterApi,
    clock: MigrationClock,
    name: NamespacedName,
    identity: String,
}

impl Journal {
    pub(crate) fn new(api: &ClusterApi, clock: &MigrationClock, namespace: &str, identity: &str) -> Self {
        Self {
            api: api.clone(),
            clock: clock.clone(),
            name: NamespacedName::new(namespace, MANAGER),
            identity: identity.to_owned(),
        }
    }

    /// Writes one entry about a node: an Event, and a line, each whatever comes of the other.
    pub(crate) async fn write(&self, node: &ObservedNode, reason: &str, text: &str) -> Result<(), MigrateError> {
        let event = self.event(node, reason, text).await;
        let now = self.clock.now();
        let line = format!("{now} {} {reason}: {}\n", node.name, text.replace('\n', " "));
        self.append(&line).await.and(event)
    }

    async fn event(&self, node: &ObservedNode, reason: &str, text: &str) -> Result<(), MigrateError> {
        let now = Time(self.clock.now());
        let warning = matches!(reason, "Stopped" | "Waiting" | "Deleting");
        let event = Event {
            metadata: ObjectMeta {
                generate_name: Some(format!("{MANAGER}-")),
                // Events about objects without a namespace are in this one.
                namespace: Some("default".to_owned()),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Node".to_owned()),
                name: Some(node.name.clone()),
                // kubectl looks for events of a node by this, which the kubelet sets to the name.
                uid: Some(node.name.clone()),
                ..ObjectReference::default()
            },
            reason: Some(format!("Migrate{reason}")),
            message: Some(text.chars().take(1000).collect()),
            type_: Some(if warning { "Warning" } else { "Normal" }.to_owned()),
            source: Some(EventSource {
                component: Some(MANAGER.to_owned()),
                host: None,
            }),
            reporting_component: Some(MANAGER.to_owned()),
            reporting_instance: Some(self.identity.clone()),
            first_timestamp: Some(now.clone()),
            last_timestamp: Some(now),
            count: Some(1),
            ..Event::default()
        };
        let events = Api::<Event>::namespaced(self.api.client(), "default");
        let created = events.create(&PostParams::default(), &event).await;
        created.map(drop).map_err(failed("create an event"))
    }

    async fn append(&self, line: &str) -> Result<(), MigrateError> {
        let maps = Api::<ConfigMap>::namespaced(self.api.client(), &self.name.namespace);
        let mut last = Ok(());
        for _ in 0..TRIES {
            let present = self.api.get::<ConfigMap>(&self.name).await?;
            let is_new = present.is_none();
            let mut map = present.unwrap_or_else(|| ConfigMap {
                metadata: ObjectMeta {
                    name: Some(self.name.name.clone()),
                    ..ObjectMeta::default()
                },
                ..ConfigMap::default()
            });
            let data = map.data.get_or_insert_default();
            let text = data.entry(KEY.to_owned()).or_default();
            text.push_str(line);
            *text = newest(text).to_owned();
            let written = if is_new {
                maps.create(&PostParams::default(), &map).await
            } else {
                maps.replace(&self.name.name, &PostParams::default(), &map).await
            };
            last = written.map(drop).map_err(failed("write the journal"));
            if !last.as_ref().is_err_and(MigrateError::is_conflict) {
                break;
            }
        }
        last
    }
}

/// The newest whole lines of a text that fit.
fn newest(text: &str) -> &str {
    let Some(excess) = text.len().checked_sub(KEPT) else {
        return text;
    };
    let cut = text.bytes().skip(excess).position(|byte| byte == b'\n');
    cut.and_then(|at| text.get(excess + at + 1..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_keeps_its_newest_lines() {
        assert_eq!(newest("a\nb\n"), "a\nb\n");
        let lines: String = (0..30_000).map(|number| format!("{number:05} línea\n")).collect();
        let kept = newest(&lines);
        assert!(kept.len() <= KEPT && kept.len() > KEPT - 20);
        assert!(kept.ends_with("29999 línea\n") && lines.ends_with(kept));
        assert_eq!(kept.lines().next().map(|line| line.chars().count()), Some(11));
    }
}
