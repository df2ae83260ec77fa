//! Network, proxies and time of a host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Network of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostNetwork {
    /// Files that configure interfaces.
    pub files: Vec<String>,
    /// Interfaces, as files configure them and as they are.
    pub interfaces: Vec<HostInterface>,
    /// Bonds, as files configure them.
    pub bonds: Vec<HostBond>,
    /// VLANs, as files configure them.
    pub vlans: Vec<HostVlan>,
    /// Kinds of other devices that files configure: `bridges`, `tunnels`, `wifis`.
    pub others: Vec<String>,
    /// Lines of /etc/hosts that are about other hosts.
    pub hosts: Vec<HostName>,
    /// Name servers.
    pub resolver: HostResolver,
}

/// Network interface of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostInterface {
    /// Name, or a pattern of names.
    pub name: String,
    /// Hardware address: of the device, or the one that a file matches.
    pub mac: Option<String>,
    /// A device of this name is there.
    pub is_present: bool,
    /// The device is hardware, or a virtual machine's.
    pub is_hardware: bool,
    /// A file gives it settings.
    pub is_configured: bool,
    /// DHCP is asked, for IPv4 or IPv6.
    pub dhcp: bool,
    /// Addresses with prefix lengths.
    pub addresses: Vec<String>,
    /// MTU: as configured; else as the device has it.
    pub mtu: Option<u64>,
    /// Routes, the default one among them.
    pub routes: Vec<HostRoute>,
    /// Name servers.
    pub name_servers: Vec<String>,
    /// Domains to look short names up in.
    pub search: Vec<String>,
    /// Names of settings of its files that are not in this entry: `dhcp4-overrides.use-dns`, `routes.scope`; `*` for words that are
    /// no names of settings.
    pub others: Vec<String>,
}

/// Route of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostRoute {
    /// Network, or `default`.
    pub to: String,
    /// Router.
    pub via: Option<String>,
    /// Metric.
    pub metric: Option<u64>,
    /// Number of a table that is not the main one.
    pub table: Option<u64>,
    /// The router is reached directly.
    pub on_link: bool,
}

/// Bond of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostBond {
    /// Name.
    pub name: String,
    /// Members.
    pub members: Vec<String>,
    /// Mode, by the kernel's name, also where a file has its number: `802.3ad`.
    pub mode: Option<String>,
    /// Rate of LACP: `fast`.
    pub lacp_rate: Option<String>,
    /// Policy of hashes: `layer3+4`.
    pub hash_policy: Option<String>,
    /// Names of other parameters, and of those above with a value that the kernel does not know. An MII monitor of 100 ms, which a
    /// node's bonds have, is none.
    pub others: Vec<String>,
}

/// VLAN of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostVlan {
    /// Name.
    pub name: String,
    /// Number.
    pub id: u64,
    /// Interface that it is on.
    pub link: String,
}

/// Line of /etc/hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostName {
    /// Address.
    pub address: String,
    /// Names.
    pub names: Vec<String>,
}

/// Name servers of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostResolver {
    /// Target, if /etc/resolv.conf is a link.
    pub link: Option<String>,
    /// Name servers: upstream's, where systemd-resolved stands between.
    pub servers: Vec<String>,
    /// Domains to look short names up in.
    pub search: Vec<String>,
    /// Options: `ndots:2`.
    pub options: Vec<String>,
    /// Name servers and domains in files of systemd-resolved.
    pub configured: Vec<String>,
    /// File of those.
    pub file: Option<String>,
}

/// Setting of an HTTP proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostProxy {
    /// File.
    pub file: String,
    /// Variable, in lower case: `http_proxy`, `https_proxy`, `no_proxy`.
    pub variable: String,
    /// Value, without name and password; of a proxy, `*` where no address is to be told from them.
    pub value: String,
    /// The value has a name or a password, which is left out here.
    pub has_credentials: bool,
}

/// Time of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostTime {
    /// Time servers, in the order of the files.
    pub servers: Vec<String>,
    /// Files that name them.
    pub files: Vec<String>,
    /// Time zone: `Europe/Berlin`.
    pub zone: Option<String>,
}
