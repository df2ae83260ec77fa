//! NodeConfig as it is written: the shape of the file, without judgement.
//!
//! These types are also what the published JSON schema is made from, so their comments are documentation for whoever
//! writes a NodeConfig.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// What a machine has to know to become a node of a Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeConfig {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// What kind of file this is.
    pub kind: ConfigKind,
    /// The name of the node: lower-case letters, digits, `-` and `.`. Without it, the node is called `basalt-` and
    /// the first digits of its machine id.
    pub hostname: Option<String>,
    /// The cluster that the node joins.
    pub cluster: Cluster,
    /// Network interfaces and name servers. Without it, every Ethernet interface asks DHCP.
    pub network: Option<Network>,
    /// Time servers.
    pub time: Option<Time>,
    /// Where container images come from, by registry.
    #[serde(default)]
    pub registries: Vec<Registry>,
    /// Settings of the kubelet.
    pub kubelet: Option<Kubelet>,
    /// Labels that the node registers with.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taints that the node registers with.
    #[serde(default)]
    pub taints: Vec<Taint>,
    /// Kernel settings: `net.core.somaxconn: 4096`.
    #[serde(default)]
    pub sysctls: BTreeMap<String, SysctlValue>,
    /// Certificate authorities, in PEM, that image pulls trust besides those of the image.
    pub ca_certificates: Option<String>,
    /// The HTTP proxy of image pulls and of credential providers.
    pub proxy: Option<Proxy>,
}

/// An HTTP proxy.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Proxy {
    /// The proxy for `http://`: `http://proxy.example:3128`, with name and password before an `@` if it asks for them.
    pub http: Option<String>,
    /// The proxy for `https://`; that for `http://` unless given.
    pub https: Option<String>,
    /// Domains, addresses and networks that are reached directly, besides those that the node knows of itself: the
    /// loopback, its own networks, the API server, and the domain of the cluster.
    #[serde(default)]
    pub no_proxy: Vec<String>,
}

/// A proxy's password is never shown.
impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("no_proxy", &self.no_proxy).finish_non_exhaustive()
    }
}

/// The version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first one.
    #[serde(rename = "basalt.dev/v1")]
    V1,
}

/// The kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ConfigKind {
    /// A NodeConfig.
    NodeConfig,
}

/// The cluster and how to get into it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Cluster {
    /// The address of the API server: `https://10.0.0.1:6443`.
    pub endpoint: String,
    /// The certificate authority of the API server, in PEM.
    pub ca: String,
    /// The token of the first contact, `abcdef.0123456789abcdef`. The node trades it for a certificate of its own.
    pub bootstrap_token: String,
    /// Names inside the cluster.
    pub dns: Option<ClusterDns>,
}

/// Names inside the cluster.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClusterDns {
    /// The domain of services; `cluster.local` unless given.
    pub domain: Option<String>,
    /// The addresses of the name service; `10.96.0.10` unless given.
    pub addresses: Option<Vec<String>>,
}

/// The network of the node.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Network {
    /// The interfaces, by name or hardware address. The first entry that fits an interface counts.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// Name servers of the node itself, for interfaces that DHCP gives none.
    pub dns: Option<HostDns>,
}

/// How interfaces are set up.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Interface {
    /// Which interfaces: a name with wildcards, `en*`.
    pub name: Option<String>,
    /// Which interface: its hardware address, `52:54:00:12:34:56`.
    pub mac: Option<String>,
    /// Whether DHCP is asked; without it, it is where no addresses are given.
    pub dhcp: Option<bool>,
    /// Addresses with the length of their network: `10.0.0.11/24`.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// The way out: the address of a router.
    pub gateway: Option<String>,
    /// More ways.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// The largest packet, in bytes.
    #[schemars(range(min = 576, max = 65535))]
    pub mtu: Option<u32>,
}

/// A way to a network.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Route {
    /// The network: `192.168.0.0/16`.
    pub to: String,
    /// The router.
    pub via: String,
    /// Lower is preferred.
    pub metric: Option<u32>,
}

/// Name servers of the node.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HostDns {
    /// Their addresses.
    #[serde(default)]
    pub servers: Vec<String>,
    /// Domains to look short names up in.
    #[serde(default)]
    pub search: Vec<String>,
}

