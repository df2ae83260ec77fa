//! Check of room: a node for each pod that moves, by requests, taints, selectors and affinities.
//!
//! The check is conservative and no scheduler. Pods are placed one after the other, the largest first, and none is moved to
//! make room; preferences, pre-emption, topology spread and affinity between pods are not judged, and the pods that have
//! them are named. So "has room" may still come out otherwise, and "has no room" means that no node had it when asked.

use std::collections::BTreeMap;

use crate::model::{NamespacedName, NodeTaint, ObservedCluster, ObservedNode, ObservedPod, PodStage};
use crate::quantity::Resources;

/// Outcome for one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Pod.
    pub pod: NamespacedName,
    /// Node with room for it.
    pub node: Option<String>,
    /// Reasons against the nodes, with how many nodes have each: `3 nodes lack cpu`. Empty with a node.
    pub reasons: Vec<String>,
}

/// Nodes with what is free on them and what runs there.
#[derive(Debug)]
struct Target<'a> {
    node: &'a ObservedNode,
    free: Resources,
    pods: Vec<&'a ObservedPod>,
}

/// Places pods on nodes that take pods, but for the nodes that are excluded.
pub fn place(cluster: &ObservedCluster, moving: &[&ObservedPod], is_excluded: impl Fn(&str) -> bool) -> Vec<Placement> {
    let nodes = cluster.nodes.iter();
    let mut targets: Vec<Target<'_>> = nodes
        .filter(|node| node.takes_pods() && !is_excluded(&node.name))
        .map(|node| target(cluster, node))
        .collect();
    let mut order: Vec<&ObservedPod> = moving.to_vec();
    order.sort_by_key(|pod| {
        let size = (pod.requests.get("memory"), pod.requests.get("cpu"));
        (std::cmp::Reverse(size), pod.name.clone())
    });
    order
        .into_iter()
        .map(|pod| place_one(cluster, &mut targets, pod))
        .collect()
}

fn target<'a>(cluster: &'a ObservedCluster, node: &'a ObservedNode) -> Target<'a> {
    let pods: Vec<&ObservedPod> = cluster
        .pods_on(&node.name)
        .filter(|pod| pod.progress != PodStage::Finished)
        .collect();
    let mut free = node.allocatable.clone();
    for pod in &pods {
        free.subtract(&pod.requests);
    }
    Target { node, free, pods }
}

fn place_one<'a>(cluster: &'a ObservedCluster, targets: &mut [Target<'a>], pod: &'a ObservedPod) -> Placement {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = None;
    for index in 0..targets.len() {
        match targets
            .get(index)
            .and_then(|target| misfit(cluster, targets, target, pod))
        {
            Some(reason) => *reasons.entry(reason).or_default() += 1,
            None => {
                found = Some(index);
                break;
            }
        }
    }
    let chosen = found.and_then(|index| targets.get_mut(index));
    let node = chosen.map(|target| {
        target.free.subtract(&pod.requests);
        target.pods.push(pod);
        target.node.name.clone()
    });
    let reasons = match &node {
        Some(_) => Vec::new(),
        None if targets.is_empty() => vec!["there is no other node that takes pods".to_owned()],
        None => reasons.iter().map(|(reason, count)| describe(reason, *count)).collect(),
    };
    Placement {
        pod: pod.name.clone(),
        node,
        reasons,
    }
}

fn describe(reason: &str, count: usize) -> String {
    let nodes = if count == 1 { "node" } else { "nodes" };
    format!("{count} {nodes}: {reason}")
}

/// First reason for which a pod has no place on a node.
fn misfit(cluster: &ObservedCluster, targets: &[Target<'_>], target: &Target<'_>, pod: &ObservedPod) -> Option<String> {
    let rules = &pod.placement;
    let node = target.node;
    if let Some(taint) = node.own_taints().find(|taint| repels(taint, pod)) {
        return Some(format!("the taint {} is not tolerated", taint.key));
    }
    let mut selector = rules.node_selector.iter();
    if let Some((key, value)) = selector.find(|(key, value)| node.labels.get(*key) != Some(*value)) {
        return Some(format!("the label {key}={value} of its nodeSelector is missing"));
    }
    if !rules.node_affinities.iter().all(|affinity| affinity.matches(node)) {
        return Some("its node affinity does not match".to_owned());
    }
    if let Some((_, volume)) = cluster
        .bound_volumes(pod)
        .find(|(_, volume)| !volume.nodes.matches(node))
    {
        return Some(format!("the volume {} cannot be reached", volume.name));
    }
    if let Some(resource) = target.free.lacking(&pod.requests) {
        return Some(format!("not enough {resource}"));
    }
    let taken = |(protocol, port): &&(String, u16)| {
        let mut ports = target.pods.iter().flat_map(|other| &other.placement.host_ports);
        ports.any(|(other, number)| number == port && other == protocol)
    };
    if let Some((_, port)) = rules.host_ports.iter().find(taken) {
        return Some(format!("the host port {port} is taken"));
    }
    repelled(targets, target, pod).then(|| "an anti-affinity between pods".to_owned())
}

/// Returns `true` if a taint keeps a pod away.
fn repels(taint: &NodeTaint, pod: &ObservedPod) -> bool {
    let mut tolerations = pod.placement.tolerations.iter();
    taint.effect != "PreferNoSchedule" && !tolerations.any(|toleration| toleration.tolerates(taint))
}

/// Returns `true` if a required anti-affinity of the pod, or of one that runs in the same part of the topology, is against it.
fn repelled(targets: &[Target<'_>], target: &Target<'_>, pod: &ObservedPod) -> bool {
    targets.iter().any(|place| {
        place.pods.iter().any(|other| {
            let pairs = [(pod, *other), (*other, pod)];
            pairs.iter().any(|(owner, avoided)| {
                owner.placement.anti_affinities.iter().any(|term| {
                    let part = target.node.labels.get(&term.topology_key);
                    part.is_some()
                        && place.node.labels.get(&term.topology_key) == part
                        && term.namespaces.contains(&avoided.name.namespace)
                        && term.pods.matches(&avoided.labels)
                })
            })
        })
    })
}
