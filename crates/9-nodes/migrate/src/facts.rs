//! Facts about one node, the rules for all, and the steps that follow: input and output of the state machine.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use crate::drain::{DrainPolicy, PodVerdict};
use crate::model::{NamespacedName, NodeReadiness, PodDeletion};
use crate::record::{MigrationRecord, WorkloadReference};

/// Order of eviction and replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplacementOrder {
    /// The new node is there first: pods have a place to go.
    BeforeEviction,
    /// The machine itself is installed anew, once it is empty.
    AfterEviction,
}

/// Origin of replacements, as far as the state machine tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplacementMode {
    /// Nodes that are there already take the pods of all.
    Existing,
    /// Somebody joins one new node for each.
    ByHand,
    /// One new node for each is asked for.
    Requested,
}

/// End of a node's machine after its migration, as far as the state machine tells its ways apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetirementMode {
    /// Staying, empty and cordoned.
    Keep,
    /// Somebody switches the machine off.
    ByHand,
    /// A command of the user's ends it.
    Command,
    /// Cluster API deletes its Machine.
    ClusterApi,
}

/// Rules of a migration for every node.
#[derive(Debug, Clone)]
pub struct MigrationPolicy {
    /// Order of eviction and replacement.
    pub order: ReplacementOrder,
    /// Origin of replacements.
    pub mode: ReplacementMode,
    /// Consents for draining.
    pub drain: DrainPolicy,
    /// Longest time in one phase, but for the soak.
    pub deadline: Duration,
    /// Time for which moved workloads have to stay Ready.
    pub soak: Duration,
    /// A node that stops is un-cordoned, if the migration cordoned it.
    pub undo_on_stop: bool,
    /// Description of a replacement: `a Ready node that runs Basalt Linux`.
    pub replacement: String,
    /// End of a node's machine.
    pub retirement: RetirementMode,
    /// The Node object is deleted, once its machine is off.
    pub delete_node_object: bool,
}

/// Node that is migrated, as observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigratedNode {
    /// `true` if the node is cordoned.
    pub unschedulable: bool,
    /// Condition `Ready`.
    pub readiness: NodeReadiness,
    /// `true` if the node itself has become a replacement: its machine was installed anew.
    pub is_replaced_in_place: bool,
}

/// Node that may take the place, as observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacementCandidate {
    /// Name.
    pub name: String,
    /// `true` if it takes pods.
    pub ready: bool,
    /// Node whose place it takes already.
    pub replaces: Option<String>,
}

/// Pod on the node, as observed.
#[derive(Debug, Clone)]
pub struct DrainingPod {
    /// Namespace and name.
    pub name: NamespacedName,
    /// Unique identifier.
    pub uid: String,
    /// Part in the drain.
    pub verdict: PodVerdict,
    /// Condition `Ready`.
    pub ready: bool,
    /// Deletion, if it has begun.
    pub deletion: Option<PodDeletion>,
    /// Workload that it belongs to.
    pub workload: Option<WorkloadReference>,
}

/// Workload, as observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadState {
    /// Workload.
    pub workload: WorkloadReference,
    /// Ready pods; nothing if the workload was deleted.
    pub ready: Option<u32>,
    /// Pods that it should have, if its kind says so.
    pub desired: Option<u32>,
}

impl WorkloadState {
    /// Ready pods that it has to have: as many as before, or as it should have by now if that is less.
    pub fn wanted(&self, before: u32) -> u32 {
        self.desired.map_or(before, |desired| desired.min(before))
    }
}

/// Probe pod on the replacement, as observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeState {
    /// There is none.
    Absent,
    /// One of before is being deleted; the next one has the same name.
    Ending,
    /// Not Ready yet.
    Pending {
        /// Reason, of the scheduler or the kubelet: `ErrImagePull`.
        reason: String,
    },
    /// Ready.
    Ready,
    /// Ended without becoming Ready.
    Failed {
        /// Reason, of the kubelet.
        reason: String,
    },
}

/// End of the machine of a node, as observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetirementState {
    /// Nobody has asked for it.
    Open,
    /// Under way, or held up by something that passes.
    Pending {
        /// Object that is waited for.
        reason: String,
    },
    /// Impossible.
    Failed {
        /// Reason.
        reason: String,
    },
    /// The machine is gone, or its command has ended.
    Over,
}

/// Facts about one node at one time.
#[derive(Debug, Clone)]
pub struct MigrationFacts {
    /// Time of the observation.
    pub now: Timestamp,
    /// Name of the node.
    pub name: String,
    /// Node; nothing if its object is gone.
    pub node: Option<MigratedNode>,
    /// Record on the node.
    pub record: Option<MigrationRecord>,
    /// Nodes that may take its place, by name.
    pub candidates: Vec<ReplacementCandidate>,
    /// Probe pod.
    pub probe: ProbeState,
    /// Failure of the command that makes the replacement.
    pub request_failure: Option<String>,
    /// Pods on the node.
    pub pods: Vec<DrainingPod>,
    /// Workloads of those pods and of the record.
    pub workloads: Vec<WorkloadState>,
    /// End of its machine.
    pub retirement: RetirementState,
}

/// Next step of a node's migration.
#[derive(Debug, Clone, PartialEq)]
pub enum MigrationStep {
    /// Write the record, and cordon or un-cordon the node in the same patch.
    Write {
        /// New record.
        record: Box<MigrationRecord>,
        /// New value of `spec.unschedulable`, if it changes.
        unschedulable: Option<bool>,
    },
    /// Ask for a replacement.
    Request,
    /// Mark a node as the replacement.
    Claim {
        /// Name of the replacement.
        node: String,
    },
    /// Create the probe pod.
    CreateProbe {
        /// Name of the replacement.
        node: String,
    },
    /// Delete the probe pod.
    RemoveProbe,
    /// Evict pods.
    Evict {
        /// Pods, by name and unique identifier.
        pods: Vec<(NamespacedName, String)>,
    },
    /// Delete pods that eviction refused until the deadline.
    Delete {
        /// Pods, by name and unique identifier.
        pods: Vec<(NamespacedName, String)>,
    },
    /// Have the machine ended.
    Retire,
    /// Delete the Node object.
    DeleteNode,
    /// Wait.
    Wait {
        /// Objects that are waited for.
        reason: String,
    },
    /// The node's object is gone: there is nothing left to migrate.
    Gone,
    /// The migration of the node is over.
    Over,
}
