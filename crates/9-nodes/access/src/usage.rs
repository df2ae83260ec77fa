//! Usage of a node's processors, memory and disk, from the kubelet's summary API (`stats/summary`).

use serde::{Deserialize, Serialize};

use crate::AccessError;

/// Parts of `stats/summary` (k8s.io/kubelet/pkg/apis/stats/v1alpha1) that are used.
mod raw {
    use super::Deserialize;

    #[derive(Debug, Deserialize)]
    pub(super) struct Summary {
        pub(super) node: Node,
        #[serde(default)]
        pub(super) pods: Vec<Pod>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Node {
        pub(super) node_name: String,
        #[serde(default)]
        pub(super) system_containers: Vec<Container>,
        #[serde(flatten)]
        pub(super) common: Common,
        pub(super) fs: Option<FileSystem>,
        pub(super) rlimit: Option<ProcessIds>,
    }

    #[derive(Debug, Deserialize)]
    pub(super) struct Container {
        pub(super) name: String,
        #[serde(flatten)]
        pub(super) common: Common,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Pod {
        pub(super) pod_ref: Reference,
        #[serde(flatten)]
        pub(super) common: Common,
        #[serde(rename = "ephemeral-storage")]
        pub(super) storage: Option<FileSystem>,
    }

    #[derive(Debug, Deserialize)]
    pub(super) struct Reference {
        pub(super) name: String,
        pub(super) namespace: String,
    }

    #[derive(Debug, Deserialize)]
    pub(super) struct Common {
        pub(super) cpu: Option<Cpu>,
        pub(super) memory: Option<Memory>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Cpu {
        pub(super) usage_nano_cores: Option<u64>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Memory {
        pub(super) available_bytes: Option<u64>,
        pub(super) working_set_bytes: Option<u64>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct FileSystem {
        pub(super) available_bytes: Option<u64>,
        pub(super) capacity_bytes: Option<u64>,
        pub(super) used_bytes: Option<u64>,
    }

    #[derive(Debug, Deserialize)]
    pub(super) struct ProcessIds {
        pub(super) maxpid: Option<u64>,
        pub(super) curproc: Option<u64>,
    }
}

/// Usage of one consumer: the node, a part of the system, a pod. `None` where the kubelet has no figure yet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConsumerUsage {
    /// Name: `node`, `kubelet`, or namespace and name of a pod.
    pub name: String,
    /// Processors in use, on average over some ten seconds: 0.5 is half of one.
    pub cpus: Option<f64>,
    /// Memory that cannot be reclaimed (working set), in bytes.
    pub memory: Option<u64>,
    /// Disk space of the writable layers, logs and emptyDir volumes of a pod, and of the node's file system, in bytes.
    pub disk: Option<u64>,
}

/// Usage of a node and of what runs on it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeUsage {
    /// Usage of the node as a whole.
    pub node: ConsumerUsage,
    /// Memory that pods can still get before the kubelet evicts some, in bytes.
    pub memory_available: Option<u64>,
    /// Capacity of the file system of pods, logs and images (`/var`), in bytes.
    pub disk_capacity: Option<u64>,
    /// Space left on that file system, in bytes.
    pub disk_available: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Greatest number of processes and threads.
    pub processes_limit: Option<u64>,
    /// Parts of the system: kubelet, container runtime, all pods together.
    pub system: Vec<ConsumerUsage>,
    /// Pods, the greatest user of the processors first.
    pub pods: Vec<ConsumerUsage>,
}

impl NodeUsage {
    /// Path of the summary, through the API server.
    pub fn path(node: &crate::node::NodeName) -> String {
        format!("/api/v1/nodes/{node}/proxy/stats/summary")
    }

