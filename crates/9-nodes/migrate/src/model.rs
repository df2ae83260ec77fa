//! Plain model of the cluster's objects, as far as a migration needs them.
//!
//! Objects of the API have hundreds of optional fields. [`observe`](crate::observe) reads them once into these types, which
//! hold what decides: plans and the state machine see nothing else.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::Taint;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::quantity::Resources;
use crate::selector::{LabelMatcher, NodeMatcher};

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NamespacedName {
    /// Namespace.
    pub namespace: String,
    /// Name, unique in the namespace for one kind.
    pub name: String,
}

impl NamespacedName {
    /// Returns the name of an object.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Condition `Ready` of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum NodeReadiness {
    /// The kubelet says that pods can run.
    Ready,
    /// The kubelet says that pods cannot run.
    NotReady,
    /// The control plane has not heard of the kubelet for a while: status `Unknown`, or no condition at all.
    Unreachable,
}

/// Taint of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTaint {
    /// Key.
    pub key: String,
    /// Value, often empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
    /// Time at which it was added, where somebody noted it.
    pub added: Option<Timestamp>,
}

impl From<NodeTaint> for Taint {
    fn from(taint: NodeTaint) -> Self {
        Self {
            effect: taint.effect,
            key: taint.key,
            time_added: taint.added.map(Time),
            value: Some(taint.value).filter(|value| !value.is_empty()),
        }
    }
}

/// Node of the cluster.
#[derive(Debug, Clone)]
pub struct ObservedNode {
    /// Name.
    pub name: String,
    /// Unique identifier of the object: another one after the node was deleted and joined again.
    pub uid: String,
    /// Version of the object: a write with it fails when somebody else wrote in between.
    pub resource_version: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations, among them those of the migration.
    pub annotations: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<NodeTaint>,
    /// `true` if the node is cordoned.
    pub unschedulable: bool,
    /// Condition `Ready`.
    pub readiness: NodeReadiness,
    /// Name of the operating system that the kubelet reports: `Ubuntu 24.04.3 LTS`.
    pub os_image: String,
    /// Resources for pods.
    pub allocatable: Resources,
    /// Identifier at the cloud or the infrastructure provider.
    pub provider_id: Option<String>,
}

/// Change of a node. What is `None`, and annotations that are not named, stay.
#[derive(Debug, Clone, Default)]
pub struct NodeChange {
    /// Annotations by their keys; `null` removes one.
    pub annotations: Map<String, Value>,
    /// Cordon: set or taken back.
    pub unschedulable: Option<bool>,
    /// All taints.
    pub taints: Option<Vec<NodeTaint>>,
}

impl NodeChange {
    /// Returns the change of annotations alone.
    pub fn of_annotations(annotations: Map<String, Value>) -> Self {
        Self {
            annotations,
            ..Self::default()
        }
    }
}

impl ObservedNode {
    /// Returns `true` if the node belongs to the control plane.
    pub fn is_control_plane(&self) -> bool {
        [
            "node-role.kubernetes.io/control-plane",
            "node-role.kubernetes.io/master",
        ]
        .iter()
        .any(|label| self.labels.contains_key(*label))
    }

    /// Returns `true` if the node runs Basalt Linux, by the name that its kubelet reports.
    pub fn is_basalt(&self) -> bool {
        self.os_image.starts_with("Basalt Linux")
    }

    /// Taints, without the one that `unschedulable` stands for: the two are not always written together.
    pub fn own_taints(&self) -> impl Iterator<Item = &NodeTaint> {
        let taints = self.taints.iter();
        taints.filter(|taint| taint.key != "node.kubernetes.io/unschedulable")
    }

    /// Taint of a node that its cloud, its provider or its network plug-in has not finished yet.
    pub fn startup_taint(&self) -> Option<&NodeTaint> {
        self.own_taints().find(|taint| {
            taint.key.ends_with("/uninitialized")
                || taint.key.ends_with("/agent-not-ready")
                || taint.key.starts_with("node.kubernetes.io/")
        })
    }

