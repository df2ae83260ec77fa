//! Routes of the control plane's namespace: to the pod network of each node, by that node, and to Services, by a node that
//! is Ready.
//!
//! The API server connects to pods by their own addresses (`kubectl get --raw .../pods/NAME:8080/proxy/`) and to webhooks
//! and aggregated APIs by the addresses of their Services. No network plug-in runs where it runs, so that the supervisor
//! sets the routes that flannel sets between nodes. Pure: from the list of nodes to commands of `ip`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde_json::Value;

use crate::observe;
use crate::topology::{CONTROL_PLANE, NODE_NETWORK, NodeNumber, POD_NETWORK, SERVICE_NETWORK};

/// IPv4 network in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ipv4Network {
    address: Ipv4Addr,
    prefix: u8,
}

/// Gateways by network.
pub(crate) type Routes = BTreeMap<Ipv4Network, Ipv4Addr>;

impl Ipv4Network {
    fn mask(prefix: u8) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
    }

    fn holds_address(self, address: Ipv4Addr) -> bool {
        address.to_bits() & Self::mask(self.prefix) == self.address.to_bits()
    }

    fn holds(self, other: Self) -> bool {
        other.prefix >= self.prefix && self.holds_address(other.address)
    }
}

impl FromStr for Ipv4Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, prefix) = text.split_once('/').ok_or(())?;
        let address: Ipv4Addr = address.parse().map_err(drop)?;
        let prefix: u8 = prefix.parse().map_err(drop)?;
        let is_network = prefix <= 32 && address.to_bits() & !Self::mask(prefix) == 0;
        is_network.then_some(Self { address, prefix }).ok_or(())
    }
}

impl fmt::Display for Ipv4Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Routes at the start: Services by the first node, before any node is Ready.
pub(crate) fn initial(first: Option<NodeNumber>) -> Routes {
    let services: Option<Ipv4Network> = SERVICE_NETWORK.parse().ok();
    services.zip(first.map(NodeNumber::address)).into_iter().collect()
}

/// Routes that belong to a list of nodes (`/api/v1/nodes`). The route to Services stays where it is as long as its node is
/// Ready, or no other is.
///
/// Addresses and networks that nodes report are not trusted: a gateway is an address of the nodes' network, and a network
/// a part of the pods'.
pub(crate) fn wanted(list: &Value, current: &Routes) -> Routes {
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let nodes: Vec<(Ipv4Addr, &Value)> = items
        .iter()
        .filter_map(|node| Some((internal_address(node)?, node)))
        .collect();
    let mut routes: Routes = nodes
        .iter()
        .filter_map(|(address, node)| Some((pod_network(node)?, *address)))
        .collect();
    if let Ok(services) = SERVICE_NETWORK.parse::<Ipv4Network>() {
        let ready: Vec<_> = nodes
            .iter()
            .filter(|(_, node)| observe::is_ready(node))
            .map(|(address, _)| *address)
            .collect();
        let present = current.get(&services).copied();
        let stays = present.filter(|gateway| ready.is_empty() || ready.contains(gateway));
        routes.extend(stays.or(ready.first().copied()).map(|gateway| (services, gateway)));
    }
    routes
}

/// Change of one route, whose text is a command of `ip`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteChange {
    /// Route a network by a gateway, whatever route there was.
    Set(Ipv4Network, Ipv4Addr),
    /// Remove the route of a network.
    Remove(Ipv4Network),
}

impl RouteChange {
    /// Records the change.
    pub fn record(self, routes: &mut Routes) {
        match self {
            Self::Set(network, gateway) => {
                routes.insert(network, gateway);
            }
            Self::Remove(network) => {
                routes.remove(&network);
            }
        }
    }
}

impl fmt::Display for RouteChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(network, gateway) => write!(f, "route replace {network} via {gateway}"),
            Self::Remove(network) => write!(f, "route del {network}"),
        }
    }
}

/// Changes that lead from routes to others.
pub(crate) fn changes(current: &Routes, wanted: &Routes) -> Vec<RouteChange> {
    let gone = current.keys().filter(|network| !wanted.contains_key(*network));
    let fresh = wanted
        .iter()
        .filter(|(network, gateway)| current.get(*network) != Some(*gateway))
        .map(|(network, gateway)| RouteChange::Set(*network, *gateway));
    gone.map(|network| RouteChange::Remove(*network)).chain(fresh).collect()
}

fn internal_address(node: &Value) -> Option<Ipv4Addr> {
    let nodes: Ipv4Network = NODE_NETWORK.parse().ok()?;
    let addresses = node.pointer("/status/addresses")?.as_array()?.iter();
    let internal = addresses.filter(|address| address.get("type").is_some_and(|kind| kind == "InternalIP"));
    internal
        .filter_map(|address| address.get("address")?.as_str()?.parse::<Ipv4Addr>().ok())
        .find(|address| nodes.holds_address(*address) && *address != CONTROL_PLANE)
}

