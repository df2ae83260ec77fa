//! Network of a NodeConfig, and what of a host's it does not have.

use std::collections::BTreeSet;

use basalt_inventory::{HostBond, HostInterface, HostInventory, HostRoute};
use basalt_node_config::raw;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::draft::LeftOutSetting;

/// Network, unless all that is configured is DHCP.
pub(in super::super) fn network(host: &HostInventory) -> Option<raw::Network> {
    let network = &host.network;
    let members: BTreeSet<&str> = network
        .bonds
        .iter()
        .flat_map(|bond| &bond.members)
        .map(String::as_str)
        .collect();
    let links: BTreeSet<&str> = network.vlans.iter().map(|vlan| vlan.link.as_str()).collect();
    let is_said = |interface: &&HostInterface| {
        let says = !interface.addresses.is_empty() || interface.dhcp || !interface.routes.is_empty();
        interface.is_configured && says && !members.contains(interface.name.as_str())
    };
    let configured: Vec<&HostInterface> = network.interfaces.iter().filter(is_said).collect();
    let is_plain = |interface: &&HostInterface| {
        interface.addresses.is_empty()
            && interface.routes.is_empty()
            && interface.name_servers.is_empty()
            && !has_mtu(interface)
    };
    let dns = host_dns(host, &configured);
    if configured.iter().all(is_plain) && network.bonds.is_empty() && network.vlans.is_empty() && dns.is_none() {
        return None;
    }
    let made: BTreeSet<&str> = network.bonds.iter().map(|bond| bond.name.as_str()).collect();
    let made: BTreeSet<&str> = made
        .into_iter()
        .chain(network.vlans.iter().map(|vlan| vlan.name.as_str()))
        .collect();
    Some(raw::Network {
        interfaces: configured
            .iter()
            .map(|found| interface(found, made.contains(found.name.as_str()), &links))
            .collect(),
        bonds: network
            .bonds
            .iter()
            .filter(|bond| !bond.members.is_empty())
            .map(bond)
            .collect(),
        vlans: network
            .vlans
            .iter()
            .map(|vlan| raw::Vlan {
                name: vlan.name.clone(),
                id: u32::try_from(vlan.id).unwrap_or_default(),
                link: vlan.link.clone(),
            })
            .collect(),
        dns,
    })
}

/// Returns `true` for an MTU that is not Ethernet's.
fn has_mtu(interface: &HostInterface) -> bool {
    interface
        .mtu
        .is_some_and(|mtu| mtu != 1500 && (576..=65535).contains(&mtu))
}

fn host_dns(host: &HostInventory, interfaces: &[&HostInterface]) -> Option<raw::HostDns> {
    let resolver = &host.network.resolver;
    let is_address = |text: &&String| text.parse::<std::net::IpAddr>().is_ok();
    let mut servers: Vec<String> = resolver.configured.iter().filter(is_address).cloned().collect();
    let mut search: Vec<String> = resolver
        .configured
        .iter()
        .filter(|text| !is_address(text))
        .cloned()
        .collect();
    for interface in interfaces {
        servers.extend(interface.name_servers.iter().cloned());
        search.extend(interface.search.iter().cloned());
    }
    // Without a link, somebody wrote the file.
    if resolver.link.is_none() {
        let own = resolver.servers.iter().filter(|server| !server.starts_with("127."));
        servers.extend(own.cloned());
        if !servers.is_empty() {
            search.extend(resolver.search.iter().cloned());
        }
    }
    let servers = without_repeats(servers);
    let search = without_repeats(
        search
            .into_iter()
            .map(|domain| domain.trim_start_matches('~').to_owned())
            .collect(),
    );
    (!servers.is_empty()).then_some(raw::HostDns { servers, search })
}

fn without_repeats(list: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    list.into_iter()
        .filter(|text| !text.is_empty() && seen.insert(text.clone()))
        .collect()
}

