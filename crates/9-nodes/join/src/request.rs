//! A join as it was asked for, whatever it was written as: a command line, a JoinConfiguration, bootstrap data.

use std::fmt;

use basalt_node_config::address::Endpoint;
use basalt_node_config::name::HostName;
use basalt_node_config::token::BootstrapToken;

pub use crate::kubelet_flags::KubeletFlags;
use crate::pin::PinSet;
use crate::redaction::redact;

/// A join as a node is asked for it.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinRequest {
    /// Source of the trust in the API server.
    pub discovery: Discovery,
    /// Token that the node asks for its certificate with. It is that of the discovery, unless another one was given; with
    /// a discovery file there may be none: the file may hold credentials.
    pub tls_bootstrap_token: Option<BootstrapToken>,
    /// Registration of the node.
    pub registration: Registration,
}

/// Source of the trust in the API server.
#[derive(Debug, Clone, PartialEq)]
pub enum Discovery {
    /// ConfigMap `cluster-info`, signed by a token and pinned.
    Token(TokenDiscovery),
    /// Kubeconfig.
    File(DiscoveryFile),
}

/// Discovery by token.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenDiscovery {
    /// API server that is asked.
    pub endpoint: Endpoint,
    /// Token whose signature counts.
    pub token: BootstrapToken,
    /// Pins of the cluster's authority: at least one.
    pub pins: PinSet,
}

/// Place of a kubeconfig for discovery.
#[derive(Clone, PartialEq, Eq)]
pub enum DiscoveryFile {
    /// Path on the machine that joins.
    Path(String),
    /// HTTPS URL. It may have a password.
    Url(String),
}

/// Shows no password.
impl fmt::Debug for DiscoveryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Path(text) | Self::Url(text)) = self;
        write!(f, "DiscoveryFile({})", redact(text))
    }
}

/// Registration of a node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registration {
    /// Name of the node, if it is given one.
    pub name: Option<HostName>,
    /// Settings that kubeadm passes to the kubelet: labels, taints, arguments.
    pub kubelet: KubeletFlags,
}

impl Registration {
    /// Name of the node: `--hostname-override` of the kubelet counts before kubeadm's own setting, as for kubeadm.
    pub fn node_name(&self) -> Option<&HostName> {
        self.kubelet.hostname.as_ref().or(self.name.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discovery_files_show_no_password() {
        let file = DiscoveryFile::Url("https://u:hunter22@files.example/d.conf".to_owned());
        assert_eq!(
            format!("{file:?}"),
            "DiscoveryFile(https://**********@files.example/d.conf)"
        );
    }
}
