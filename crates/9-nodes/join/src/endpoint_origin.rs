//! Addresses of API servers that no node reaches, told by where they come from.

use std::fmt;

use basalt_node_config::address::Endpoint;
use miette::Diagnostic;

/// Source of the address that a node is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointOrigin {
    /// Flags of a join command.
    Command,
    /// ConfigMap `cluster-info`.
    ClusterInfo,
    /// Kubeconfig of an administrator, where there is no `cluster-info`.
    Kubeconfig,
    /// Discovery file.
    DiscoveryFile,
    /// The option `--endpoint`.
    Option,
}

/// Address that no other machine reaches.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Diagnostic)]
#[error("no node reaches the API server at {endpoint}, the address {origin}: {reason}")]
#[diagnostic(code(join::endpoint), help("{help}"))]
pub struct UnreachableEndpoint {
    /// The address.
    pub endpoint: Endpoint,
    /// Source of the address.
    pub origin: EndpointOrigin,
    /// Reason in words.
    pub reason: &'static str,
    /// Remedy.
    pub help: &'static str,
}

impl fmt::Display for EndpointOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command => "in the join command",
            Self::ClusterInfo => "in the cluster's ConfigMap `cluster-info`",
            Self::Kubeconfig => "in the kubeconfig",
            Self::DiscoveryFile => "in the discovery file",
            Self::Option => "of `--endpoint`",
        })
    }
}

impl EndpointOrigin {
    fn help(self) -> &'static str {
        match self {
            Self::Command => {
                "write the address under which other machines reach the API server; on a control-plane node, `kubeadm token create \
                 --print-join-command` shows it"
            }
            Self::ClusterInfo => {
                "nodes join by this address: correct it with `kubectl -n kube-public edit configmap cluster-info`; with `--kubeconfig`, \
                 `--endpoint https://HOST:6443` names another one"
            }
            Self::Kubeconfig => {
                "for a tunnel or a forwarded port, name the address that nodes use: `--endpoint https://HOST:6443`"
            }
            Self::DiscoveryFile => "write the address that nodes use as `server` of the file",
            Self::Option => "name the address under which other machines reach the API server",
        }
    }

    /// Checks that other machines can reach an address of this source.
    ///
    /// # Errors
    /// When it is one of each machine itself, or of no machine.
    pub fn check(self, endpoint: &Endpoint) -> Result<(), UnreachableEndpoint> {
        match endpoint.unreachable() {
            None => Ok(()),
            Some(reason) => Err(UnreachableEndpoint {
                endpoint: endpoint.clone(),
                origin: self,
                reason,
                help: self.help(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_each_machine_itself_is_told_with_its_source() {
        let tunnel: Endpoint = "https://127.0.0.1:6443".parse().unwrap();
        for (origin, words, help) in [
            (EndpointOrigin::Command, "join command", "--print-join-command"),
            (EndpointOrigin::ClusterInfo, "`cluster-info`", "kube-public"),
            (EndpointOrigin::Kubeconfig, "kubeconfig", "--endpoint"),
            (EndpointOrigin::DiscoveryFile, "discovery file", "`server`"),
            (EndpointOrigin::Option, "`--endpoint`", "other machines"),
        ] {
            let error = origin.check(&tunnel).unwrap_err();
            let said = error.to_string();
            assert!(
                said.contains("https://127.0.0.1:6443") && said.contains(words),
                "{said}"
            );
            assert!(error.help.contains(help), "{error:?}");
            assert_eq!(origin.check(&"https://10.0.0.1:6443".parse().unwrap()), Ok(()));
        }
    }
}