fn pod_network(node: &Value) -> Option<Ipv4Network> {
    let pods: Ipv4Network = POD_NETWORK.parse().ok()?;
    let network: Ipv4Network = node.pointer("/spec/podCIDR")?.as_str()?.parse().ok()?;
    pods.holds(network).then_some(network)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(address: &str, pods: &str, ready: bool) -> Value {
        json!({
            "spec": { "podCIDR": pods },
            "status": {
                "addresses": [{ "type": "Hostname", "address": "n" }, { "type": "InternalIP", "address": address }],
                "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "Unknown" } }],
            },
        })
    }

    /// Changes as commands; recording them leads to the wanted routes.
    fn commands(current: &Routes, wanted: &Routes) -> Vec<String> {
        let mut recorded = current.clone();
        let changes = changes(current, wanted);
        changes.iter().for_each(|change| change.record(&mut recorded));
        assert_eq!(&recorded, wanted);
        changes.iter().map(RouteChange::to_string).collect()
    }

    fn shown(routes: &Routes) -> Vec<String> {
        commands(&Routes::new(), routes)
    }

    fn first() -> Routes {
        initial(NodeNumber::first(1).next())
    }

    #[test]
    fn each_node_is_the_gateway_of_its_pods() {
        let list = json!({ "items": [
            node("10.87.0.11", "10.244.0.0/24", true),
            node("10.87.0.12", "10.244.1.0/24", true),
        ]});
        assert_eq!(
            shown(&wanted(&list, &first())),
            [
                "route replace 10.96.0.0/16 via 10.87.0.11",
                "route replace 10.244.0.0/24 via 10.87.0.11",
                "route replace 10.244.1.0/24 via 10.87.0.12",
            ]
        );
    }

    #[test]
    fn services_are_routed_by_a_node_that_is_ready() {
        let list = |one, other| {
            json!({ "items": [
                node("10.87.0.11", "10.244.0.0/24", one),
                node("10.87.0.12", "10.244.1.0/24", other),
            ]})
        };
        let services: Ipv4Network = SERVICE_NETWORK.parse().expect("a network");
        let gateway = |list: &Value, current: &Routes| wanted(list, current)[&services].to_string();
        let second = wanted(&list(false, true), &first());
        assert_eq!(second[&services].to_string(), "10.87.0.12");
        assert_eq!(gateway(&list(true, true), &first()), "10.87.0.11");
        assert_eq!(gateway(&list(true, true), &second), "10.87.0.12");
        assert_eq!(gateway(&list(false, false), &second), "10.87.0.12");
        assert_eq!(gateway(&list(true, false), &second), "10.87.0.11");
        assert!(wanted(&json!({}), &Routes::new()).is_empty());
    }

    #[test]
    fn only_what_differs_is_changed() {
        let list = json!({ "items": [node("10.87.0.11", "10.244.0.0/24", true)] });
        let current = wanted(&list, &first());
        assert!(commands(&current, &wanted(&list, &current)).is_empty());
        let other = json!({ "items": [node("10.87.0.12", "10.244.0.0/24", true)] });
        assert_eq!(
            commands(&current, &wanted(&other, &current)),
            [
                "route replace 10.96.0.0/16 via 10.87.0.12",
                "route replace 10.244.0.0/24 via 10.87.0.12",
            ]
        );
        let none = wanted(&json!({ "items": [] }), &current);
        assert_eq!(commands(&current, &none), ["route del 10.244.0.0/24"]);
    }

    #[test]
    fn nodes_cannot_draw_other_networks_to_them() {
        for (address, pods) in [
            ("10.87.0.1", "10.244.0.0/24"),
            ("10.88.0.11", "10.244.0.0/24"),
            ("192.0.2.1", "10.244.0.0/24"),
            ("10.87.0.11", "0.0.0.0/0"),
            ("10.87.0.11", "10.87.0.0/24"),
            ("10.87.0.11", "10.244.0.1/24"),
            ("10.87.0.11", "10.244.0.0/33"),
            ("10.87.0.11", "10.244.0.0/24\nlink del br0"),
            ("10.87.0.11", ""),
        ] {
            let list = json!({ "items": [node(address, pods, false)] });
            assert!(wanted(&list, &Routes::new()).is_empty(), "{address} {pods}");
        }
        assert!("10.244.0.0/0".parse::<Ipv4Network>().is_err());
        assert!("0.0.0.0/0".parse::<Ipv4Network>().is_ok());
    }
}
