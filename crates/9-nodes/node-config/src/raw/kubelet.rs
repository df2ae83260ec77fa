//! The kubelet part as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Settings of the kubelet. What is not given here, and has no default of its own, has the kubelet's.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Kubelet {
    /// Number of pods that the node takes.
    #[schemars(range(min = 1, max = 2500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pods: Option<u32>,
    /// Number of processes and threads that a pod may have; 16384 unless given.
    #[schemars(range(min = 16, max = 4_194_304))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_pids_limit: Option<u64>,
    /// The address that the node registers with, or one of each family with a comma between them:
    /// `10.0.0.11,fd00::11`. Otherwise the address from which the API server is reached.
    #[serde(rename = "nodeIP", skip_serializing_if = "Option::is_none")]
    pub node_ip: Option<String>,
    /// Component that gives the node its addresses and removes the taint of a new node: `external`, a cloud controller
    /// manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_provider: Option<CloudProvider>,
    /// The name of the machine at its cloud: `azure:///subscriptions/...`.
    #[serde(rename = "providerID", skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Resources that the operating system keeps for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_reserved: Option<Reserved>,
    /// Resources that the kubelet and containerd keep for themselves. Where neither this nor `systemReserved` names
    /// memory or processor time, the node computes how much of it is kept from the size of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_reserved: Option<Reserved>,
    /// Use of swap by containers, where there is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swap: Option<MemorySwap>,
    /// The kubelet refuses to start on a machine with swap; `true` unless `memorySwap` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_swap_on: Option<bool>,
    /// Thresholds at which pods are stopped at once, by signal: `memory.available: 100Mi`, `nodefs.available: 10%`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub eviction_hard: BTreeMap<String, String>,
    /// Thresholds at which pods are stopped after a time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub eviction_soft: BTreeMap<String, String>,
    /// Times for the signals of `evictionSoft`: `memory.available: 1m30s`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub eviction_soft_grace_period: BTreeMap<String, String>,
    /// From which use of the disk on, in percent, unused images are removed.
    #[schemars(range(min = 0, max = 100))]
    #[serde(rename = "imageGCHighThresholdPercent", skip_serializing_if = "Option::is_none")]
    pub image_gc_high_threshold_percent: Option<u32>,
    /// Down to which use they are removed.
    #[schemars(range(min = 0, max = 100))]
    #[serde(rename = "imageGCLowThresholdPercent", skip_serializing_if = "Option::is_none")]
    pub image_gc_low_threshold_percent: Option<u32>,
    /// Number of images that are pulled at the same time; 4 unless given.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel_image_pulls: Option<u32>,
    /// The size at which a container's log is rotated: `10Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_log_max_size: Option<String>,
    /// Number of rotated logs of a container that are kept.
    #[schemars(range(min = 2, max = 2_147_483_647))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_log_max_files: Option<u32>,
    /// Policy by which whole processors are given to pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_manager_policy: Option<CpuManagerPolicy>,
    /// Processors that are never given to pods alone: `0-1,8`.
    #[serde(rename = "reservedSystemCPUs", skip_serializing_if = "Option::is_none")]
    pub reserved_system_cpus: Option<String>,
    /// Policy on how near to each other a pod's processors, memory and devices are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_manager_policy: Option<TopologyManagerPolicy>,
    /// Time for which a shutdown of the node waits for pods: `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown_grace_period: Option<String>,
    /// Part of that time that is kept for critical pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown_grace_period_critical_pods: Option<String>,
    /// Sysctls that pods may set although Kubernetes counts them unsafe: `net.core.*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_unsafe_sysctls: Vec<String>,
    /// Feature gates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub feature_gates: BTreeMap<String, bool>,
    /// Pods without a seccomp profile get the runtime's; `true` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp_default: Option<bool>,
    /// The kubelet's serving certificate is asked from the cluster, which somebody there has to approve.
    #[serde(default, rename = "serverTLSBootstrap", skip_serializing_if = "super::is_false")]
    pub server_tls_bootstrap: bool,
    /// Verbosity of the kubelet's log, from 0 to 10.
    #[schemars(range(min = 0, max = 10))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<u32>,
    /// Programs of the image that the kubelet asks for credentials of registries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credential_providers: Vec<CredentialProvider>,
    /// Other fields of KubeletConfiguration (`kubelet.config.k8s.io/v1beta1`), as Kubernetes documents them. What is
    /// given here comes on top of what the node would write.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_config: BTreeMap<String, Value>,
}

/// A program that knows credentials of registries (kubelet image credential provider).
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CredentialProvider {
    /// File name in `/usr/libexec/credential-providers`, where a package of the image puts the program.
    pub name: String,
    /// The images that it is asked for: `*.dkr.ecr.*.amazonaws.com`, `registry.example:5000/team`.
    pub match_images: Vec<String>,
    /// Time for which answers are kept if they do not say: `12h`.
    pub default_cache_duration: String,
    /// The version of its protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<CredentialProviderVersion>,
    /// Arguments of the program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment variables of the program.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// The version of the protocol between the kubelet and a credential provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum CredentialProviderVersion {
    /// The stable one.
    #[default]
    #[serde(rename = "credentialprovider.kubelet.k8s.io/v1")]
    V1,
    /// The one before.
    #[serde(rename = "credentialprovider.kubelet.k8s.io/v1beta1")]
    V1Beta1,
}

impl CredentialProviderVersion {
    /// The name that Kubernetes uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "credentialprovider.kubelet.k8s.io/v1",
            Self::V1Beta1 => "credentialprovider.kubelet.k8s.io/v1beta1",
        }
    }
}

/// Source of the node's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CloudProvider {
    /// A cloud controller manager in the cluster.
    External,
}

/// Use of swap by containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MemorySwap {
    /// Containers that may swap.
    pub swap_behavior: SwapBehavior,
}

/// Containers that may swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SwapBehavior {
    /// None; the system itself may.
    NoSwap,
    /// Burstable ones, in proportion to the memory that they request.
    LimitedSwap,
}

impl SwapBehavior {
    /// The word that Kubernetes uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoSwap => "NoSwap",
            Self::LimitedSwap => "LimitedSwap",
        }
    }
}

/// Resources that are kept back.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Reserved {
    /// Processor time: `100m` is a tenth of a processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Memory: `256Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Disk: `1Gi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<String>,
    /// Process ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u64>,
}

/// Policy by which whole processors are given to pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CpuManagerPolicy {
    /// No pod gets whole processors.
    None,
    /// Guaranteed pods that ask for whole processors get them alone.
    Static,
}

/// Policy on how near a pod's resources are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TopologyManagerPolicy {
    /// No preference.
    None,
    /// As near as they can be.
    BestEffort,
    /// Near, or the pod is refused.
    Restricted,
    /// All on one NUMA node, or the pod is refused.
    SingleNumaNode,
}
