//! Plan of a migration: pods of each node, where they could go, and what stands in the way. Pure.
//!
//! The plan changes nothing and promises little: it says what the API server and the nodes answered when it was made. What is
//! certain to fail is an obstacle, and keeps the migration from starting; what may resolve itself is a warning.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use crate::drain::{DrainRefusal, PodVerdict, StayReason, judge};
use crate::eviction::EvictionAnswer;
use crate::facts::{MigrationPolicy, ReplacementMode};
use crate::fit;
use crate::model::{LocalVolume, NodeReadiness, ObservedCluster, ObservedNode, ObservedPod};
use crate::record::{MigrationPhase, MigrationRecord};

/// Part of a pod in the migration of its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "part", rename_all = "camelCase")]
pub enum PodPart {
    /// The pod is evicted.
    Goes {
        /// Answer of the API server to a dry run of its eviction.
        eviction: Option<EvictionAnswer>,
        /// Node that has room for it.
        room: Option<String>,
        /// Reasons for which no node has room.
        no_room: Vec<String>,
    },
    /// The pod stays.
    Stays {
        /// Reason.
        why: StayReason,
    },
    /// The node is not drained because of it.
    Refused {
        /// Reason.
        why: DrainRefusal,
    },
}

/// Pod of a node that is migrated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PodPlan {
    /// Namespace and name: `shop/web-1`.
    pub pod: String,
    /// Controller: `ReplicaSet web-5f7d`.
    pub controller: Option<String>,
    /// Part of the pod.
    #[serde(flatten)]
    pub part: PodPart,
    /// Budgets that cover it, with what they allow now.
    pub budgets: Vec<String>,
    /// Volumes that are on the node.
    pub volumes: Vec<LocalVolume>,
    /// Rules of placement that the check of room does not judge.
    pub unjudged: Vec<&'static str>,
    /// `true` if a budget that covers it allows no eviction now.
    #[serde(skip)]
    pub is_held: bool,
}

/// Node that is migrated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodePlan {
    /// Name.
    pub name: String,
    /// Operating system.
    pub os_image: String,
    /// Condition `Ready`.
    pub readiness: NodeReadiness,
    /// `true` if somebody else cordoned it: it stays cordoned whatever happens.
    pub cordoned_by_others: bool,
    /// Phase of an earlier run.
    pub phase: Option<MigrationPhase>,
    /// Pods, by namespace and name.
    pub pods: Vec<PodPlan>,
}

/// Plan of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MigrationPlan {
    /// Nodes, in their order.
    pub nodes: Vec<NodePlan>,
    /// Nodes that are replacements already and that take pods.
    pub replacements: Vec<String>,
    /// Reasons for which the migration does not start.
    pub obstacles: Vec<String>,
    /// Facts that may hold it up.
    pub warnings: Vec<String>,
    /// End of each node and its machine, once the node is done.
    pub afterwards: Vec<String>,
}

impl MigrationPlan {
    /// Numbers of pods that go, stay and are refused.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |test: fn(&PodPart) -> bool| {
            let pods = self.nodes.iter().flat_map(|node| &node.pods);
            pods.filter(|pod| test(&pod.part)).count()
        };
        (
            count(|part| matches!(part, PodPart::Goes { .. })),
            count(|part| matches!(part, PodPart::Stays { .. })),
            count(|part| matches!(part, PodPart::Refused { .. })),
        )
    }
}

/// Inputs of a plan.
#[derive(Debug)]
pub struct PlanInputs<'a> {
    /// Objects of the cluster.
    pub cluster: &'a ObservedCluster,
    /// Names of the nodes that are migrated, in their order.
    pub nodes: &'a [String],
    /// Names of the nodes that are replacements.
    pub replacements: &'a BTreeSet<String>,
    /// Answers to dry runs of evictions, by the pod's unique identifier.
    pub answers: &'a BTreeMap<String, EvictionAnswer>,
    /// Present time.
    pub now: Timestamp,
}

