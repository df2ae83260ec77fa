//! Discovery by token: from the ConfigMap `cluster-info` in `kube-public`, which anybody may read, to an API server that
//! can be trusted.
//!
//! The way is kubeadm's: read the ConfigMap over a connection that nobody vouches for, check its signature by the token,
//! compare the authorities in it with the pins, then read it again over a connection that these authorities vouch for,
//! and compare both.

use std::collections::BTreeMap;

use basalt_document::problem::Problems;
use basalt_node_config::address::Endpoint;
use basalt_node_config::token::BootstrapToken;
use miette::Diagnostic;

use crate::access::{self, ClusterAccess};
use crate::authorities::ClusterAuthorities;
use crate::config_map::{self, ConfigMapError};
use crate::jws::{self, SignatureError};
use crate::pin::{PinMismatch, PinSet};

/// Path of the ConfigMap in the API.
pub const PATH: &str = "/api/v1/namespaces/kube-public/configmaps/cluster-info";

/// Prefix of the keys that hold signatures; the id of a token follows.
const SIGNATURE_PREFIX: &str = "jws-kubeconfig-";

/// Content of the ConfigMap `cluster-info`, not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterInfo {
    data: BTreeMap<String, String>,
}

/// A cluster whose authorities can be trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct TrustedCluster {
    /// API server that the cluster names for its nodes.
    pub endpoint: Endpoint,
    /// Authorities of its API servers.
    pub authorities: ClusterAuthorities,
    /// Subjects of authorities whose keys are not pinned: only the token's signature speaks for them.
    pub unpinned: Vec<String>,
}

/// Discovery that failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum DiscoveryError {
    /// An answer that is no ConfigMap.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Answer(#[from] ConfigMapError),
    /// No kubeconfig in the ConfigMap.
    #[error("the ConfigMap `cluster-info` has no `kubeconfig`: this cluster takes no nodes by token")]
    #[diagnostic(
        code(join::discovery::kubeconfig),
        help("make it on a control-plane node: `kubeadm init phase bootstrap-token`; or use a discovery file")
    )]
    NoKubeconfig,
    /// No signature by the token.
    #[error(
        "the ConfigMap `cluster-info` is not signed by the token `{id}`: it has expired, or this cluster has never had it"
    )]
    #[diagnostic(
        code(join::discovery::unsigned),
        help("make a new one on a control-plane node: `kubeadm token create --print-join-command`")
    )]
    Unsigned {
        /// Id of the token.
        id: String,
    },
    /// A signature that does not hold.
    #[error("the API server cannot be trusted: the signature of `cluster-info` by the token `{id}` does not hold")]
    #[diagnostic(
        code(join::discovery::signature),
        help(
            "compare the token with `kubeadm token list`; if it is right, something between here and the API server answers in its place"
        )
    )]
    Signature {
        /// Id of the token.
        id: String,
        /// Defect.
        source: SignatureError,
    },
    /// A kubeconfig that cannot be used.
    #[error("the kubeconfig in the ConfigMap `cluster-info` cannot be used")]
    #[diagnostic(code(join::discovery::malformed))]
    Malformed(#[related] Vec<Problems>),
    /// No authorities in the kubeconfig.
    #[error("the kubeconfig in the ConfigMap `cluster-info` has no `certificate-authority-data`")]
    #[diagnostic(
        code(join::discovery::authorities),
        help(
            "API servers behind a publicly trusted certificate are joined with a discovery file that holds that authority"
        )
    )]
    NoAuthorities,
    /// Authorities without a pinned key.
    #[error("the API server cannot be trusted")]
    #[diagnostic(
        code(join::discovery::pin),
        help(
            "if the cluster has a new authority, take its hash from a control-plane node: `kubeadm token create --print-join-command`"
        )
    )]
    Pin(#[from] PinMismatch),
    /// Two different answers.
    #[error("`cluster-info` was another one over a verified connection than over the first")]
    #[diagnostic(
        code(join::discovery::changed),
        help(
            "if the cluster is being changed, try again; otherwise something between here and the API server answers in its place"
        )
    )]
    Changed,
}

impl ClusterInfo {
    /// Reads the API server's answer.
    ///
    /// # Errors
    /// When it is no ConfigMap, or one without a kubeconfig.
    pub fn read(answer: &[u8]) -> Result<Self, DiscoveryError> {
        let data = config_map::data("cluster-info", answer)?;
        if data.get("kubeconfig").is_none_or(String::is_empty) {
            return Err(DiscoveryError::NoKubeconfig);
        }
        Ok(Self { data })
    }

    fn kubeconfig(&self) -> &str {
        self.data.get("kubeconfig").map(String::as_str).unwrap_or_default()
    }

