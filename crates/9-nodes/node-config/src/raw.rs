//! NodeConfig as it is written: the shape of the file, without judgement.
//!
//! These types are also what the published JSON schema is made from, so their comments are documentation for whoever
//! writes a NodeConfig.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a machine has to know to become a node of a Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeConfig {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// What kind of file this is.
    pub kind: ConfigKind,
    /// The name of the node: lower-case letters, digits, `-` and `.`. Without it, the node is called `basalt-` and
    /// the first digits of its machine id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The cluster that the node joins.
    pub cluster: Cluster,
    /// Network interfaces and name servers. Without it, every Ethernet interface asks DHCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Time servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// Where container images come from, by registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registries: Vec<Registry>,
    /// Settings of the kubelet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubelet: Option<Kubelet>,
    /// Labels that the node registers with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Taints that the node registers with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
    /// Kernel settings: `net.core.somaxconn: 4096`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, SysctlValue>,
    /// Certificate authorities, in PEM, that image pulls trust besides those of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<String>,
}

/// `true` for what is not written, since it is the default.
fn is_false(value: &bool) -> bool {
    !value
}

/// The version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ApiVersion {
    /// The first one.
    #[serde(rename = "basalt.dev/v1")]
    V1,
}

/// The kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ConfigKind {
    /// A NodeConfig.
    NodeConfig,
}

/// The cluster and how to get into it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Cluster {
    /// The address of the API server: `https://10.0.0.1:6443`.
    pub endpoint: String,
    /// The certificate authority of the API server, in PEM.
    pub ca: String,
    /// The token of the first contact, `abcdef.0123456789abcdef`. The node trades it for a certificate of its own.
    pub bootstrap_token: String,
    /// Names inside the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<ClusterDns>,
}

/// Names inside the cluster.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClusterDns {
    /// The domain of services; `cluster.local` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The addresses of the name service; `10.96.0.10` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
}

/// The network of the node.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Network {
    /// The interfaces, by name or hardware address. The first entry that fits an interface counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Interface>,
    /// Name servers of the node itself, for interfaces that DHCP gives none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<HostDns>,
}

/// How interfaces are set up.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Interface {
    /// Which interfaces: a name with wildcards, `en*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which interface: its hardware address, `52:54:00:12:34:56`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Whether DHCP is asked; without it, it is where no addresses are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<bool>,
    /// Addresses with the length of their network: `10.0.0.11/24`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// The way out: the address of a router.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// More ways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// The largest packet, in bytes.
    #[schemars(range(min = 576, max = 65535))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
}

/// A way to a network.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Route {
    /// The network: `192.168.0.0/16`.
    pub to: String,
    /// The router.
    pub via: String,
    /// Lower is preferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
}

/// Name servers of the node.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HostDns {
    /// Their addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// Domains to look short names up in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
}

/// Time.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Time {
    /// NTP servers, by name or address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
}

/// How images of one registry are fetched.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Registry {
    /// The registry as image names write it, `registry.example:5000`; `*` means every registry that has no entry.
    pub host: String,
    /// Places to ask first, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Mirror>,
    /// Whether only the mirrors are asked, never the registry itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub mirrors_only: bool,
    /// Whether the registry speaks HTTP without TLS.
    #[serde(default, skip_serializing_if = "is_false")]
    pub plain_http: bool,
    /// The certificate authority of the registry, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Name and password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<RegistryAuth>,
}

/// A place that holds the same images as a registry.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Mirror {
    /// Its address: `https://mirror.example` or `http://10.0.0.1:5000`.
    pub url: String,
    /// The certificate authority of the mirror, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Whether the address already contains the path of the API and `/v2` must not be added.
    #[serde(default, skip_serializing_if = "is_false")]
    pub override_path: bool,
}

/// Name and password for a registry.
#[derive(Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RegistryAuth {
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

/// A password is never shown, not even in a debugging aid.
impl std::fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryAuth")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// A taint: keeps away pods that do not tolerate it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Taint {
    /// The key.
    pub key: String,
    /// The value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What happens to pods that do not tolerate it.
    pub effect: TaintEffect,
}

