//! Joining of Kubernetes clusters that kubeadm or Cluster API made.
//!
//! ```text
//! kubeadm join ...  --command_line--▶ JoinCommand ─┐
//! JoinConfiguration --configuration-▶ ─────────────┼─▶ JoinRequest: endpoint, tokens, pins, registration
//! #cloud-config     --cloud_config--▶ BootstrapData┘        │
//!                                                           ▼
//! ConfigMap cluster-info --cluster_info, jws, pin--▶ TrustedCluster: API server, its authorities
//! ConfigMap kubelet-config --kubelet_config-▶ KubeletSettings: merged as kubeadm does, without fields that are too new
//! versions --skew--▶ VersionSkew                            │
//!                                                           ▼
//!                                        conversion ─▶ NodeConfig ─check─▶ findings, by origins at the lines that were read
//! ```
//!
//! [`state`] is the state machine of a join, for the agent. All of it is pure: [`exchange`] has the order of the requests, over
//! a client that the agent gives it, or `client` with the feature `command`. Nothing that is read is ever executed: commands in bootstrap data are recognised or refused, with their
//! lines. Tokens are in no error message and in no `Debug` output.

pub mod access;
#[cfg(feature = "command")]
pub mod administrator;
pub mod authorities;
#[cfg(feature = "tls")]
pub mod certificate_defect;
#[cfg(feature = "command")]
pub mod client;
#[cfg(feature = "command")]
pub mod client_certificate;
pub mod cloud_config;
pub mod cluster_info;
pub mod command_line;
pub mod config_map;
pub mod configuration;
#[cfg(feature = "command")]
pub mod connection_defect;
pub mod conversion;
#[cfg(feature = "command")]
pub mod endpoint_origin;
pub mod exchange;
pub mod existing_node;
mod findings;
pub mod jws;
pub mod kubelet_config;
mod kubelet_flags;
pub mod origins;
pub mod pin;
pub mod redaction;
pub mod request;
pub mod skew;
pub mod state;
pub mod token_secret;

/// Version of the kubelet in images that are no variants with an older one (package `kubernetes`).
pub const KUBELET: &str = "1.37.2";

#[cfg(test)]
mod tests {
    #[test]
    fn the_kubelet_is_that_of_the_package() {
        let spec = include_str!("../../../../distro/packages/kubernetes/kubernetes.spec");
        let version = spec.lines().find_map(|line| line.strip_prefix("Version:"));
        assert_eq!(version.map(str::trim), Some(super::KUBELET));
    }
}
