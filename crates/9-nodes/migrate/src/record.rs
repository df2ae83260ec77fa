//! Record of a node's migration: annotations of its Node object.
//!
//! The record is all that a migration remembers of a node. A run that begins anew, after a kill or on another machine,
//! reads it and goes on. Annotations that belong together are written in one patch, which also cordons or un-cordons.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::MigrateError;
use crate::model::NamespacedName;

/// Phase that the node is in: `Evicting`.
pub const PHASE: &str = "basalt.dev/migrate-phase";
/// Time at which the phase began, RFC 3339.
pub const SINCE: &str = "basalt.dev/migrate-since";
/// Time at which the migration cordoned the node. Absent where somebody else did.
pub const CORDONED: &str = "basalt.dev/migrate-cordoned";
/// Name of the node that takes its place.
pub const REPLACEMENT: &str = "basalt.dev/migrate-replacement";
/// Time at which the replacement was asked for.
pub const REQUESTED: &str = "basalt.dev/migrate-requested";
/// Workloads that had pods on the node, as JSON.
pub const WORKLOADS: &str = "basalt.dev/migrate-workloads";
/// Times that a workload lost its readiness in the soak.
pub const RELAPSES: &str = "basalt.dev/migrate-relapses";
/// Time, and what the migration of the node waits for since.
pub const BLOCKED: &str = "basalt.dev/migrate-blocked";
/// Reason for which the migration of the node stopped.
pub const REASON: &str = "basalt.dev/migrate-reason";
/// Time at which the end of the node's machine was asked for: from then on the node cannot be taken back.
pub const RETIRED: &str = "basalt.dev/migrate-retired";
/// On the replacement: name of the node whose place it takes.
pub const REPLACES: &str = "basalt.dev/migrate-replaces";
/// On the replacement: names of nodes that were retired, and whose place it has with others. On what is scaled down: names of
/// the Machines that it was scaled down for.
pub const RETIRES: &str = "basalt.dev/migrate-retires";

/// All annotations of a record on the node that is migrated.
pub const ALL: &[&str] = &[
    PHASE,
    SINCE,
    CORDONED,
    REPLACEMENT,
    REQUESTED,
    WORKLOADS,
    RELAPSES,
    BLOCKED,
    REASON,
    RETIRED,
];

/// Phase of a node's migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MigrationPhase {
    /// Waiting for the replacement to be Ready.
    Replacing,
    /// Waiting for a pod on the replacement to be Ready.
    Probing,
    /// Evicting pods.
    Evicting,
    /// Waiting for the moved workloads to be Ready.
    Settling,
    /// Watching the moved workloads stay Ready for a while.
    Soaking,
    /// Waiting for the node's machine to be gone.
    Retiring,
    /// Finished: the node is empty and cordoned.
    Done,
    /// Given up, with a reason.
    Stopped,
}

impl MigrationPhase {
    /// All phases.
    pub const ALL: [Self; 8] = [
        Self::Replacing,
        Self::Probing,
        Self::Evicting,
        Self::Settling,
        Self::Soaking,
        Self::Retiring,
        Self::Done,
        Self::Stopped,
    ];

    /// Name in annotations and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replacing => "Replacing",
            Self::Probing => "Probing",
            Self::Evicting => "Evicting",
            Self::Settling => "Settling",
            Self::Soaking => "Soaking",
            Self::Retiring => "Retiring",
            Self::Done => "Done",
            Self::Stopped => "Stopped",
        }
    }

    /// Returns `true` if nothing more happens to the node.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Stopped)
    }
}

impl fmt::Display for MigrationPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Object whose pods move: the controller of pods that people know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkloadReference {
    /// Kind: `Deployment`, `StatefulSet`, or the kind of another controller.
    pub kind: String,
    /// Namespace and name.
    #[serde(flatten)]
    pub name: NamespacedName,
    /// Unique identifier.
    pub uid: String,
}

impl fmt::Display for WorkloadReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Workload as it was before its pods were evicted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadBaseline {
    /// Workload.
    #[serde(flatten)]
    pub workload: WorkloadReference,
    /// Ready pods that it had on all nodes.
    pub ready: u32,
}

/// Wait that has a name and a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockedSince {
    /// Beginning.
    pub since: Timestamp,
    /// Objects that are waited for.
    pub reason: String,
}

/// Record of a node's migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationRecord {
    /// Phase.
    pub phase: MigrationPhase,
    /// Time at which the phase began.
    pub since: Timestamp,
    /// Time at which the migration cordoned the node, if it did.
    pub cordoned: Option<Timestamp>,
    /// Node that takes its place.
    pub replacement: Option<String>,
    /// Time at which the replacement was asked for.
    pub requested: Option<Timestamp>,
    /// Workloads that have to be as ready as before; nothing until they are counted, before the first eviction.
    pub workloads: Option<Vec<WorkloadBaseline>>,
    /// Times that a workload lost its readiness in the soak.
    pub relapses: u32,
    /// Present wait.
    pub blocked: Option<BlockedSince>,
    /// Reason of a stop.
    pub reason: Option<String>,
    /// Time at which the end of the machine was asked for.
    pub retired: Option<Timestamp>,
}

impl MigrationRecord {
    /// Returns `true` if the machine of the node, by its name, was installed anew and takes its own place.
    pub fn is_in_place(&self, name: &str) -> bool {
        self.replacement.as_deref() == Some(name)
    }

    /// Returns the record of a node that enters its first phase.
    pub fn begun(phase: MigrationPhase, now: Timestamp, cordoned: Option<Timestamp>) -> Self {
        Self {
            phase,
            since: now,
            cordoned,
            replacement: None,
            requested: None,
            workloads: None,
            relapses: 0,
            blocked: None,
            reason: None,
            retired: None,
        }
    }