/// Returns the pods of a node that would be evicted.
pub fn evictable<'a>(
    policy: &MigrationPolicy,
    cluster: &'a ObservedCluster,
    node: &'a str,
    now: Timestamp,
) -> Vec<&'a ObservedPod> {
    let pods = cluster.pods_on(node);
    pods.filter(|pod| judge(&policy.drain, pod, &cluster.local_volumes(pod), now) == PodVerdict::Goes)
        .collect()
}

/// Makes the plan.
pub fn build(policy: &MigrationPolicy, inputs: &PlanInputs<'_>) -> MigrationPlan {
    let nodes = inputs.nodes.iter();
    let moving: Vec<&ObservedPod> = nodes
        .flat_map(|node| evictable(policy, inputs.cluster, node, inputs.now))
        .collect();
    // A finished pod needs no room.
    let moving: Vec<&ObservedPod> = moving
        .into_iter()
        .filter(|pod| pod.progress != crate::model::PodStage::Finished && pod.controller.is_some())
        .collect();
    let excluded = |name: &str| inputs.nodes.iter().any(|node| node == name);
    let placements = fit::place(inputs.cluster, &moving, excluded);
    let placements: BTreeMap<String, fit::Placement> = placements
        .into_iter()
        .map(|placement| (placement.pod.to_string(), placement))
        .collect();
    let nodes = inputs.nodes.iter().filter_map(|name| inputs.cluster.node(name));
    let nodes: Vec<NodePlan> = nodes.map(|node| node_plan(policy, inputs, node, &placements)).collect();
    let takes_pods = |name: &&String| inputs.cluster.node(name).is_some_and(ObservedNode::takes_pods);
    let mut plan = MigrationPlan {
        nodes,
        replacements: inputs.replacements.iter().filter(takes_pods).cloned().collect(),
        obstacles: Vec::new(),
        warnings: Vec::new(),
        afterwards: Vec::new(),
    };
    judge_plan(policy, &mut plan);
    plan
}

fn node_plan(
    policy: &MigrationPolicy,
    inputs: &PlanInputs<'_>,
    node: &ObservedNode,
    placements: &BTreeMap<String, fit::Placement>,
) -> NodePlan {
    let record = MigrationRecord::read(&node.name, &node.annotations).ok().flatten();
    let ours = record.as_ref().is_some_and(|record| record.cordoned.is_some());
    let pods = inputs.cluster.pods_on(&node.name);
    let mut pods: Vec<PodPlan> = pods.map(|pod| pod_plan(policy, inputs, pod, placements)).collect();
    pods.sort_by(|one, other| one.pod.cmp(&other.pod));
    NodePlan {
        name: node.name.clone(),
        os_image: node.os_image.clone(),
        readiness: node.readiness,
        cordoned_by_others: node.unschedulable && !ours,
        phase: record.map(|record| record.phase),
        pods,
    }
}

fn pod_plan(
    policy: &MigrationPolicy,
    inputs: &PlanInputs<'_>,
    pod: &ObservedPod,
    placements: &BTreeMap<String, fit::Placement>,
) -> PodPlan {
    let volumes = inputs.cluster.local_volumes(pod);
    let placement = placements.get(&pod.name.to_string());
    let part = match judge(&policy.drain, pod, &volumes, inputs.now) {
        PodVerdict::Stays(why) => PodPart::Stays { why },
        PodVerdict::Refused(why) => PodPart::Refused { why },
        PodVerdict::Goes => PodPart::Goes {
            eviction: inputs.answers.get(&pod.uid).cloned(),
            room: placement.and_then(|placement| placement.node.clone()),
            no_room: placement.map(|placement| placement.reasons.clone()).unwrap_or_default(),
        },
    };
    let goes = matches!(part, PodPart::Goes { .. });
    let budgets = inputs.cluster.budgets.iter().filter(|budget| budget.covers(pod));
    let is_held = budgets.clone().any(|budget| budget.disruptions_allowed == 0);
    let budgets = budgets.map(|budget| {
        format!(
            "{} allows {} evictions, with {} of {} healthy pods",
            budget.name, budget.disruptions_allowed, budget.current_healthy, budget.desired_healthy
        )
    });
    PodPlan {
        pod: pod.name.to_string(),
        controller: pod
            .controller
            .as_ref()
            .map(|owner| format!("{} {}", owner.kind, owner.name)),
        part,
        budgets: budgets.collect(),
        volumes,
        unjudged: if goes {
            pod.placement.unjudged.clone()
        } else {
            Vec::new()
        },
        is_held,
    }
}

