//! The agent inside an image: from a NodeConfig to a node of a Kubernetes cluster.
//!
//! It runs once at boot, before the network and before containerd, and is gone: it finds the NodeConfig ([`source`]),
//! checks it ([`basalt_node_config`]), decides what containerd, the kubelet and networkd have to be told
//! ([`plan`], a pure function) and writes that down ([`apply`]). Everything it writes is in `/run`: a machine that is
//! started with another NodeConfig has nothing left of the one before, and the bootstrap token never reaches a disk.
//!
//! The rest are small jobs that units of the image hand to the same program: [`join`] and [`serving`] right before the
//! kubelet starts, [`images`] for the images that are baked into the root, [`health`] for whoever asks how the node is
//! doing, [`screen`] for whoever looks at the console, [`reset`] for a state partition that shall be made anew.

pub mod apply;
pub mod facts;
pub mod health;
pub mod images;
pub mod join;
pub mod paths;
pub mod plan;
pub mod reset;
pub mod screen;
pub mod serving;
pub mod source;
