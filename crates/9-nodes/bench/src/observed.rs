//! Objects of the API server, as far as a measurement reads them: nodes, pods, statistics of a node.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

/// Memory of a node in a moment of rest, as its kubelet tells it (`/stats/summary`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct IdleMemory {
    /// Working set of the whole machine, in MiB: memory in use without the page cache that is inactive.
    pub working_set_mib: f64,
    /// Anonymous memory of all processes, in MiB: no page cache at all.
    pub anonymous_mib: f64,
    /// Memory that pods could still have, in MiB: the machine's memory without the working set.
    pub available_mib: f64,
}

impl IdleMemory {
    /// Reads the statistics of a node; `None` when the memory is not among them.
    pub fn of_summary(summary: &Value) -> Option<Self> {
        let mib = |key: &str| {
            let bytes = summary.pointer("/node/memory")?.get(key)?.as_f64()?;
            Some(bytes / f64::from(1 << 20))
        };
        Some(Self {
            working_set_mib: mib("workingSetBytes")?,
            anonymous_mib: mib("rssBytes")?,
            available_mib: mib("availableBytes")?,
        })
    }
}

/// Traces of a boot, to tell a later one from it. Of no boot, it has nothing.
#[derive(Debug, Clone, Default)]
pub struct BootTraces {
    /// Id of the boot that the kubelet has registered.
    boot: Option<String>,
    /// Ids of all containers.
    containers: BTreeSet<String>,
}

impl BootTraces {
    /// Reads the traces of a boot from its node and the list of all pods.
    pub fn of(node: &Value, pods: &Value) -> Self {
        let containers = array(pods, "/items").iter().flat_map(containers);
        Self {
            boot: Some(text(node, "/status/nodeInfo/bootID").to_owned()),
            containers: containers.map(|container| id(container).to_owned()).collect(),
        }
    }

    /// Checks that a node is Ready, and has registered in a later boot: its condition outlives the boot for a while.
    pub fn is_ready_after(&self, node: &Value) -> bool {
        let boot = text(node, "/status/nodeInfo/bootID");
        let ready = array(node, "/status/conditions")
            .iter()
            .any(|condition| text(condition, "/type") == "Ready" && text(condition, "/status") == "True");
        ready && !boot.is_empty() && self.boot.as_deref() != Some(boot)
    }

    /// Checks for a running pod of the pod network with a container of a later boot. Pods with the node's own network run
    /// before the node is Ready, and the status of an earlier boot stays until the kubelet writes another.
    pub fn runs_pod_after(&self, pods: &Value) -> bool {
        array(pods, "/items").iter().any(|pod| {
            let is_running = text(pod, "/status/phase") == "Running";
            let is_on_host = pod.pointer("/spec/hostNetwork") == Some(&Value::Bool(true));
            is_running && !is_on_host && containers(pod).any(|container| self.is_later(container))
        })
    }

    fn is_later(&self, container: &Value) -> bool {
        let id = id(container);
        container.pointer("/state/running").is_some() && !id.is_empty() && !self.containers.contains(id)
    }
}

/// Status of each container of a pod.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    array(pod, "/status/containerStatuses").iter()
}

fn id(container: &Value) -> &str {
    text(container, "/containerID")
}

/// The array at a JSON pointer; empty where there is none.
fn array<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    let array = value.pointer(pointer).and_then(Value::as_array);
    array.map(Vec::as_slice).unwrap_or_default()
}

/// The text at a JSON pointer; empty where there is none.
fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(boot: &str, status: &str) -> Value {
        json!({"status": {"nodeInfo": {"bootID": boot}, "conditions": [{"type": "Ready", "status": status}]}})
    }

    fn pod(host: bool, phase: &str, container: &str, state: &str) -> Value {
        json!({
            "spec": {"hostNetwork": host},
            "status": {"phase": phase, "containerStatuses": [{"containerID": container, "state": {state: {}}}]},
        })
    }

    #[test]
    fn a_node_is_ready_when_it_says_so_in_this_boot() {
        let none = BootTraces::default();
        assert!(none.is_ready_after(&node("a", "True")));
        for (boot, status) in [("a", "False"), ("a", "Unknown"), ("", "True")] {
            assert!(!none.is_ready_after(&node(boot, status)), "{boot} {status}");
        }
        assert!(!none.is_ready_after(&json!({"status": {}})));
        let first = BootTraces::of(&node("a", "True"), &json!({}));
        assert!(!first.is_ready_after(&node("a", "True")));
        assert!(!first.is_ready_after(&node("b", "False")));
        assert!(first.is_ready_after(&node("b", "True")));
    }

    #[test]
    fn pods_with_the_network_of_their_node_do_not_count() {
        let none = BootTraces::default();
        let before = json!({"items": [pod(true, "Running", "c1", "running"), pod(false, "Pending", "", "waiting")]});
        assert!(!none.runs_pod_after(&before));
        assert!(none.runs_pod_after(&json!({"items": [pod(false, "Running", "c2", "running")]})));
        assert!(!none.runs_pod_after(&json!({})));
    }

    #[test]
    fn containers_of_an_earlier_boot_do_not_count() {
        let pods = json!({"items": [pod(false, "Running", "c1", "running")]});
        let first = BootTraces::of(&node("a", "True"), &pods);
        assert!(!first.runs_pod_after(&pods));
        assert!(!first.runs_pod_after(&json!({"items": [pod(false, "Running", "c2", "waiting")]})));
        assert!(first.runs_pod_after(&json!({"items": [pod(false, "Running", "c2", "running")]})));
    }

    #[test]
    fn memory_is_in_the_statistics_of_a_node() {
        let memory = json!({"workingSetBytes": 314_572_800, "rssBytes": 209_715_200, "availableBytes": 1_572_864_000});
        let expected = IdleMemory {
            working_set_mib: 300.0,
            anonymous_mib: 200.0,
            available_mib: 1500.0,
        };
        assert_eq!(
            IdleMemory::of_summary(&json!({"node": {"memory": memory}})),
            Some(expected)
        );
        assert_eq!(IdleMemory::of_summary(&json!({"node": {}})), None);
    }
}
