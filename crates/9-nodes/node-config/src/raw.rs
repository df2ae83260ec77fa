//! NodeConfig as it is written: the shape of the file, without judgement.
//!
//! These types are also what the published JSON schema is made from, so their comments are documentation for whoever
//! writes a NodeConfig.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

mod kubelet;
mod network;
mod registries;

pub use kubelet::{
    CloudProvider, CpuManagerPolicy, CredentialProvider, CredentialProviderVersion, Kubelet, MemorySwap, Reserved,
    SwapBehavior, TopologyManagerPolicy,
};
pub use network::{Bond, BondMode, HashPolicy, HostDns, Interface, LacpRate, Network, Route, Vlan};
pub use registries::{ClientCertificate, Mirror, Registry, RegistryAuth};

/// Configuration that makes a machine a node of a Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeConfig {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// Kind of this file.
    pub kind: ConfigKind,
    /// The name of the node: lower-case letters, digits, `-` and `.`. Without it, the node is called `basalt-` and
    /// twelve digits that follow from its machine id.
    pub hostname: Option<String>,
    /// The cluster that the node joins.
    pub cluster: Cluster,
    /// Network interfaces and name servers. Without it, every Ethernet interface asks DHCP.
    pub network: Option<Network>,
    /// Time servers.
    pub time: Option<Time>,
    /// Registries of container images.
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
    /// Images to pull as soon as containerd runs, whatever pods there will be: `registry.example/app:1`.
    #[serde(default)]
    pub prepull: Vec<String>,
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
        f.debug_struct("Proxy")
            .field("no_proxy", &self.no_proxy)
            .finish_non_exhaustive()
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

/// Time.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Time {
    /// NTP servers, by name or address; they take the place of the public pool.
    pub servers: Vec<String>,
}

/// A taint: keeps away pods that do not tolerate it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Taint {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Option<String>,
    /// Effect on pods that do not tolerate it.
    pub effect: TaintEffect,
}

/// Effect of a taint.
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