    /// Returns `true` if new pods can start on the node now.
    pub fn takes_pods(&self) -> bool {
        self.readiness == NodeReadiness::Ready && !self.unschedulable && self.startup_taint().is_none()
    }
}

/// Object that makes pods anew: the owner of a pod with `controller: true`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodController {
    /// Kind: `ReplicaSet`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Unique identifier.
    pub uid: String,
}

/// Phase of a pod, as far as draining tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodStage {
    /// Not running yet.
    Pending,
    /// At least one container runs, or nobody knows.
    Running,
    /// Succeeded or failed: nothing of it runs again.
    Finished,
}

/// Deletion of a pod that has been asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodDeletion {
    /// End of the grace period (`metadata.deletionTimestamp`).
    pub due: Timestamp,
    /// Finalizers that hold the object.
    pub finalizers: Vec<String>,
}

/// Volume whose content is on the pod's node and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum LocalVolume {
    /// An emptyDir: its content is deleted with the pod.
    EmptyDir {
        /// Name of the volume in the pod.
        volume: String,
    },
    /// A path of the node: its content stays there.
    HostPath {
        /// Path on the node.
        path: String,
    },
    /// A persistent volume that only this node can reach: a pod with it starts on no other node.
    PersistentVolume {
        /// Name of the PersistentVolumeClaim.
        claim: String,
        /// Name of the PersistentVolume.
        name: String,
    },
}

impl fmt::Display for LocalVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyDir { volume } => write!(f, "emptyDir {volume}"),
            Self::HostPath { path } => write!(f, "hostPath {path}"),
            Self::PersistentVolume { claim, name } => write!(f, "local volume {name} (claim {claim})"),
        }
    }
}

/// Toleration of a taint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodToleration {
    /// Key; none tolerates every key.
    pub key: Option<String>,
    /// Value; none where any value will do (`operator: Exists`).
    pub value: Option<String>,
    /// Effect; none tolerates every effect.
    pub effect: Option<String>,
}

impl PodToleration {
    /// Returns `true` if the toleration covers a taint.
    pub fn tolerates(&self, taint: &NodeTaint) -> bool {
        self.key.as_ref().is_none_or(|key| *key == taint.key)
            && self.value.as_ref().is_none_or(|value| *value == taint.value)
            && self.effect.as_ref().is_none_or(|effect| *effect == taint.effect)
    }
}

/// Required anti-affinity: no pod with these labels in the same part of the topology.
#[derive(Debug, Clone)]
pub struct AntiAffinity {
    /// Label of nodes that makes the parts: `kubernetes.io/hostname`.
    pub topology_key: String,
    /// Labels of the pods to keep away from.
    pub pods: LabelMatcher,
    /// Namespaces of those pods.
    pub namespaces: Vec<String>,
}

/// Rules by which the scheduler chooses a pod's node.
#[derive(Debug, Clone, Default)]
pub struct PlacementRules {
    /// Labels that a node has to have, each with its value.
    pub node_selector: BTreeMap<String, String>,
    /// Required affinities to nodes; every one has to match.
    pub node_affinities: Vec<NodeMatcher>,
    /// Tolerations.
    pub tolerations: Vec<PodToleration>,
    /// Required anti-affinities.
    pub anti_affinities: Vec<AntiAffinity>,
    /// Host ports, with their protocols: one pod of a node can have each.
    pub host_ports: Vec<(String, u16)>,
    /// Rules that the check of room does not judge: `required pod affinity`.
    pub unjudged: Vec<&'static str>,
}

