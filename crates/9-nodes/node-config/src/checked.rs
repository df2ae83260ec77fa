//! NodeConfig as it can be relied on: every value has been looked at.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::address::{
    Address, Cidr, Endpoint, InterfaceName, InterfacePattern, MacAddress, MirrorUrl, NodeAddresses, ProxyUrl,
    RegistryName,
};
use super::amount::{GoDuration, Quantity, Threshold};
use super::certificate::{Authorities, ClientCertificate};
use super::name::{Domain, HostName, ImageName, LabelKey, LabelValue, ServerName};
use super::pin::CaPin;
use super::raw::{
    self, BondMode, CloudProvider, CpuManagerPolicy, CredentialProvider, HashPolicy, KubeletConfigSource, LacpRate,
    RegistryAuth, SwapBehavior, TaintEffect, TopologyManagerPolicy,
};
use super::sysctl::SysctlName;
use super::token::BootstrapToken;

/// Configuration of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeConfig {
    /// The node's name, if it is given one.
    pub hostname: Option<HostName>,
    /// The cluster to join.
    pub cluster: Cluster,
    /// The network, if not every interface simply asks DHCP.
    pub network: Option<NetworkSettings>,
    /// Time servers.
    pub time_servers: Vec<ServerName>,
    /// Registries of container images.
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
    /// Images to pull before a pod asks for them.
    pub prepull: Vec<ImageName>,
    /// The proxy of image pulls.
    pub proxy: Option<Proxy>,
}

/// An HTTP proxy.
#[derive(Debug, Clone, PartialEq)]
pub struct Proxy {
    /// The proxy for `http://`.
    pub http: Option<ProxyUrl>,
    /// The proxy for `https://`.
    pub https: Option<ProxyUrl>,
    /// Domains, addresses and networks that are reached without it.
    pub direct: Vec<String>,
}

/// The cluster to join.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Address of the API server.
    pub endpoint: Endpoint,
    /// Source of the trust in the API server.
    pub trust: ApiServerTrust,
    /// The token of the first contact.
    pub bootstrap_token: BootstrapToken,
    /// Base of the kubelet's configuration.
    pub kubelet_config: KubeletConfigSource,
    /// The domain of services.
    pub domain: Domain,
    /// The NodeConfig gives the domain.
    pub domain_is_given: bool,
    /// The name service.
    pub dns: Vec<Address>,
    /// The NodeConfig gives the name service.
    pub dns_is_given: bool,
}

impl Cluster {
    /// Certificate authorities that the NodeConfig holds; none when they are found by discovery.
    pub fn authorities(&self) -> Option<&Authorities> {
        match &self.trust {
            ApiServerTrust::Authorities(authorities) => Some(authorities),
            ApiServerTrust::Pins { .. } => None,
        }
    }
}

/// Source of the trust in an API server.
#[derive(Debug, Clone, PartialEq)]
pub enum ApiServerTrust {
    /// Certificate authorities.
    Authorities(Authorities),
    /// Discovery: the ConfigMap `cluster-info`, signed by a token and pinned.
    Pins {
        /// Pins of authorities: at least one.
        pins: Vec<CaPin>,
        /// Token whose signature counts.
        token: BootstrapToken,
    },
}

/// The network.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkSettings {
    /// Interfaces.
    pub interfaces: Vec<Interface>,
    /// Bonds.
    pub bonds: Vec<Bond>,
    /// VLANs.
    pub vlans: Vec<Vlan>,
    /// Name servers.
    pub dns: HostDns,
}

impl NetworkSettings {
    /// Names of the interfaces that the node makes: bonds and VLANs.
    pub fn made(&self) -> impl Iterator<Item = &str> {
        let bonds = self.bonds.iter().map(|bond| bond.name.as_str());
        bonds.chain(self.vlans.iter().map(|vlan| vlan.name.as_str()))
    }

    /// VLANs on the interface with this name.
    pub fn vlans_on(&self, link: &str) -> impl Iterator<Item = &Vlan> {
        self.vlans.iter().filter(move |vlan| vlan.link.as_str() == link)
    }

    /// Names of bonds, of VLANs and of what carries VLANs that have no entry in `interfaces`. What carries VLANs has no
    /// addresses of its own; the others ask DHCP.
    pub fn without_entry(&self) -> BTreeSet<&str> {
        let links = self.vlans.iter().map(|vlan| vlan.link.as_str());
        let has_entry = |name: &str| self.interfaces.iter().any(|entry| entry.is_of(name));
        self.made().chain(links).filter(|name| !has_entry(name)).collect()
    }

    /// Returns `true` if any interface asks DHCP, by an entry or without one.
    pub fn asks_dhcp(&self) -> bool {
        let mut implied = self.without_entry().into_iter();
        self.interfaces.iter().any(|entry| entry.dhcp) || implied.any(|name| self.vlans_on(name).next().is_none())
    }
}