/// Time.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Time {
    /// NTP servers, by name or address; they take the place of the public pool.
    pub servers: Vec<String>,
}

/// How images of one registry are fetched.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Registry {
    /// The registry as image names write it, `registry.example:5000`; `*` means every registry that has no entry.
    pub host: String,
    /// Places to ask first, in this order. `[]` says that this registry has none, not even those of `*`.
    pub mirrors: Option<Vec<Mirror>>,
    /// Whether only the mirrors are asked, never the registry itself.
    #[serde(default)]
    pub mirrors_only: bool,
    /// Whether the registry speaks HTTP without TLS.
    #[serde(default)]
    pub plain_http: bool,
    /// The certificate authority of the registry, in PEM.
    pub ca: Option<String>,
    /// Whether the registry's certificate is not looked at.
    #[serde(default)]
    pub skip_verify: bool,
    /// The certificate that the node shows to the registry.
    pub client_certificate: Option<ClientCertificate>,
    /// Name and password, or a token, for the registry and the token server that it names.
    pub auth: Option<RegistryAuth>,
}

/// A place that holds the same images as a registry.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Mirror {
    /// Its address: `https://mirror.example` or `http://10.0.0.1:5000`.
    pub url: String,
    /// The certificate authority of the mirror, in PEM.
    pub ca: Option<String>,
    /// Whether the mirror's certificate is not looked at.
    #[serde(default)]
    pub skip_verify: bool,
    /// The certificate that the node shows to the mirror.
    pub client_certificate: Option<ClientCertificate>,
    /// Name and password, or a token, for the mirror and the token server that it names.
    pub auth: Option<RegistryAuth>,
    /// Whether the address already contains the path of the API and `/v2` must not be added.
    #[serde(default)]
    pub override_path: bool,
}

/// A certificate that a node shows, and its key.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClientCertificate {
    /// The certificate, with those between it and its authority, in PEM.
    pub certificate: String,
    /// Its private key, in PEM.
    pub key: String,
}

/// A key is never shown.
impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

/// Credentials for a registry: `username` and `password`, or `identityToken`.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RegistryAuth {
    /// The name.
    pub username: Option<String>,
    /// The password, or an access token in its place.
    pub password: Option<String>,
    /// A refresh token that the registry's token server trades for access tokens, as Azure's does.
    pub identity_token: Option<String>,
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
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Taint {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Option<String>,
    /// What happens to pods that do not tolerate it.
    pub effect: TaintEffect,
}

/// What a taint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SysctlValue {
    /// A number.
    Number(i64),
    /// Several numbers, or words.
    Text(String),
}