fn interface(found: &HostInterface, is_made: bool, links: &BTreeSet<&str>) -> raw::Interface {
    // Names of hardware may be others on another kernel: its address stays. Bonds and VLANs have none of their own.
    let mac = found
        .mac
        .clone()
        .filter(|_| !is_made && !found.name.contains('*') && !links.contains(found.name.as_str()));
    let is_default = |route: &&HostRoute| route.to == "default" && route.table.is_none();
    let default = found.routes.iter().find(is_default);
    let others = found
        .routes
        .iter()
        .filter(|route| route.table.is_none() && Some(*route) != default);
    let number = |number: u64| u32::try_from(number).ok();
    raw::Interface {
        name: mac.is_none().then(|| found.name.clone()),
        mac,
        unmanaged: false,
        optional: false,
        dhcp: found.dhcp.then_some(true),
        addresses: found.addresses.clone(),
        gateway: default.and_then(|route| route.via.clone()),
        gateway_on_link: default.is_some_and(|route| route.on_link),
        metric: default.and_then(|route| route.metric).and_then(number),
        routes: others
            .filter_map(|route| {
                let via = route.via.clone()?;
                let to = match (route.to.as_str(), via.contains(':')) {
                    ("default", true) => "::/0".to_owned(),
                    ("default", false) => "0.0.0.0/0".to_owned(),
                    (to, _) => to.to_owned(),
                };
                Some(raw::Route {
                    to,
                    via,
                    on_link: route.on_link,
                    metric: route.metric.and_then(number),
                })
            })
            .collect(),
        mtu: found.mtu.filter(|_| has_mtu(found)).and_then(number),
    }
}

fn bond(found: &HostBond) -> raw::Bond {
    raw::Bond {
        name: found.name.clone(),
        members: found.members.clone(),
        mode: word(found.mode.as_deref()),
        lacp_rate: word(found.lacp_rate.as_deref()),
        transmit_hash_policy: word(found.hash_policy.as_deref()),
    }
}

/// Setting of a word of the kernel; `None` for words that a NodeConfig does not have.
fn word<T: DeserializeOwned>(text: Option<&str>) -> Option<T> {
    serde_json::from_value(Value::String(text?.to_owned())).ok()
}

/// Settings of the network that its section does not have: words of bonds, and routes without a router.
pub(super) fn left_out(host: &HostInventory) -> Vec<LeftOutSetting> {
    let mut found = Vec::new();
    for made in host.network.bonds.iter().filter(|bond| !bond.members.is_empty()) {
        let settings = [
            (
                "mode",
                &made.mode,
                word::<raw::BondMode>(made.mode.as_deref()).is_none(),
            ),
            (
                "lacpRate",
                &made.lacp_rate,
                word::<raw::LacpRate>(made.lacp_rate.as_deref()).is_none(),
            ),
            (
                "transmitHashPolicy",
                &made.hash_policy,
                word::<raw::HashPolicy>(made.hash_policy.as_deref()).is_none(),
            ),
        ];
        for (field, value, _) in settings.iter().filter(|(.., is_lost)| *is_lost) {
            if let Some(value) = value {
                let path = format!("{field} of the bond {}", made.name);
                found.push(LeftOutSetting::new(path, value, "a NodeConfig does not have the word"));
            }
        }
    }
    for interface in &host.network.interfaces {
        let routes = interface
            .routes
            .iter()
            .filter(|route| route.table.is_none() && route.via.is_none());
        for route in routes {
            let path = format!("route of {}", interface.name);
            let reason = "it has no router: a NodeConfig has routes by way of one";
            found.push(LeftOutSetting::new(path, &route.to, reason));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_kernel() {
        assert_eq!(word(Some("802.3ad")), Some(raw::BondMode::Lacp));
        assert_eq!(word(Some("fast")), Some(raw::LacpRate::Fast));
        assert_eq!(word(Some("layer3+4")), Some(raw::HashPolicy::Layer34));
        assert_eq!(word::<raw::HashPolicy>(Some("vlan+srcmac")), None);
        assert_eq!(word::<raw::BondMode>(None), None);
    }

    #[test]
    fn what_a_bond_loses_is_named() {
        let mut host = HostInventory::default();
        host.network.bonds = vec![HostBond {
            name: "bond0".to_owned(),
            members: vec!["eno1".to_owned()],
            mode: Some("802.3ad".to_owned()),
            hash_policy: Some("vlan+srcmac".to_owned()),
            ..HostBond::default()
        }];
        host.network.interfaces = vec![HostInterface {
            name: "eno2".to_owned(),
            routes: vec![HostRoute {
                to: "10.9.0.0/16".to_owned(),
                ..HostRoute::default()
            }],
            ..HostInterface::default()
        }];
        let found: Vec<String> = left_out(&host).into_iter().map(|entry| entry.path).collect();
        assert_eq!(found, ["transmitHashPolicy of the bond bond0", "route of eno2"]);
    }
}
