//! NodeConfig as it can be relied on: every value has been looked at.

use std::collections::BTreeMap;

use super::address::{Address, Cidr, Endpoint, InterfacePattern, MacAddress, MirrorUrl, RegistryName};
use super::amount::{GoDuration, Quantity, Threshold};
use super::certificate::Authorities;
use super::name::{Domain, HostName, LabelKey, LabelValue, ServerName};
use super::raw::{CloudProvider, CpuManagerPolicy, RegistryAuth, TaintEffect, TopologyManagerPolicy};
use super::sysctl::SysctlName;
use super::token::BootstrapToken;

/// What a machine has to know to become a node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeConfig {
    /// The node's name, if it is given one.
    pub hostname: Option<HostName>,
    /// The cluster to join.
    pub cluster: Cluster,
    /// The network, if not every interface simply asks DHCP.
    pub network: Option<Network>,
    /// Time servers.
    pub time_servers: Vec<ServerName>,
    /// Where images come from.
    pub registries: Vec<Registry>,
    /// The kubelet.
    pub kubelet: Kubelet,
    /// Labels of the node.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Taints of the node.
    pub taints: Vec<Taint>,
    /// Kernel settings.
    pub sysctls: BTreeMap<SysctlName, String>,
    /// More certificate authorities for image pulls.
    pub ca_certificates: Option<Authorities>,
}

/// The cluster to join.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Its API server.
    pub endpoint: Endpoint,
    /// Who vouches for the API server.
    pub ca: Authorities,
    /// The token of the first contact.
    pub bootstrap_token: BootstrapToken,
    /// The domain of services.
    pub domain: Domain,
    /// The name service.
    pub dns: Vec<Address>,
}

/// The network.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Interfaces.
    pub interfaces: Vec<Interface>,
    /// Name servers.
    pub dns: HostDns,
}

/// Name servers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostDns {
    /// Their addresses.
    pub servers: Vec<Address>,
    /// Search domains.
    pub search: Vec<Domain>,
}

/// How interfaces are set up.
#[derive(Debug, Clone, PartialEq)]
pub struct Interface {
    /// Which ones.
    pub matches: InterfaceMatch,
    /// Whether DHCP is asked.
    pub dhcp: bool,
    /// Addresses.
    pub addresses: Vec<Cidr>,
    /// The default router.
    pub gateway: Option<Address>,
    /// More routes.
    pub routes: Vec<Route>,
    /// The largest packet.
    pub mtu: Option<u32>,
}

/// Which interfaces are meant.
#[derive(Debug, Clone, PartialEq)]
pub enum InterfaceMatch {
    /// By name.
    Name(InterfacePattern),
    /// By hardware address.
    Mac(MacAddress),
}

/// A route.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Where to.
    pub to: Cidr,
    /// By which router.
    pub via: Address,
    /// Lower is preferred.
    pub metric: Option<u32>,
}

/// How images of a registry are fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct Registry {
    /// Which registry.
    pub host: RegistryHost,
    /// Where to ask first.
    pub mirrors: Vec<Mirror>,
    /// Whether only mirrors are asked.
    pub mirrors_only: bool,
    /// Whether it speaks plain HTTP.
    pub plain_http: bool,
    /// Who vouches for it.
    pub ca: Option<Authorities>,
    /// Name and password.
    pub auth: Option<RegistryAuth>,
}

/// A registry, or all that have no entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryHost {
    /// Every registry without an entry.
    Others,
    /// One registry.
    Named(RegistryName),
}

/// A mirror.
#[derive(Debug, Clone, PartialEq)]
pub struct Mirror {
    /// Its address.
    pub url: MirrorUrl,
    /// Who vouches for it.
    pub ca: Option<Authorities>,
    /// Whether the address contains the path of the API.
    pub override_path: bool,
}

/// A taint.
#[derive(Debug, Clone, PartialEq)]
pub struct Taint {
    /// The key.
    pub key: LabelKey,
    /// The value.
    pub value: Option<LabelValue>,
    /// The effect.
    pub effect: TaintEffect,
}

/// Settings of the kubelet; see [`super::raw::Kubelet`] for what each means.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Kubelet {
    pub max_pods: Option<u32>,
    pub pod_pids_limit: Option<u64>,
    pub node_ip: Option<Address>,
    pub provider_id: Option<String>,
    pub cloud_provider: Option<CloudProvider>,
    pub system_reserved: Reserved,
    pub kube_reserved: Reserved,
    pub eviction_hard: BTreeMap<String, Threshold>,
    pub eviction_soft: BTreeMap<String, Threshold>,
    pub eviction_soft_grace_period: BTreeMap<String, GoDuration>,
    pub image_gc_high_threshold_percent: Option<u32>,
    pub image_gc_low_threshold_percent: Option<u32>,
    pub max_parallel_image_pulls: Option<u32>,
    pub container_log_max_size: Option<Quantity>,
    pub container_log_max_files: Option<u32>,
    pub cpu_manager_policy: Option<CpuManagerPolicy>,
    pub reserved_system_cpus: Option<String>,
    pub topology_manager_policy: Option<TopologyManagerPolicy>,
    pub shutdown_grace_period: Option<GoDuration>,
    pub shutdown_grace_period_critical_pods: Option<GoDuration>,
    pub allowed_unsafe_sysctls: Vec<String>,
    pub feature_gates: BTreeMap<String, bool>,
    pub seccomp_default: bool,
    pub server_tls_bootstrap: bool,
    pub verbosity: Option<u32>,
}

/// Resources kept back.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Reserved {
    pub cpu: Option<Quantity>,
    pub memory: Option<Quantity>,
    pub ephemeral_storage: Option<Quantity>,
    pub pid: Option<u64>,
}