/// Settings of the kubelet. What is not given here, and has no default of its own, has the kubelet's.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Kubelet {
    /// How many pods the node takes.
    #[schemars(range(min = 1, max = 2500))]
    pub max_pods: Option<u32>,
    /// How many processes and threads a pod may have; 16384 unless given.
    #[schemars(range(min = 16))]
    pub pod_pids_limit: Option<u64>,
    /// The address that the node registers with, or one of each family with a comma between them:
    /// `10.0.0.11,fd00::11`. Otherwise the address from which the API server is reached.
    #[serde(rename = "nodeIP")]
    pub node_ip: Option<String>,
    /// Who gives the node its addresses and removes the taint of a new node: `external`, a cloud controller manager.
    pub cloud_provider: Option<CloudProvider>,
    /// The name of the machine at its cloud: `azure:///subscriptions/...`.
    #[serde(rename = "providerID")]
    pub provider_id: Option<String>,
    /// What the operating system keeps for itself.
    pub system_reserved: Option<Reserved>,
    /// What the kubelet and containerd keep for themselves. Where neither this nor `systemReserved` names memory or
    /// processor time, the node computes how much of it is kept from the size of the machine.
    pub kube_reserved: Option<Reserved>,
    /// How containers use swap, where there is any.
    pub memory_swap: Option<MemorySwap>,
    /// Whether the kubelet refuses to start on a machine with swap; `true` unless `memorySwap` is given.
    pub fail_swap_on: Option<bool>,
    /// When pods are stopped at once, by signal: `memory.available: 100Mi`, `nodefs.available: 10%`.
    #[serde(default)]
    pub eviction_hard: BTreeMap<String, String>,
    /// When pods are stopped after a time.
    #[serde(default)]
    pub eviction_soft: BTreeMap<String, String>,
    /// That time, for each signal of `evictionSoft`: `memory.available: 1m30s`.
    #[serde(default)]
    pub eviction_soft_grace_period: BTreeMap<String, String>,
    /// From which use of the disk on, in percent, unused images are removed.
    #[schemars(range(min = 0, max = 100))]
    #[serde(rename = "imageGCHighThresholdPercent")]
    pub image_gc_high_threshold_percent: Option<u32>,
    /// Down to which use they are removed.
    #[schemars(range(min = 0, max = 100))]
    #[serde(rename = "imageGCLowThresholdPercent")]
    pub image_gc_low_threshold_percent: Option<u32>,
    /// How many images are pulled at the same time; 4 unless given.
    #[schemars(range(min = 1))]
    pub max_parallel_image_pulls: Option<u32>,
    /// The size at which a container's log is rotated: `10Mi`.
    pub container_log_max_size: Option<String>,
    /// How many rotated logs of a container are kept.
    #[schemars(range(min = 2))]
    pub container_log_max_files: Option<u32>,
    /// How whole processors are given to pods.
    pub cpu_manager_policy: Option<CpuManagerPolicy>,
    /// Processors that are never given to pods alone: `0-1,8`.
    #[serde(rename = "reservedSystemCPUs")]
    pub reserved_system_cpus: Option<String>,
    /// How near to each other a pod's processors, memory and devices are.
    pub topology_manager_policy: Option<TopologyManagerPolicy>,
    /// How long a shutdown of the node waits for pods: `30s`.
    pub shutdown_grace_period: Option<String>,
    /// How much of that is kept for critical pods.
    pub shutdown_grace_period_critical_pods: Option<String>,
    /// Sysctls that pods may set although Kubernetes counts them unsafe: `net.core.*`.
    #[serde(default)]
    pub allowed_unsafe_sysctls: Vec<String>,
    /// Feature gates.
    #[serde(default)]
    pub feature_gates: BTreeMap<String, bool>,
    /// Whether pods without a seccomp profile get the runtime's; `true` unless given.
    pub seccomp_default: Option<bool>,
    /// Whether the kubelet's serving certificate is asked from the cluster, which somebody there has to approve.
    #[serde(default, rename = "serverTLSBootstrap")]
    pub server_tls_bootstrap: bool,
    /// How much the kubelet logs, from 0 to 10.
    #[schemars(range(min = 0, max = 10))]
    pub verbosity: Option<u32>,
    /// Programs of the image that the kubelet asks for credentials of registries.
    #[serde(default)]
    pub credential_providers: Vec<CredentialProvider>,
    /// Other fields of KubeletConfiguration (`kubelet.config.k8s.io/v1beta1`), as Kubernetes documents them. What is
    /// given here comes on top of what the node would write.
    #[serde(default)]
    pub extra_config: BTreeMap<String, Value>,
}

/// A program that knows credentials of registries (kubelet image credential provider).
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CredentialProvider {
    /// Its file name in `/usr/libexec/credential-providers`, where a package of the image puts it.
    pub name: String,
    /// The images that it is asked for: `*.dkr.ecr.*.amazonaws.com`, `registry.example:5000/team`.
    pub match_images: Vec<String>,
    /// How long its answers are kept if they do not say: `12h`.
    pub default_cache_duration: String,
    /// The version of its protocol.
    pub api_version: Option<CredentialProviderVersion>,
    /// Arguments of the program.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment variables of the program.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// The version of the protocol between the kubelet and a credential provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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

/// Who knows the addresses of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CloudProvider {
    /// A cloud controller manager in the cluster.
    External,
}

/// How containers use swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MemorySwap {
    /// Which containers may swap.
    pub swap_behavior: SwapBehavior,
}

/// Which containers may swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Reserved {
    /// Processor time: `100m` is a tenth of a processor.
    pub cpu: Option<String>,
    /// Memory: `256Mi`.
    pub memory: Option<String>,
    /// Disk: `1Gi`.
    pub ephemeral_storage: Option<String>,
    /// Process ids.
    pub pid: Option<u64>,
}

/// How whole processors are given to pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CpuManagerPolicy {
    /// They are not.
    None,
    /// Guaranteed pods that ask for whole processors get them alone.
    Static,
}

/// How near a pod's resources are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
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
