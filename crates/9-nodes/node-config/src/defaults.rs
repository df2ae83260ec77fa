//! Values that hold where a NodeConfig gives none, and names by which a node finds its NodeConfig.

use std::net::Ipv4Addr;

/// DNS domain of Services.
pub const DOMAIN: &str = "cluster.local";

/// Address of the cluster's name service.
pub const NAME_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

/// Port of the API server.
pub const API_PORT: u16 = 6443;

/// Registry of the images that are part of a node's image; each node has its own, on loopback.
pub const IMAGES_HOST: &str = "basalt.local";

/// systemd credential with a NodeConfig.
pub const CREDENTIAL: &str = "basalt.node";

/// Label of the file system of a config disk.
pub const DISK_LABEL: &str = "BASALT-CFG";

/// File with the NodeConfig on a config disk.
pub const DISK_FILE: &str = "node.yaml";