    /// Reads the record of a node; nothing for a node without one.
    ///
    /// # Errors
    /// When somebody changed an annotation into something that no migration writes.
    pub fn read(node: &str, annotations: &BTreeMap<String, String>) -> Result<Option<Self>, MigrateError> {
        let Some(phase) = annotations.get(PHASE) else {
            return Ok(None);
        };
        let wrong = |key: &'static str| MigrateError::Annotation {
            node: node.to_owned(),
            key,
            value: annotations.get(key).cloned().unwrap_or_default(),
        };
        let time = |key: &'static str| match annotations.get(key) {
            Some(text) => text.parse::<Timestamp>().map(Some).map_err(|_| wrong(key)),
            None => Ok(None),
        };
        let mut phases = MigrationPhase::ALL.into_iter();
        Ok(Some(Self {
            phase: phases.find(|one| one.name() == phase).ok_or_else(|| wrong(PHASE))?,
            since: time(SINCE)?.ok_or_else(|| wrong(SINCE))?,
            cordoned: time(CORDONED)?,
            replacement: annotations.get(REPLACEMENT).cloned(),
            requested: time(REQUESTED)?,
            workloads: match annotations.get(WORKLOADS) {
                Some(text) => Some(serde_json::from_str(text).map_err(|_| wrong(WORKLOADS))?),
                None => None,
            },
            relapses: match annotations.get(RELAPSES) {
                Some(text) => text.parse().map_err(|_| wrong(RELAPSES))?,
                None => 0,
            },
            blocked: match annotations.get(BLOCKED) {
                Some(text) => Some(blocked(text).ok_or_else(|| wrong(BLOCKED))?),
                None => None,
            },
            reason: annotations.get(REASON).cloned(),
            retired: time(RETIRED)?,
        }))
    }

    /// Returns all annotations for a merge patch: those that the record has not are removed (`null`).
    pub fn annotations(&self) -> Map<String, Value> {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let workloads = self.workloads.as_ref();
        let workloads = workloads.map(|all| serde_json::to_string(all).unwrap_or_default());
        let blocked = self.blocked.as_ref();
        let pairs = [
            (PHASE, Some(self.phase.name().to_owned())),
            (SINCE, Some(self.since.to_string())),
            (CORDONED, time(self.cordoned)),
            (REPLACEMENT, self.replacement.clone()),
            (REQUESTED, time(self.requested)),
            (WORKLOADS, workloads),
            (RELAPSES, (self.relapses > 0).then(|| self.relapses.to_string())),
            (BLOCKED, blocked.map(|wait| format!("{} {}", wait.since, wait.reason))),
            (REASON, self.reason.clone()),
            (RETIRED, time(self.retired)),
        ];
        let pairs = pairs.into_iter();
        pairs
            .map(|(key, value)| (key.to_owned(), value.map_or(Value::Null, Value::String)))
            .collect()
    }

    /// Returns the annotations of a merge patch that removes every trace of a record.
    pub fn removal() -> Map<String, Value> {
        ALL.iter().map(|key| ((*key).to_owned(), Value::Null)).collect()
    }
}

fn blocked(text: &str) -> Option<BlockedSince> {
    let (since, reason) = text.split_once(' ')?;
    Some(BlockedSince {
        since: since.parse().ok()?,
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> MigrationRecord {
        MigrationRecord {
            phase: MigrationPhase::Evicting,
            since: "2026-11-29T16:00:00Z".parse().expect("a time"),
            cordoned: "2026-11-29T15:59:00Z".parse().ok(),
            replacement: Some("basalt-1".to_owned()),
            requested: "2026-11-29T15:59:30Z".parse().ok(),
            workloads: Some(vec![WorkloadBaseline {
                workload: WorkloadReference {
                    kind: "Deployment".to_owned(),
                    name: NamespacedName::new("shop", "web"),
                    uid: "u1".to_owned(),
                },
                ready: 2,
            }]),
            relapses: 1,
            blocked: Some(BlockedSince {
                since: "2026-11-29T16:01:00Z".parse().expect("a time"),
                reason: "shop/web-1: budget web".to_owned(),
            }),
            reason: Some("a reason".to_owned()),
            retired: "2026-11-29T16:30:00Z".parse().ok(),
        }
    }

    /// Annotations that a node has after a merge patch.
    fn patched(patch: Map<String, Value>) -> BTreeMap<String, String> {
        let set = patch
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())));
        set.collect()
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for record in [
            full(),
            MigrationRecord::begun(MigrationPhase::Replacing, Timestamp::UNIX_EPOCH, None),
        ] {
            let annotations = record.annotations();
            assert_eq!(annotations.len(), ALL.len());
            assert_eq!(
                MigrationRecord::read("n", &patched(annotations)).expect("readable"),
                Some(record)
            );
        }
        assert_eq!(MigrationRecord::read("n", &BTreeMap::new()).expect("readable"), None);
    }

    #[test]
    fn a_value_that_no_migration_writes_is_refused_by_name() {
        for key in [PHASE, SINCE, CORDONED, WORKLOADS, RELAPSES, BLOCKED, RETIRED] {
            let mut annotations = patched(full().annotations());
            annotations.insert(key.to_owned(), "nonsense".to_owned());
            let error = MigrationRecord::read("node-1", &annotations)
                .expect_err("refused")
                .to_string();
            assert!(error.contains(key) && error.contains("node-1"), "{error}");
        }
    }
}
