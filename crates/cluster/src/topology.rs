//! Who has which address. All of it lies inside the cluster's own network namespace.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// The bridge that the nodes are plugged into.
pub const BRIDGE: &str = "br0";
/// The side of the bridge where the control plane is.
pub const CONTROL_PLANE: Ipv4Addr = Ipv4Addr::new(10, 87, 0, 1);
/// The network of the nodes.
pub const NODE_NETWORK: &str = "10.87.0.0/24";
/// The network of the pods.
pub const POD_NETWORK: &str = "10.244.0.0/16";
/// The network of the Services.
pub const SERVICE_NETWORK: &str = "10.96.0.0/16";
/// The Service in front of the API server: always the first address of the network.
pub const KUBERNETES_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// The Service in front of the name service.
pub const DNS_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// The domain of Services.
pub const DOMAIN: &str = "cluster.local";
/// The port of the API server.
pub const API_PORT: u16 = 6443;
/// The port of the registry.
pub const REGISTRY_PORT: u16 = 5000;
/// What image names call the registry.
pub const REGISTRY: &str = "registry.basalt.local:5000";
/// How many nodes fit.
pub const MOST_NODES: u8 = 100;

/// One node: everything about it follows from its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeNumber(u8);

impl NodeNumber {
    /// The nodes of a cluster with so many of them.
    pub fn first(count: u8) -> impl Iterator<Item = Self> {
        (1..=count).map(Self)
    }

    /// The node's name.
    pub fn name(self) -> String {
        format!("node-{}", self.0)
    }

    /// The node's address on the bridge.
    pub fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 87, 0, 10 + self.0)
    }

    /// The port of the bridge that it is plugged into.
    pub fn port(self) -> String {
        format!("port{}", self.0)
    }

    /// The card at the other end of that port, where the port is not one that QEMU opens itself.
    pub fn card(self) -> String {
        format!("card{}", self.0)
    }

    /// The hardware address of its network card.
    pub fn mac(self) -> String {
        basalt_machine::mac_address(&self.name(), 0)
    }
}

/// The address of the API server as nodes and the control plane itself know it.
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
    fn the_last_node_fits() {
        let last = NodeNumber::first(MOST_NODES).last().expect("there are some");
        assert_eq!(last.address(), Ipv4Addr::new(10, 87, 0, 110));
    }
}
