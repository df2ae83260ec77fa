//! Addresses and names in the cluster's network, all of it inside the cluster's own network namespace.

use std::net::{Ipv4Addr, SocketAddrV4};

pub use basalt_node_config::defaults::{API_PORT, DOMAIN, NAME_SERVICE as DNS_SERVICE};
use serde::{Deserialize, Serialize};

/// Name of the bridge that connects the nodes.
pub const BRIDGE: &str = "br0";
/// Address of the control plane on the bridge.
pub const CONTROL_PLANE: Ipv4Addr = Ipv4Addr::new(10, 87, 0, 1);
/// Network of the nodes.
pub const NODE_NETWORK: &str = "10.87.0.0/24";
/// Network of the pods.
pub const POD_NETWORK: &str = "10.244.0.0/16";
/// Network of the Services.
pub const SERVICE_NETWORK: &str = "10.96.0.0/16";
/// Address of the API server's Service: always the first of the network.
pub const KUBERNETES_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// Port of the registry.
pub const REGISTRY_PORT: u16 = 5000;
/// Address of the registry inside the namespace. Nodes do not reach it: theirs is the mirror, at [`CONTROL_PLANE`].
pub const REGISTRY_LISTEN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, REGISTRY_PORT);
/// Host and port of the registry in image names.
pub const REGISTRY: &str = "registry.basalt.local:5000";
/// Greatest number of nodes.
pub const MOST_NODES: u8 = 100;
/// Greatest number of nodes that a cluster is started with; more may join it later.
pub const MOST_FIRST_NODES: u8 = 16;

/// Number of a node, from 1; its name and addresses follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeNumber(u8);

impl NodeNumber {
    /// Numbers of the nodes of a cluster with so many of them.
    pub fn first(count: u8) -> impl Iterator<Item = Self> {
        (1..=count).map(Self)
    }

    /// Number of the node with a name; `None` when no node of a cluster has it.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::first(MOST_NODES).find(|node| node.name() == name)
    }

    /// Name of the node.
    pub fn name(self) -> String {
        format!("node-{}", self.0)
    }

    /// Address of the node on the bridge.
    pub fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 87, 0, 10 + self.0)
    }

    /// Name of the node's port on the bridge.
    pub fn port(self) -> String {
        format!("port{}", self.0)
    }

    /// Name of the card at the other end of that port, where QEMU does not open the port itself.
    pub fn card(self) -> String {
        format!("card{}", self.0)
    }

    /// MAC address of the node's network card.
    pub fn mac(self) -> String {
        basalt_machine::mac_address(&self.name(), 0)
    }
}

/// URL of the API server for nodes.
pub fn endpoint() -> String {
    format!("https://{CONTROL_PLANE}:{API_PORT}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_follow_from_their_numbers() {
        let nodes: Vec<_> = NodeNumber::first(2)
            .map(|node| (node.name(), node.address().to_string(), node.port()))
            .collect();
        assert_eq!(
            nodes,
            [
                ("node-1".into(), "10.87.0.11".into(), "port1".into()),
                ("node-2".into(), "10.87.0.12".into(), "port2".into())
            ]
        );
    }

    #[test]
    fn names_lead_back_to_numbers() {
        for node in NodeNumber::first(MOST_NODES) {
            assert_eq!(NodeNumber::of_name(&node.name()), Some(node));
        }
        for name in [
            "node-0", "node-101", "node-01", "node-+1", "node-", "node-1 ", "web", "",
        ] {
            assert_eq!(NodeNumber::of_name(name), None, "{name}");
        }
    }

    #[test]
    fn the_last_node_fits() {
        let last = NodeNumber::first(MOST_NODES).last().expect("there are some");
        assert_eq!(last.address(), Ipv4Addr::new(10, 87, 0, 110));
    }
}
