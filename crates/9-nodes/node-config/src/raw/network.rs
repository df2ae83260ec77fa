//! The network part as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The network of the node.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Network {
    /// The interfaces, by name or hardware address. The first entry that fits an interface counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Interface>,
    /// Bonds of interfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bonds: Vec<Bond>,
    /// VLANs (IEEE 802.1Q) on interfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vlans: Vec<Vlan>,
    /// Name servers of the node itself, for interfaces that DHCP gives none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<HostDns>,
}

/// Several interfaces as one.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Bond {
    /// Name: `bond0`. Addresses are given in an entry of `interfaces` with that name; without one, it asks DHCP.
    pub name: String,
    /// Members: names with wildcards, or hardware addresses.
    pub members: Vec<String>,
    /// Mode in which packets are spread over the members; `active-backup` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<BondMode>,
    /// Rate at which LACP packets are asked for, with the mode `802.3ad`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacp_rate: Option<LacpRate>,
    /// Fields of a packet that decide which member it goes by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transmit_hash_policy: Option<HashPolicy>,
}

/// Mode in which packets are spread over the members of a bond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum BondMode {
    /// One member at a time.
    #[serde(rename = "active-backup")]
    ActiveBackup,
    /// All members, agreed with the switch by LACP.
    #[serde(rename = "802.3ad")]
    Lacp,
    /// All members in turn.
    #[serde(rename = "balance-rr")]
    RoundRobin,
    /// All members, by a hash of addresses.
    #[serde(rename = "balance-xor")]
    Xor,
    /// Each packet by every member.
    #[serde(rename = "broadcast")]
    Broadcast,
    /// All members by their load, when sending.
    #[serde(rename = "balance-tlb")]
    TransmitLoad,
    /// All members by their load.
    #[serde(rename = "balance-alb")]
    Load,
}

/// Rate at which LACP packets are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LacpRate {
    /// Every 30 seconds.
    Slow,
    /// Every second.
    Fast,
}

/// Fields of a packet that decide which member of a bond it goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum HashPolicy {
    /// Hardware addresses.
    #[serde(rename = "layer2")]
    Layer2,
    /// Hardware and IP addresses.
    #[serde(rename = "layer2+3")]
    Layer23,
    /// IP addresses and ports.
    #[serde(rename = "layer3+4")]
    Layer34,
    /// As `layer2+3`, of the packet inside a tunnel.
    #[serde(rename = "encap2+3")]
    Encap23,
    /// As `layer3+4`, of the packet inside a tunnel.
    #[serde(rename = "encap3+4")]
    Encap34,
}

/// A VLAN on an interface.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Vlan {
    /// Name: `vlan10`. Addresses are given in an entry of `interfaces` with that name; without one, it asks DHCP.
    pub name: String,
    /// Number of the VLAN.
    #[schemars(range(min = 1, max = 4094))]
    pub id: u32,
    /// The interface that it is on: a bond, another VLAN, or the name of hardware. Without an entry of its own in
    /// `interfaces`, hardware or a bond that carries VLANs has no addresses.
    pub link: String,
}

/// Settings of interfaces.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Interface {
    /// Name of the interfaces, with wildcards: `en*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Hardware address of the interface: `52:54:00:12:34:56`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// The node leaves the interface alone, for a network add-on or a pod.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub unmanaged: bool,
    /// The node counts as connected without this interface.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub optional: bool,
    /// DHCP is asked; `true` unless addresses are given. `false` without addresses is for what carries VLANs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<bool>,
    /// Addresses with the length of their network: `10.0.0.11/24`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// The way out: the address of a router. For a second family, add a route to `::/0` or `0.0.0.0/0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The router is reached although it is in none of the networks of `addresses`, as on hosts with a `/32`.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub gateway_on_link: bool,
    /// The preference of the ways out by this interface, from DHCP or by `gateway`; lower is preferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// More ways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// The largest packet, in bytes.
    #[schemars(range(min = 576, max = 65535))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
}

impl Interface {
    /// Returns `true` if DHCP is asked, by `dhcp` or without addresses.
    pub(crate) fn asks_dhcp(&self) -> bool {
        !self.unmanaged && self.dhcp.unwrap_or(self.addresses.is_empty())
    }
}

/// A way to a network.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Route {
    /// The network: `192.168.0.0/16`.
    pub to: String,
    /// The router.
    pub via: String,
    /// The router is reached although it is in none of the networks of `addresses`.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub on_link: bool,
    /// Lower is preferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
}

/// Name servers of the node.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HostDns {
    /// Addresses of the name servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// Domains to look short names up in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
}

impl BondMode {
    /// The word that the kernel uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::ActiveBackup => "active-backup",
            Self::Lacp => "802.3ad",
            Self::RoundRobin => "balance-rr",
            Self::Xor => "balance-xor",
            Self::Broadcast => "broadcast",
            Self::TransmitLoad => "balance-tlb",
            Self::Load => "balance-alb",
        }
    }
}

impl LacpRate {
    /// The word that the kernel uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Fast => "fast",
        }
    }
}

impl HashPolicy {
    /// The word that the kernel uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Layer2 => "layer2",
            Self::Layer23 => "layer2+3",
            Self::Layer34 => "layer3+4",
            Self::Encap23 => "encap2+3",
            Self::Encap34 => "encap3+4",
        }
    }
}