/// What a taint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum TaintEffect {
    /// New pods stay away.
    NoSchedule,
    /// New pods stay away if they can.
    PreferNoSchedule,
    /// New pods stay away, and those that are there leave.
    NoExecute,
}

impl TaintEffect {
    /// The word that Kubernetes uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

/// The value of a kernel setting.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum SysctlValue {
    /// A number.
    Number(i64),
    /// Several numbers, or words.
    Text(String),
}

/// Settings of the kubelet. What is not given here, and has no default of its own, has the kubelet's.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Kubelet {
    /// How many pods the node takes.
    #[schemars(range(min = 1, max = 2500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pods: Option<u32>,
    /// How many processes a pod may have.
    #[schemars(range(min = 16))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_pids_limit: Option<u64>,
    /// The address that the node registers with; otherwise that of the interface with the default route.
    #[serde(rename = "nodeIP", skip_serializing_if = "Option::is_none")]
    pub node_ip: Option<String>,
    /// The name of the machine at its cloud: `azure:///subscriptions/...`.
    #[serde(rename = "providerID", skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Who knows the machine: `external` when a cloud's controller manager runs in the cluster. The node then registers
    /// with the taint `node.cloudprovider.kubernetes.io/uninitialized`, and has its addresses from the cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_provider: Option<CloudProvider>,
    /// What the operating system keeps for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_reserved: Option<Reserved>,
    /// What the kubelet and containerd keep for themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_reserved: Option<Reserved>,
    /// When pods are stopped at once, by signal: `memory.available: 100Mi`, `nodefs.available: 10%`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub eviction_hard: BTreeMap<String, String>,
    /// When pods are stopped after a time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub eviction_soft: BTreeMap<String, String>,
    /// That time, for each signal of `evictionSoft`: `memory.available: 1m30s`.
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
    /// How many images are pulled at the same time; 4 unless given.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel_image_pulls: Option<u32>,
    /// The size at which a container's log is rotated: `10Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_log_max_size: Option<String>,
    /// How many rotated logs of a container are kept.
    #[schemars(range(min = 2))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_log_max_files: Option<u32>,
    /// How whole processors are given to pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_manager_policy: Option<CpuManagerPolicy>,
    /// Processors that are never given to pods alone: `0-1,8`.
    #[serde(rename = "reservedSystemCPUs", skip_serializing_if = "Option::is_none")]
    pub reserved_system_cpus: Option<String>,
    /// How near to each other a pod's processors, memory and devices are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_manager_policy: Option<TopologyManagerPolicy>,
    /// How long a shutdown of the node waits for pods: `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown_grace_period: Option<String>,
    /// How much of that is kept for critical pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown_grace_period_critical_pods: Option<String>,
    /// Sysctls that pods may set although Kubernetes counts them unsafe: `net.core.*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_unsafe_sysctls: Vec<String>,
    /// Feature gates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub feature_gates: BTreeMap<String, bool>,
    /// Whether pods without a seccomp profile get the runtime's; `true` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp_default: Option<bool>,
    /// Whether the kubelet's serving certificate is asked from the cluster, which somebody there has to approve.
    #[serde(default, rename = "serverTLSBootstrap", skip_serializing_if = "is_false")]
    pub server_tls_bootstrap: bool,
    /// How much the kubelet logs, from 0 to 10.
    #[schemars(range(min = 0, max = 10))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<u32>,
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

/// Source of what is known of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CloudProvider {
    /// The controller manager of a cloud, in the cluster.
    External,
}

/// How whole processors are given to pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CpuManagerPolicy {
    /// They are not.
    None,
    /// Guaranteed pods that ask for whole processors get them alone.
    Static,
}

/// How near a pod's resources are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TopologyManagerPolicy {
    /// It does not matter.
    None,
    /// As near as they can be.
    BestEffort,
    /// Near, or the pod is refused.
    Restricted,
    /// All on one NUMA node, or the pod is refused.
    SingleNumaNode,
}
