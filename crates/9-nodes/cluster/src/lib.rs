//! A local Kubernetes cluster: PKI, control plane, network, up and down.
//!
//! ```text
//! ClusterInputs + ClusterSize --(up)--> ClusterPlan, keys, kubeconfigs and manifests in the folder of the Layout
//! ClusterPlan --(supervisor, in namespaces of its own)--> components of the control plane, a bridge, QEMU machines
//! API server --(observe)--> Seen --(stage)--> progress of the start, UpReport
//! Seen, SupervisorReport, consoles, disks --(progress)--> Measure --(stall)--> Stall, at which `up` gives up
//! Order --(control socket)--> supervisor --> OrderResponse: status, nodes one by one, stop
//! list of nodes --(routes)--> commands of `ip`: the API server reaches pods and Services
//! pushes --(host's port)--> registry <--(mirror: every image name)-- pulls of the nodes
//! ```

pub mod api;
mod cable;
mod cluster;
pub mod component;
pub mod control;
mod error;
mod forward;
pub mod kubeconfig;
mod layout;
mod lock;
pub mod manifest;
mod mirror;
mod network;
pub mod node_config;
mod nodes;
mod observe;
pub mod pki;
mod plan;
mod progress;
mod push;
pub mod registry;
mod restart;
mod routes;
mod secret;
mod stage;
mod stall;
pub mod supervisor;
pub mod topology;
mod up;

pub use cluster::{ClusterStatus, LocalCluster, NodeStatus};
pub use control::{MachineCredentials, Variant};
pub use error::ClusterError;
pub use layout::Layout;
pub use network::{Wire, ip_program};
pub use observe::Pod;
pub use plan::{ClusterInputs, ClusterPlan, ClusterSize};
pub use stage::{Stage, StageTime};
pub use up::UpReport;
