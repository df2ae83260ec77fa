//! Pods of a node and their part in a drain, by the rules of `kubectl drain`.
//!
//! Pods of DaemonSets and mirrors of static pods stay; finished pods go; a pod without a controller or with data in an
//! emptyDir goes only where a flag, named as kubectl's, allows it. Beyond kubectl, a pod with a volume that only its node
//! reaches is refused: it would go and never start again.

use std::fmt;
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::model::{LocalVolume, ObservedPod, PodStage};

/// Consents of the user to what a drain may do, each off by default.
#[derive(Debug, Clone, Default)]
pub struct DrainPolicy {
    /// Pods of DaemonSets are left where they are. Without it they are a reason to refuse.
    pub ignore_daemonsets: bool,
    /// The content of emptyDirs may be lost.
    pub delete_emptydir_data: bool,
    /// Pods that nobody makes anew may be deleted.
    pub force: bool,
    /// Pods whose volume only this node reaches may go; they stay Pending elsewhere.
    pub abandon_local_volumes: bool,
    /// Grace period of evicted pods, in seconds; their own unless given.
    pub grace_period: Option<u32>,
    /// Pods that were to be gone this long ago are not waited for any more.
    pub skip_wait_for_delete_timeout: Option<Duration>,
    /// Pods that eviction refuses are deleted once the deadline has passed.
    pub delete_refused: bool,
}

/// Reason for which a pod stays on the node while it is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StayReason {
    /// Its DaemonSet would make it anew on the same node.
    DaemonSet,
    /// The kubelet owns it.
    Mirror,
    /// Its deletion is older than the user waits for.
    NotWaitedFor,
}

/// Reason for which a node with this pod is not drained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "camelCase")]
pub enum DrainRefusal {
    /// A pod of a DaemonSet, and no consent to leave it.
    DaemonSet,
    /// Data in emptyDirs, and no consent to lose it.
    EmptyDir {
        /// Names of the volumes in the pod.
        volumes: Vec<String>,
    },
    /// No controller, and no consent to lose the pod.
    NoController,
    /// A volume that only this node reaches.
    LocalVolume {
        /// Name of the PersistentVolume.
        volume: String,
    },
}

impl DrainRefusal {
    /// Flag that consents.
    pub fn flag(&self) -> &'static str {
        match self {
            Self::DaemonSet => "--ignore-daemonsets",
            Self::EmptyDir { .. } => "--delete-emptydir-data",
            Self::NoController => "--force",
            Self::LocalVolume { .. } => "--abandon-local-volumes",
        }
    }
}

impl fmt::Display for DrainRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DaemonSet => write!(f, "belongs to a DaemonSet, and stays ({} agrees)", self.flag()),
            Self::EmptyDir { volumes } => {
                let volumes = volumes.join(", ");
                write!(f, "loses the data of emptyDir {volumes} ({} agrees)", self.flag())
            }
            Self::NoController => write!(f, "has no controller and is not made anew ({} agrees)", self.flag()),
            Self::LocalVolume { volume } => write!(
                f,
                "has the volume {volume}, which no other node reaches ({} leaves it Pending)",
                self.flag()
            ),
        }
    }
}

/// Part of a pod in a drain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodVerdict {
    /// The pod stays.
    Stays(StayReason),
    /// The pod is evicted.
    Goes,
    /// The node is not drained.
    Refused(DrainRefusal),
}

/// Judges a pod with the volumes that are on its node.
pub fn judge(policy: &DrainPolicy, pod: &ObservedPod, volumes: &[LocalVolume], now: Timestamp) -> PodVerdict {
    if let (Some(limit), Some(deletion)) = (policy.skip_wait_for_delete_timeout, &pod.deletion)
        && now.duration_since(deletion.due) > SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX)
    {
        return PodVerdict::Stays(StayReason::NotWaitedFor);
    }
    if pod.mirror {
        return PodVerdict::Stays(StayReason::Mirror);
    }
    if pod.progress == PodStage::Finished || pod.deletion.is_some() {
        return PodVerdict::Goes;
    }
    if pod.is_of_daemon_set() {
        return if policy.ignore_daemonsets {
            PodVerdict::Stays(StayReason::DaemonSet)
        } else {
            PodVerdict::Refused(DrainRefusal::DaemonSet)
        };
    }
    match refusal(policy, pod, volumes) {
        Some(refusal) => PodVerdict::Refused(refusal),
        None => PodVerdict::Goes,
    }
}

fn refusal(policy: &DrainPolicy, pod: &ObservedPod, volumes: &[LocalVolume]) -> Option<DrainRefusal> {
    let pinned = volumes.iter().find_map(|volume| match volume {
        LocalVolume::PersistentVolume { name, .. } => Some(name.clone()),
        _ => None,
    });
    if let Some(volume) = pinned.filter(|_| !policy.abandon_local_volumes) {
        return Some(DrainRefusal::LocalVolume { volume });
    }
    let scratch = volumes.iter().filter_map(|volume| match volume {
        LocalVolume::EmptyDir { volume } => Some(volume.clone()),
        _ => None,
    });
    let scratch: Vec<String> = scratch.collect();
    if !scratch.is_empty() && !policy.delete_emptydir_data {
        return Some(DrainRefusal::EmptyDir { volumes: scratch });
    }
    (pod.controller.is_none() && !policy.force).then_some(DrainRefusal::NoController)
}