    /// Reads a summary.
    ///
    /// # Errors
    /// [`AccessError::Answer`] for anything that is not one.
    pub fn parse(bytes: &[u8]) -> Result<Self, AccessError> {
        let summary: raw::Summary = serde_json::from_slice(bytes).map_err(|error| AccessError::Answer {
            what: "the kubelet's stats/summary",
            reason: error.to_string(),
        })?;
        let raw::Summary { node, pods } = summary;
        let mut pods: Vec<_> = pods
            .into_iter()
            .map(|pod| {
                let name = format!("{}/{}", pod.pod_ref.namespace, pod.pod_ref.name);
                consumer(name, &pod.common, pod.storage.as_ref())
            })
            .collect();
        pods.sort_by(|one, other| {
            let cpus = |usage: &ConsumerUsage| usage.cpus.unwrap_or_default();
            cpus(other)
                .total_cmp(&cpus(one))
                .then_with(|| one.name.cmp(&other.name))
        });
        let system = node.system_containers.iter();
        Ok(Self {
            memory_available: node.common.memory.as_ref().and_then(|memory| memory.available_bytes),
            disk_capacity: node.fs.as_ref().and_then(|disk| disk.capacity_bytes),
            disk_available: node.fs.as_ref().and_then(|disk| disk.available_bytes),
            processes: node.rlimit.as_ref().and_then(|ids| ids.curproc),
            processes_limit: node.rlimit.as_ref().and_then(|ids| ids.maxpid),
            system: system
                .map(|part| consumer(part.name.clone(), &part.common, None))
                .collect(),
            node: consumer(node.node_name.clone(), &node.common, node.fs.as_ref()),
            pods,
        })
    }
}

fn consumer(name: String, common: &raw::Common, disk: Option<&raw::FileSystem>) -> ConsumerUsage {
    // Nine digits after the point are exact in this type up to eight million processors.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let cpus = |nano: u64| nano as f64 / 1e9;
    ConsumerUsage {
        name,
        cpus: common.cpu.as_ref().and_then(|cpu| cpu.usage_nano_cores).map(cpus),
        memory: common.memory.as_ref().and_then(|memory| memory.working_set_bytes),
        disk: disk.and_then(|disk| disk.used_bytes),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn summaries_are_read() {
        let pod = |name: &str, nano: u64| {
            json!({
                "podRef": { "name": name, "namespace": "default", "uid": "u" },
                "cpu": { "time": "t", "usageNanoCores": nano },
                "memory": { "workingSetBytes": 1024, "psi": {} },
                "ephemeral-storage": { "usedBytes": 7 },
            })
        };
        let summary = json!({
            "node": {
                "nodeName": "node-1",
                "systemContainers": [{ "name": "kubelet", "cpu": { "usageNanoCores": 20_000_000 }, "memory": {} }],
                "cpu": { "usageNanoCores": 1_500_000_000_u64 },
                "memory": { "availableBytes": 5, "workingSetBytes": 6 },
                "fs": { "availableBytes": 1, "capacityBytes": 3, "usedBytes": 2 },
                "rlimit": { "maxpid": 100, "curproc": 10 },
            },
            "pods": [pod("b", 5), pod("busy", 9), pod("a", 5), { "podRef": { "name": "new", "namespace": "x" } }],
        });
        let usage = NodeUsage::parse(summary.to_string().as_bytes()).expect("a summary");
        let names: Vec<_> = usage.pods.iter().map(|pod| pod.name.as_str()).collect();
        assert_eq!(names, ["default/busy", "default/a", "default/b", "x/new"]);
        assert_eq!(
            (usage.node.cpus, usage.node.memory, usage.node.disk),
            (Some(1.5), Some(6), Some(2))
        );
        assert_eq!(
            (usage.memory_available, usage.disk_available, usage.disk_capacity),
            (Some(5), Some(1), Some(3))
        );
        assert_eq!((usage.processes, usage.processes_limit), (Some(10), Some(100)));
        assert_eq!(
            usage.system.first().map(|part| (part.cpus, part.memory)),
            Some((Some(0.02), None))
        );
        assert_eq!(usage.pods.last().map(|pod| (pod.cpus, pod.disk)), Some((None, None)));
    }

    #[test]
    fn other_answers_are_refused() {
        for text in ["", "{}", "Unauthorized", "{\"node\":{}}"] {
            let error = NodeUsage::parse(text.as_bytes()).expect_err(text);
            assert!(error.to_string().contains("stats/summary"), "{error}");
        }
    }
}
