//! NodeConfig as it is written: the shape of the file, without judgement.
//!
//! These types are also what the published JSON schema is made from, so their comments are documentation for whoever
//! writes a NodeConfig. A field with `"writeOnly"` is a secret: no report shows it (`basalt_document::secret`).

use std::collections::BTreeMap;

use basalt_document::redaction::redact;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeConfig {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// Kind of this file.
    pub kind: ConfigKind,
    /// The name of the node: lower-case letters, digits, `-` and `.`. Without it, the node is called as the
    /// metadata beside it (of a cloud or a disk) calls the machine, or `basalt-` and twelve digits that follow from its machine id.
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
    /// Registries of container images.
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
    /// Kernel settings: `net.core.somaxconn: 65535`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, SysctlValue>,
    /// Certificate authorities, in PEM, that image pulls trust besides those of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<String>,
    /// Images to pull as soon as containerd runs, whatever pods there will be: `registry.example/app:1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prepull: Vec<String>,
    /// The HTTP proxy of image pulls and of credential providers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
}

/// An HTTP proxy.
#[derive(Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Proxy {
    /// The proxy for `http://`: `http://proxy.example:3128`, with name and password before an `@` if it asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("writeOnly" = true))]
    pub http: Option<String>,
    /// The proxy for `https://`; that for `http://` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("writeOnly" = true))]
    pub https: Option<String>,
    /// Domains, addresses and networks that are reached directly, besides those that the node knows of itself: the
    /// loopback, its own networks, the API server, and the domain of the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
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
#[derive(Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Cluster {
    /// The address of the API server: `https://10.0.0.1:6443`. Needed, unless there is a `kubeconfig`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The certificate authority of the API server, in PEM. Without it, `caCertHashes` is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Pins of the certificate authority, in place of `ca`: `sha256:` and 64 hexadecimal digits, as
    /// `--discovery-token-ca-cert-hash` of `kubeadm join` takes them. The node reads the authority from the ConfigMap
    /// `cluster-info`, whose signature by the token it verifies. One pin that matches is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ca_cert_hashes: Vec<String>,
    /// The token of the first contact, `abcdef.0123456789abcdef`. The node trades it for a certificate of its own. Needed,
    /// unless there is a `kubeconfig` with a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("writeOnly" = true))]
    pub bootstrap_token: Option<String>,
    /// The token whose signature of `cluster-info` counts, where it is another one than `bootstrapToken`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("writeOnly" = true))]
    pub discovery_token: Option<String>,
    /// The text of a kubeconfig, in place of `endpoint`, `ca` and `bootstrapToken`: a bootstrap kubeconfig with a bootstrap
    /// token, or a discovery file beside `bootstrapToken`. It holds all that it needs; no other file is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("writeOnly" = true))]
    pub kubeconfig: Option<String>,
    /// Base of the kubelet's configuration. Unless given, it is `fromNodeConfig` with `ca`, and `fromCluster` with
    /// `caCertHashes` or `kubeconfig`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubelet_config: Option<KubeletConfigSource>,
    /// Names inside the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<ClusterDns>,
}

/// Tokens and the kubeconfig are never shown; that they are there is.
impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let masked = |secret: &Option<String>| secret.as_ref().map(|_| "…");
        f.debug_struct("Cluster")
            .field("endpoint", &self.endpoint.as_deref().map(redact))
            .field("ca", &self.ca)
            .field("ca_cert_hashes", &self.ca_cert_hashes)
            .field("bootstrap_token", &masked(&self.bootstrap_token))
            .field("discovery_token", &masked(&self.discovery_token))
            .field("kubeconfig", &masked(&self.kubeconfig))
            .field("kubelet_config", &self.kubelet_config)
            .field("dns", &self.dns)
            .finish()
    }
}

/// Base of the kubelet's configuration, over which the settings of the NodeConfig are laid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum KubeletConfigSource {
    /// The ConfigMap `kubelet-config` in `kube-system`, as for `kubeadm join`. The node does not start its kubelet before
    /// it has read it once.
    FromCluster,
    /// The NodeConfig alone. Nothing is asked of the cluster.
    FromNodeConfig,
}

/// Names inside the cluster. What is not given is the cluster's where its `kubelet-config` is read.
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

/// Time.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Time {
    /// NTP servers, by name or address; they take the place of the public pool.
    pub servers: Vec<String>,
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
    /// Effect on pods that do not tolerate it.
    pub effect: TaintEffect,
}

/// Effect of a taint.
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