/// Pod of the cluster.
#[derive(Debug, Clone)]
pub struct ObservedPod {
    /// Namespace and name.
    pub name: NamespacedName,
    /// Unique identifier: a StatefulSet's next pod has the same name and another one.
    pub uid: String,
    /// Node that the pod is bound to.
    pub node: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Owner that makes it anew.
    pub controller: Option<PodController>,
    /// Phase.
    pub progress: PodStage,
    /// Condition `Ready`.
    pub ready: bool,
    /// `true` for the mirror of a static pod, which the kubelet owns.
    pub mirror: bool,
    /// Deletion, if it has begun.
    pub deletion: Option<PodDeletion>,
    /// Volumes on the node, but for local persistent volumes, which need [`ObservedCluster::local_volumes`].
    pub volumes: Vec<LocalVolume>,
    /// Names of its PersistentVolumeClaims.
    pub claims: Vec<String>,
    /// Resources that the scheduler reserves.
    pub requests: Resources,
    /// Rules of placement.
    pub placement: PlacementRules,
}

impl ObservedPod {
    /// Returns `true` if the pod belongs to a DaemonSet.
    pub fn is_of_daemon_set(&self) -> bool {
        self.controller.as_ref().is_some_and(|owner| owner.kind == "DaemonSet")
    }
}

/// PodDisruptionBudget.
#[derive(Debug, Clone)]
pub struct ObservedBudget {
    /// Namespace and name.
    pub name: NamespacedName,
    /// Pods that it covers.
    pub pods: LabelMatcher,
    /// Evictions that it allows now.
    pub disruptions_allowed: i32,
    /// Healthy pods that it asks for.
    pub desired_healthy: i32,
    /// Healthy pods that there are.
    pub current_healthy: i32,
}

impl ObservedBudget {
    /// Returns `true` if the budget covers a pod.
    pub fn covers(&self, pod: &ObservedPod) -> bool {
        self.name.namespace == pod.name.namespace && self.pods.matches(&pod.labels)
    }
}

/// PersistentVolume that some nodes cannot reach.
#[derive(Debug, Clone)]
pub struct ObservedVolume {
    /// Name.
    pub name: String,
    /// Nodes that reach it.
    pub nodes: NodeMatcher,
    /// `true` if it is on one node: type `local` or `hostPath`, or bound to a host name.
    pub is_local: bool,
}

/// Objects of a cluster at one time.
#[derive(Debug, Clone, Default)]
pub struct ObservedCluster {
    /// Nodes, by name.
    pub nodes: Vec<ObservedNode>,
    /// Pods of all namespaces.
    pub pods: Vec<ObservedPod>,
    /// PodDisruptionBudgets of all namespaces.
    pub budgets: Vec<ObservedBudget>,
    /// PersistentVolumes with a node affinity, by the claim that is bound to them.
    pub volumes: BTreeMap<NamespacedName, ObservedVolume>,
}

impl ObservedCluster {
    /// Returns a node.
    pub fn node(&self, name: &str) -> Option<&ObservedNode> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// Returns the pods that are bound to a node.
    pub fn pods_on<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a ObservedPod> {
        self.pods.iter().filter(move |pod| pod.node.as_deref() == Some(node))
    }

    /// Volumes behind a pod's claims that not every node reaches.
    pub fn bound_volumes<'a>(
        &'a self,
        pod: &'a ObservedPod,
    ) -> impl Iterator<Item = (&'a String, &'a ObservedVolume)> + 'a {
        pod.claims.iter().filter_map(|claim| {
            let key = NamespacedName::new(&pod.name.namespace, claim);
            Some((claim, self.volumes.get(&key)?))
        })
    }

    /// All volumes of a pod whose content is on its node and nowhere else.
    pub fn local_volumes(&self, pod: &ObservedPod) -> Vec<LocalVolume> {
        let persistent = self.bound_volumes(pod).filter(|(_, volume)| volume.is_local);
        let persistent = persistent.map(|(claim, volume)| LocalVolume::PersistentVolume {
            claim: claim.clone(),
            name: volume.name.clone(),
        });
        pod.volumes.iter().cloned().chain(persistent).collect()
    }
}