/// Several interfaces as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Bond {
    /// Name of the interface.
    pub name: InterfaceName,
    /// Members of the bond.
    pub members: Vec<InterfaceMatch>,
    /// Mode in which packets are spread.
    pub mode: BondMode,
    /// Rate at which LACP packets are asked for.
    pub lacp_rate: Option<LacpRate>,
    /// Fields of a packet that decide which member it goes by.
    pub transmit_hash_policy: Option<HashPolicy>,
}

/// A VLAN.
#[derive(Debug, Clone, PartialEq)]
pub struct Vlan {
    /// Name of the interface.
    pub name: InterfaceName,
    /// Number of the VLAN.
    pub id: u32,
    /// The interface that it is on.
    pub link: InterfaceName,
}

/// Name servers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostDns {
    /// Addresses of the name servers.
    pub servers: Vec<Address>,
    /// Search domains.
    pub search: Vec<Domain>,
}

/// Settings of interfaces.
#[derive(Debug, Clone, PartialEq)]
pub struct Interface {
    /// Interfaces that are meant.
    pub matches: InterfaceMatch,
    /// The node leaves them alone.
    pub unmanaged: bool,
    /// The node counts as connected without them.
    pub optional: bool,
    /// DHCP is asked.
    pub dhcp: bool,
    /// Addresses.
    pub addresses: Vec<Cidr>,
    /// The default router.
    pub gateway: Option<Address>,
    /// The router is reached without a network in common.
    pub gateway_on_link: bool,
    /// The preference of ways out; lower is preferred.
    pub metric: Option<u32>,
    /// More routes.
    pub routes: Vec<Route>,
    /// The largest packet.
    pub mtu: Option<u32>,
}

impl Interface {
    /// Returns `true` for an interface that carries VLANs and has nothing of its own: neither addresses nor DHCP.
    pub fn is_bare(&self) -> bool {
        !self.unmanaged && !self.dhcp && self.addresses.is_empty()
    }

    /// Returns `true` for an entry of the one interface with this name.
    pub fn is_of(&self, name: &str) -> bool {
        matches!(&self.matches, InterfaceMatch::Name(pattern) if pattern.as_str() == name)
    }
}

/// Interfaces that are meant.
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
    /// Destination.
    pub to: Cidr,
    /// By which router.
    pub via: Address,
    /// The router is reached without a network in common.
    pub on_link: bool,
    /// Lower is preferred.
    pub metric: Option<u32>,
}

/// Access to a registry and its mirrors.
#[derive(Debug, Clone, PartialEq)]
pub struct Registry {
    /// Registry that is meant.
    pub host: RegistryHost,
    /// Mirrors, which are asked first.
    pub mirrors: Vec<Mirror>,
    /// Only mirrors are asked.
    pub mirrors_only: bool,
    /// The registry speaks plain HTTP.
    pub plain_http: bool,
    /// Credentials and certificates.
    pub access: Access,
}

impl Registry {
    /// The hosts that this entry has credentials for, as containerd names them: host and port of an address.
    pub fn credentials(&self) -> Vec<(String, &RegistryAuth)> {
        let of_registry = match &self.host {
            RegistryHost::Named(name) => self.access.auth.as_ref().map(|auth| (name.server().to_owned(), auth)),
            RegistryHost::Others => None,
        };
        let of_mirrors = self.mirrors.iter().filter_map(|mirror| {
            let auth = mirror.access.auth.as_ref()?;
            Some((mirror.url.authority().to_owned(), auth))
        });
        of_registry.into_iter().chain(of_mirrors).collect()
    }
}

/// Credentials and certificates of a registry or a mirror.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Access {
    /// Certificate authorities of the server.
    pub ca: Option<Authorities>,
    /// The server's certificate is not verified.
    pub skip_verify: bool,
    /// The certificate that the node shows.
    pub client_certificate: Option<ClientCertificate>,
    /// Credentials.
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
    /// Address of the mirror.
    pub url: MirrorUrl,
    /// Credentials and certificates.
    pub access: Access,
    /// The address contains the path of the API.
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
#[expect(missing_docs, reason = "the raw form has the documentation of each setting")]
pub struct Kubelet {
    pub max_pods: Option<u32>,
    pub pod_pids_limit: Option<u64>,
    pub node_ip: Option<NodeAddresses>,
    pub cloud_provider: Option<CloudProvider>,
    pub provider_id: Option<String>,
    pub system_reserved: Reserved,
    pub kube_reserved: Reserved,
    pub swap_behavior: Option<SwapBehavior>,
    pub fail_swap_on: bool,
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
    pub credential_providers: Vec<CredentialProvider>,
    /// Fields of KubeletConfiguration that are checked as far as their names and types.
    pub extra_config: BTreeMap<String, Value>,
    /// The settings as they were written: what is not here is a default.
    pub written: raw::Kubelet,
}

/// Resources kept back.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the raw form has the documentation of each setting")]
pub struct Reserved {
    pub cpu: Option<Quantity>,
    pub memory: Option<Quantity>,
    pub ephemeral_storage: Option<Quantity>,
    pub pid: Option<u64>,
}
