//! Requests of a join in their order, over any HTTPS client.

use basalt_node_config::address::Endpoint;
use miette::Diagnostic;
use serde_json::Value;

use crate::access::Credentials;
use crate::authorities::ClusterAuthorities;
use crate::cluster_info::{self, ClusterInfo, DiscoveryError, TrustedCluster};
use crate::config_map::ConfigMapError;
use crate::kubelet_config::{
    ClusterConfiguration, KUBEADM_CONFIG, KUBELET_CONFIG, KubeletConfigError, KubeletSettings,
};
use crate::request::TokenDiscovery;
use crate::skew::{KubernetesVersion, skew};

/// Client that sends GET requests to API servers.
pub trait ApiRequests {
    /// Request that failed, whatever for.
    type Error: From<DiscoveryError> + From<ConfigMapError> + From<KubeletConfigError> + From<UnsupportedSkew>;

    /// Body of a successful answer to a GET request. Without authorities, nobody vouches for the API server.
    ///
    /// # Errors
    /// When there is no answer, or one that says no.
    fn get(
        &self,
        endpoint: &Endpoint,
        authorities: Option<&ClusterAuthorities>,
        credentials: &Credentials,
        path: &str,
    ) -> Result<Vec<u8>, Self::Error>;

    /// Returns `true` for an answer that there is no such object, or that it may not be read (HTTP 403, 404).
    fn is_missing(error: &Self::Error) -> bool;
}

/// Versions of kubelet and control plane that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Diagnostic)]
#[error("this node may not join: {0}")]
#[diagnostic(
    code(join::skew),
    help("https://kubernetes.io/releases/version-skew-policy/ has the policy")
)]
pub struct UnsupportedSkew(pub String);

/// Message of an object of the API: of a Status, or of a condition. Words in its place where there is none.
pub fn message_of(object: &Value) -> &str {
    let message = object.get("message").and_then(Value::as_str);
    message.unwrap_or("no reason is given")
}

/// Message in the body of an answer that says no.
pub fn message_in(body: &[u8]) -> String {
    let object: Value = serde_json::from_slice(body).unwrap_or_default();
    message_of(&object).to_owned()
}

/// Discovery by token, in the way of kubeadm: the first answer over a connection that nobody vouches for, the second one
/// over a verified one.
///
/// # Errors
/// When the API server does not answer or cannot be trusted.
pub fn discover<A: ApiRequests>(api: &A, discovery: &TokenDiscovery) -> Result<TrustedCluster, A::Error> {
    let ask = |authorities| api.get(&discovery.endpoint, authorities, &Credentials::None, cluster_info::PATH);
    let first = ClusterInfo::read(&ask(None)?)?;
    let cluster = first.verify(&discovery.token, &discovery.pins)?;
    let second = ClusterInfo::read(&ask(Some(&cluster.authorities))?)?;
    first.confirm(&second)?;
    Ok(cluster)
}

/// Checks the version of a control plane against the skew policy, and returns it. One that cannot be read passes as `None`:
/// vendors have schemes of their own.
///
/// # Errors
/// When the API server does not answer, or the policy forbids the join.
pub fn check_skew<A: ApiRequests>(
    api: &A,
    cluster: &TrustedCluster,
    credentials: &Credentials,
    kubelet: KubernetesVersion,
) -> Result<Option<KubernetesVersion>, A::Error> {
    let answer = api.get(&cluster.endpoint, Some(&cluster.authorities), credentials, "/version")?;
    let version = serde_json::from_slice::<Value>(&answer).unwrap_or_default();
    let version = version.get("gitVersion").and_then(Value::as_str).unwrap_or_default();
    let Ok(version) = version.parse() else { return Ok(None) };
    let verdict = skew(kubelet, version);
    match verdict.is_supported() {
        true => Ok(Some(version)),
        false => Err(UnsupportedSkew(verdict.sentence(kubelet, version)).into()),
    }
}

/// Settings of a cluster's kubelets for one of a version. A cluster without `kubeadm-config` has kubeadm's defaults where
/// its kubelet-config sets nothing.
///
/// # Errors
/// When the API server does not answer, or has no configuration of kubelets for whoever asks.
pub fn settings<A: ApiRequests>(
    api: &A,
    cluster: &TrustedCluster,
    credentials: &Credentials,
    kubelet: KubernetesVersion,
) -> Result<KubeletSettings, A::Error> {
    let ask = |path| api.get(&cluster.endpoint, Some(&cluster.authorities), credentials, path);
    let configuration = match ask(KUBEADM_CONFIG) {
        Ok(answer) => ClusterConfiguration::read(&answer)?,
        Err(error) if A::is_missing(&error) => ClusterConfiguration::default(),
        Err(error) => return Err(error),
    };
    Ok(KubeletSettings::read(&ask(KUBELET_CONFIG)?, &configuration, kubelet)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_without_a_message_have_words() {
        assert_eq!(message_in(br#"{ "kind": "Status", "message": "no" }"#), "no");
        for body in ["", "<html>", "[]", r#"{ "message": 1 }"#] {
            assert_eq!(message_in(body.as_bytes()), "no reason is given", "{body}");
        }
    }
}