/// Finds the obstacles and the warnings.
fn judge_plan(policy: &MigrationPolicy, plan: &mut MigrationPlan) {
    let (mut obstacles, mut warnings) = (Vec::new(), Vec::new());
    for node in &plan.nodes {
        if node.readiness != NodeReadiness::Ready {
            warnings.push(format!(
                "node {} is {:?}: nothing may confirm the end of its pods; --skip-wait-for-delete-timeout gives up on them",
                node.name, node.readiness
            ));
        }
        if node.cordoned_by_others {
            warnings.push(format!(
                "node {} was cordoned by somebody else, and will not be un-cordoned",
                node.name
            ));
        }
        for pod in &node.pods {
            judge_pod(policy, pod, &mut obstacles, &mut warnings);
        }
    }
    if policy.mode == ReplacementMode::Existing && plan.replacements.is_empty() {
        obstacles.push(format!("there is no {}", policy.replacement.trim_start_matches("a ")));
    }
    plan.obstacles = obstacles;
    plan.warnings = warnings;
}

fn judge_pod(policy: &MigrationPolicy, pod: &PodPlan, obstacles: &mut Vec<String>, warnings: &mut Vec<String>) {
    let name = &pod.pod;
    let (eviction, no_room) = match &pod.part {
        PodPart::Refused { why } => {
            obstacles.push(format!("pod {name} {why}"));
            // Nobody has asked whether it may be evicted. With the flag, its budget would come as a surprise.
            if pod.is_held && *why != DrainRefusal::DaemonSet {
                warnings.push(format!(
                    "pod {name} may not go now, also with {}: budget {}",
                    why.flag(),
                    pod.budgets.join("; ")
                ));
            }
            return;
        }
        PodPart::Stays { .. } => return,
        PodPart::Goes { eviction, no_room, .. } => (eviction, no_room),
    };
    match eviction {
        Some(EvictionAnswer::Misconfigured { message }) if !policy.drain.delete_refused => obstacles.push(format!(
            "pod {name}: {message} ({}; --delete-pods-that-refuse-eviction ignores budgets)",
            pod.budgets.join("; ")
        )),
        Some(answer @ EvictionAnswer::Forbidden { .. }) => obstacles.push(format!("pod {name}: {answer}")),
        Some(EvictionAnswer::Budget { .. }) => warnings.push(format!(
            "pod {name} may not go now, and its node waits until it may: budget {}",
            pod.budgets.join("; ")
        )),
        Some(answer) if *answer != EvictionAnswer::Accepted && *answer != EvictionAnswer::Gone => {
            warnings.push(format!("pod {name}: {answer}"));
        }
        _ => {}
    }
    if !no_room.is_empty() {
        let text = format!("pod {name} has no room now: {}", no_room.join(", "));
        match policy.mode {
            ReplacementMode::Existing => obstacles.push(text),
            _ => warnings.push(format!("{text}; replacements are still to come")),
        }
    }
    for volume in &pod.volumes {
        if matches!(volume, LocalVolume::HostPath { .. }) {
            warnings.push(format!("pod {name} leaves the content of {volume} behind"));
        }
    }
}

#[cfg(test)]
mod tests;
