//! Access to the nodes of a cluster through its API server: no login, no port, nothing but the rights of a kubeconfig.
//!
//! ```text
//! Kubectl (a command with --kubeconfig, --context) --(get node)--> NodeInfo
//! LogQuery ------(kubelet's NodeLogQuery, by the API server's proxy)--> text         else journalctl in a debug pod
//! stats/summary -(kubelet, by the same way)---------------------------> NodeUsage
//! DebugImage --(pod manifest)--> DebugPod --(exec)--> shell, /proc --> ProcessInfo, files --> tar --(archive)--> a folder
//!                                         --(exec)--> systemctl reboot --(RestartWatch: boot id, Ready)--> done
//! bundle::parts() --(each by one of these ways)--> redact --> a .tar.gz with a MANIFEST
//! ```
//!
//! [`NodeAccess`] has an operation for each of these. What is asked and what is made of answers is in pure modules
//! ([`logs`], [`usage`], [`processes`], [`files`], [`restart`], [`bundle`]); [`kubectl`] alone runs a program, and a
//! [`pod::DebugPod`] is deleted when it is dropped, also after Ctrl-C.
//!
//! docs/node/access.md has the same operations as plain kubectl recipes.

pub mod bundle;
mod error;
pub mod files;
pub mod image;
pub mod kubectl;
pub mod logs;
pub mod node;
mod operations;
pub mod pod;
pub mod processes;
pub mod restart;
pub mod usage;

pub use error::AccessError;
pub use operations::{AccessOptions, NodeAccess, RestartOptions};
