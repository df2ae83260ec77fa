//! Requests of a join by the agent's own HTTPS client, and what their failures mean for the join.

use basalt_join::access::Credentials;
use basalt_join::authorities::ClusterAuthorities;
use basalt_join::cluster_info::DiscoveryError;
use basalt_join::config_map::ConfigMapError;
use basalt_join::exchange::{ApiRequests, UnsupportedSkew, message_in};
use basalt_join::kubelet_config::KubeletConfigError;
use basalt_join::state::JoinEvent;
use basalt_node_config::address::Endpoint;

use crate::https::{HttpAnswer, HttpsClient, HttpsError};

/// Client of the cluster's API server.
#[derive(Debug, Clone, Copy)]
pub struct ClusterRequests;

/// Request that failed, or whose answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No answer.
    #[error(transparent)]
    Https(#[from] HttpsError),
    /// An answer that says no.
    #[error("HTTP status {status}: {message}")]
    Status {
        /// HTTP status.
        status: u16,
        /// Message of the API server.
        message: String,
        /// Path of the request.
        path: String,
    },
    /// `cluster-info` that cannot be trusted.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// Another object.
    #[error(transparent)]
    Answer(#[from] ConfigMapError),
    /// Configuration of kubelets that cannot be used.
    #[error(transparent)]
    KubeletConfig(#[from] KubeletConfigError),
    /// Versions that do not go together.
    #[error("{}", .0.0)]
    Skew(#[from] UnsupportedSkew),
    /// A value of the plan that cannot be read: a defect of the agent.
    #[error("{0} of the join's plan cannot be read; please report this")]
    Plan(String),
}

impl ApiRequests for ClusterRequests {
    type Error = RequestError;

    fn get(
        &self,
        endpoint: &Endpoint,
        authorities: Option<&ClusterAuthorities>,
        credentials: &Credentials,
        path: &str,
    ) -> Result<Vec<u8>, RequestError> {
        let client = match authorities {
            None => HttpsClient::unverified()?,
            Some(authorities) => {
                let (certificate, token) = match credentials {
                    Credentials::None => (None, None),
                    Credentials::Token(token) => (None, Some(token.clone())),
                    Credentials::Certificate { certificate, key } => (Some(format!("{certificate}\n{key}")), None),
                };
                let certificate = certificate.as_ref().map(String::as_bytes);
                HttpsClient::new(authorities.pem().as_bytes(), certificate, token)?
            }
        };
        let HttpAnswer { status, body } = client.get(endpoint, path)?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        Err(RequestError::Status {
            status,
            message: message_in(&body),
            path: path.to_owned(),
        })
    }

    fn is_missing(error: &RequestError) -> bool {
        matches!(error, RequestError::Status { status: 403 | 404, .. })
    }
}

/// Words that show no more of an API server's text than a line of the console takes.
pub(crate) fn short(message: &str) -> String {
    const LONGEST: usize = 160;
    let mut shown: String = message.chars().take(LONGEST).collect();
    if shown.len() < message.len() {
        shown.push('…');
    }
    shown
}

impl RequestError {
    /// Meaning for discovery, of the API server at an address.
    pub fn of_discovery(self, endpoint: &str) -> JoinEvent {
        match self {
            Self::Discovery(error) => untrusted(error),
            Self::Answer(error) => JoinEvent::Untrusted(error.to_string()),
            Self::Status {
                status: status @ (401 | 403 | 404),
                message,
                ..
            } => JoinEvent::Unusable(format!(
                "{endpoint} does not show the ConfigMap cluster-info in kube-public (HTTP {status}: {}); on a control-plane \
                 node, `kubeadm init phase bootstrap-token` makes it, or give the NodeConfig `cluster.ca` in place of \
                 `caCertHashes`",
                short(&message)
            )),
            other => other.of_any(endpoint),
        }
    }

    /// Meaning for a question that was asked with a token of this id.
    pub fn of_token(self, id: &str) -> JoinEvent {
        match self {
            Self::Status { status: 401, .. } => JoinEvent::TokenRejected { id: id.to_owned() },
            Self::Status {
                status: status @ (403 | 404),
                message,
                path,
            } => {
                let name = path.rsplit('/').next().unwrap_or_default();
                JoinEvent::Unusable(format!(
                    "the cluster does not show {name} to its new nodes (HTTP {status}: {}); a cluster of kubeadm has it, and for \
                     others give the NodeConfig `cluster.kubeletConfig: fromNodeConfig`",
                    short(&message)
                ))
            }
            Self::KubeletConfig(error) => JoinEvent::Unusable(format!(
                "{error}; look at it with `kubectl -n kube-system get configmap kubelet-config -o yaml`"
            )),
            Self::Answer(error) => JoinEvent::Unusable(error.to_string()),
            other => other.of_any("the API server"),
        }
    }

    fn of_any(self, server: &str) -> JoinEvent {
        match self {
            Self::Https(HttpsError::Untrusted(why) | HttpsError::Unusable(why)) => JoinEvent::Untrusted(why),
            Self::Https(HttpsError::Unreachable(error)) => {
                JoinEvent::Unreachable(format!("{server} does not answer: {error}"))
            }
            Self::Status { status, message, .. } => JoinEvent::Unreachable(format!(
                "{server} answers with HTTP status {status}: {}",
                short(&message)
            )),
            Self::Skew(skew) => JoinEvent::VersionSkew(skew.0),
            other => JoinEvent::Unusable(other.to_string()),
        }
    }
}

/// Meaning of a `cluster-info` that was not believed.
fn untrusted(error: DiscoveryError) -> JoinEvent {
    match error {
        DiscoveryError::Unsigned { id } => JoinEvent::Unsigned { id },
        // The cluster may be changing it at this moment.
        DiscoveryError::Changed => JoinEvent::Unreachable(error.to_string()),
        DiscoveryError::Signature { id, source } => JoinEvent::Untrusted(format!(
            "the signature of cluster-info by the token {id} does not hold ({source}); compare the token with `kubeadm token list`"
        )),
        DiscoveryError::Pin(mismatch) => JoinEvent::Untrusted(format!(
            "{mismatch}; if it is the cluster, take the hash of its authority anew: `kubeadm token create --print-join-command`"
        )),
        DiscoveryError::NoKubeconfig => JoinEvent::Unusable(error.to_string()),
        DiscoveryError::Answer(_) | DiscoveryError::Malformed(_) | DiscoveryError::NoAuthorities => {
            JoinEvent::Untrusted(error.to_string())
        }
    }
}