    /// API server and authorities that the kubeconfig names. They are to be trusted where a verified connection brought them.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub fn access(&self) -> Result<ClusterAccess, DiscoveryError> {
        let read = access::read("kubeconfig of cluster-info", self.kubeconfig());
        read.map(|(access, _)| access)
            .map_err(|problems| DiscoveryError::Malformed(vec![problems]))
    }

    /// Checks the signature of the token and the pins. The result is to be trusted once [`ClusterInfo::confirm`] has
    /// compared it with what a connection says that its authorities vouch for.
    ///
    /// # Errors
    /// When the signature does not hold, no authority is pinned, or the kubeconfig cannot be used.
    pub fn verify(&self, token: &BootstrapToken, pins: &PinSet) -> Result<TrustedCluster, DiscoveryError> {
        let id = || token.id().to_owned();
        let signature = self.data.get(&format!("{SIGNATURE_PREFIX}{}", token.id()));
        let Some(signature) = signature.filter(|signature| !signature.is_empty()) else {
            return Err(DiscoveryError::Unsigned { id: id() });
        };
        jws::verify(signature, self.kubeconfig(), token)
            .map_err(|source| DiscoveryError::Signature { id: id(), source })?;
        let ClusterAccess {
            endpoint, authorities, ..
        } = self.access()?;
        let authorities = authorities.ok_or(DiscoveryError::NoAuthorities)?;
        let unpinned = pins.check(&authorities)?;
        Ok(TrustedCluster {
            endpoint,
            authorities,
            unpinned,
        })
    }

    /// Compares with the ConfigMap as read over a connection that its authorities vouch for.
    ///
    /// # Errors
    /// When the kubeconfigs differ.
    pub fn confirm(&self, second: &Self) -> Result<(), DiscoveryError> {
        if self.kubeconfig() == second.kubeconfig() {
            Ok(())
        } else {
            Err(DiscoveryError::Changed)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const KUBECONFIG: &str = include_str!("../tests/vectors/cluster-info.yaml");
    const SIGNATURE: &str = include_str!("../tests/vectors/cluster-info.jws");
    const PIN: &str = include_str!("../tests/vectors/ca.pin");

    fn token() -> BootstrapToken {
        "abcdef.0123456789abcdef".parse().unwrap()
    }

    fn pins(digits: &str) -> PinSet {
        PinSet::new(vec![format!("sha256:{}", digits.trim()).parse().unwrap()])
    }

    fn answer(data: Value) -> Vec<u8> {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": data })
            .to_string()
            .into_bytes()
    }

    fn signed() -> ClusterInfo {
        let data = json!({ "kubeconfig": KUBECONFIG, "jws-kubeconfig-abcdef": SIGNATURE.trim() });
        ClusterInfo::read(&answer(data)).unwrap()
    }

    #[test]
    fn a_signed_and_pinned_cluster_is_trusted() {
        let cluster = signed().verify(&token(), &pins(PIN)).unwrap();
        assert_eq!(cluster.endpoint.to_string(), "https://192.0.2.10:6443");
        assert!(cluster.unpinned.is_empty());
        signed().confirm(&signed()).unwrap();
    }

    #[test]
    fn wrong_pins_name_what_was_found() {
        let error = signed().verify(&token(), &pins(&"0".repeat(64))).unwrap_err();
        let DiscoveryError::Pin(mismatch) = &error else {
            panic!("{error:?}")
        };
        assert!(mismatch.to_string().contains(PIN.trim()), "{mismatch}");
        assert!(matches!(
            signed().verify(&token(), &PinSet::default()),
            Err(DiscoveryError::Pin(_))
        ));
    }

    #[test]
    fn missing_and_wrong_signatures_are_told_apart() {
        let unsigned = ClusterInfo::read(&answer(json!({ "kubeconfig": KUBECONFIG }))).unwrap();
        assert!(matches!(
            unsigned.verify(&token(), &pins(PIN)),
            Err(DiscoveryError::Unsigned { id }) if id == "abcdef"
        ));
        let other = json!({
            "kubeconfig": KUBECONFIG.replace("192.0.2.10", "192.0.2.66"),
            "jws-kubeconfig-abcdef": SIGNATURE.trim(),
        });
        let other = ClusterInfo::read(&answer(other)).unwrap();
        assert!(matches!(
            other.verify(&token(), &pins(PIN)),
            Err(DiscoveryError::Signature {
                source: SignatureError::Mismatch,
                ..
            })
        ));
        assert!(matches!(signed().confirm(&other), Err(DiscoveryError::Changed)));
    }

    #[test]
    fn answers_that_are_no_cluster_info() {
        for (bytes, expected) in [
            (b"<html>".to_vec(), "no ConfigMap"),
            (
                json!({ "kind": "Status", "code": 403 }).to_string().into_bytes(),
                "Status",
            ),
            (answer(json!({})), "no `kubeconfig`"),
            (answer(json!({ "kubeconfig": "" })), "no `kubeconfig`"),
        ] {
            let error = ClusterInfo::read(&bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in any::<Vec<u8>>(), kubeconfig in any::<String>()) {
            let _ = ClusterInfo::read(&bytes);
            if let Ok(info) = ClusterInfo::read(&answer(json!({ "kubeconfig": kubeconfig, "jws-kubeconfig-abcdef": "a..b" }))) {
                prop_assert!(info.verify(&token(), &pins(PIN)).is_err());
            }
        }
    }
}
