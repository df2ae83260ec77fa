//! The agent inside an image: from a NodeConfig to a node of a Kubernetes cluster.
//!
//! It runs once at boot, before the network and before containerd, and is gone: it finds the NodeConfig ([`source`], on
//! devices that [`block`] trusts, and [`azure`]'s; or bootstrap data of Cluster API, [`bootstrap_data`]), checks it ([`basalt_node_config`]), decides what containerd, the kubelet and
//! networkd have to be told ([`plan`], a pure function) and writes that down ([`apply`]). All of that is in `/run`:
//! nothing of an earlier NodeConfig is left in it, and the bootstrap token never reaches a disk.
//!
//! The rest are small jobs that units of the image hand to the same program, in the order of a boot:
//!
//! - [`read_ahead`] reads the largest programs before they start;
//! - [`state`] checks and repairs the file system of `/var` before it is mounted;
//! - in a [`cloud`], and without a NodeConfig on the machine itself, [`metadata`] asks for user data when the network is there, over
//!   [`http`];
//! - right before the kubelet starts, [`join`] finds the cluster where the NodeConfig does not hold all of it ([`join_plan`],
//!   [`joining`] by [`cluster_requests`] over [`https`], [`join_record`]), and settles whose certificate the kubelet has
//!   ([`identity`]); [`bootstrap_files`] writes files of bootstrap data; [`capacity`] leaves out of the kubelet's configuration
//!   what this machine does not have; [`host_paths`]
//!   mounts folders that pods write to, [`address`] finds the addresses that the node registers with and records its [`cards`],
//!   [`serving`] makes the certificate that the kubelet serves with, and [`client_certificate`] requests its first one from
//!   the cluster;
//! - [`follow`] watches the network beside the kubelet;
//! - [`images`] serves the images that are baked into the root;
//! - [`boot`] waits until the boot is good and has a deadline for it ([`readiness`], pure functions), with what
//!   [`health`] sees on the machine and [`api`] hears from the API server;
//! - [`kubelet_version`] asks the kubelet what it is, where settings and the cluster's version depend on that;
//! - [`housekeeping`] collects [`panics`] and bounds what nobody else does.
//! - [`screen`] draws the status screen on the console, and [`reset`] asks for a state partition that is made anew.

pub mod address;
pub mod api;
pub mod apply;
pub mod azure;
pub mod block;
pub mod boot;
pub mod bootstrap_data;
pub mod bootstrap_files;
pub mod capacity;
pub mod cards;
pub mod client_certificate;
pub mod cloud;
pub mod cluster_requests;
pub mod facts;
pub mod follow;
pub mod health;
pub mod host_paths;
pub mod housekeeping;
pub mod http;
pub mod https;
pub mod identity;
pub mod images;
pub mod join;
pub mod join_plan;
pub mod join_record;
pub mod joining;
pub mod kubelet_version;
pub mod machine_id;
pub mod metadata;
pub mod panics;
pub mod paths;
pub mod plan;
pub mod read_ahead;
pub mod readiness;
pub mod reset;
pub mod screen;
pub mod serving;
pub mod size;
pub mod source;
pub mod state;
