//! Plan of a join that asks the cluster for more than a certificate: its authorities, the configuration of its kubelets.
//!
//! `basalt-node apply` writes it to `/run`, before there is a network; `basalt-node join` carries it out ([`crate::joining`]),
//! and what it finds becomes files here, as `kubeadm join` would leave them.

use std::fmt;
use std::path::Path;

use basalt_join::access::Credentials;
use basalt_join::kubelet_config::{FittedSettings, KubeletSettings, NodeLayers};
use basalt_join::pin::PinSet;
use basalt_node_config::{ApiServerTrust, KubeletConfigSource, raw};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::apply::below;
use crate::join_record::JoinRecord;
use crate::paths;
use crate::plan::PlannedFile;
use crate::plan::kubelet::{kubeconfig, of_cluster, pretty};

/// Plan of a join.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinPlan {
    /// Name of the node.
    pub hostname: String,
    /// URL of the API server that is asked.
    pub endpoint: String,
    /// Token that the node asks for its certificate with.
    pub token: String,
    /// Source of the trust in the API server.
    pub trust: PlannedTrust,
    /// Base of the kubelet's configuration.
    pub kubelet_config: KubeletConfigSource,
    /// The kubelet's configuration where the cluster's is not its base.
    pub configuration: Value,
    /// The same in layers, for where it is.
    pub layers: NodeLayers,
    /// Settings of the NodeConfig as they were written, for contradictions.
    pub written: raw::Kubelet,
    /// Arguments of the kubelet.
    pub arguments: Vec<String>,
    /// The NodeConfig leaves the family of the node's addresses to the cluster.
    pub family_is_found: bool,
}

/// Files and warnings that follow from what a join found.
#[derive(Debug)]
pub struct JoinOutcome {
    /// Files of the kubelet in `/run`, then those that `kubeadm join` leaves.
    pub files: Vec<PlannedFile>,
    /// Warnings about the cluster's configuration of kubelets.
    pub warnings: Vec<String>,
}

/// Source of the trust in an API server.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PlannedTrust {
    /// Certificate authorities in PEM.
    Authorities(String),
    /// Discovery by a token.
    Pins {
        /// Pins: `sha256:...`.
        pins: Vec<String>,
        /// Token whose signature counts.
        token: String,
    },
}

/// Shows no token.
impl fmt::Debug for JoinPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinPlan")
            .field("hostname", &self.hostname)
            .field("endpoint", &self.endpoint)
            .field("token", &self.token_id())
            .field("kubelet_config", &self.kubelet_config)
            .finish_non_exhaustive()
    }
}

/// Shows no token.
impl fmt::Debug for PlannedTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authorities(_) => f.write_str("Authorities(…)"),
            Self::Pins { pins, .. } => f.debug_struct("Pins").field("pins", pins).finish_non_exhaustive(),
        }
    }
}

impl PlannedTrust {
    /// The trust that a NodeConfig asks for.
    pub fn of(trust: &ApiServerTrust) -> Self {
        match trust {
            ApiServerTrust::Authorities(authorities) => Self::Authorities(authorities.pem().to_owned()),
            ApiServerTrust::Pins { pins, token } => Self::Pins {
                pins: pins.iter().map(ToString::to_string).collect(),
                token: token.reveal(),
            },
        }
    }
}

/// Pins as they were planned: the NodeConfig's check has read each.
pub(crate) fn pin_set(pins: &[String]) -> PinSet {
    PinSet::new(pins.iter().filter_map(|pin| pin.parse().ok()).collect())
}

impl JoinPlan {
    /// The plan of this boot, if its join has one.
    pub fn read(root: &Path) -> Option<Self> {
        serde_json::from_slice(&fs_err::read(below(root, paths::JOIN_PLAN)).ok()?).ok()
    }

    /// Public part of the token.
    pub fn token_id(&self) -> &str {
        self.token.split('.').next().unwrap_or_default()
    }

    /// Credentials of a node that has no certificate yet.
    pub fn credentials(&self) -> Credentials {
        Credentials::Token(self.token.clone())
    }

    /// Returns `true` if the cluster is asked for its configuration of kubelets.
    pub fn asks_for_settings(&self) -> bool {
        self.kubelet_config == KubeletConfigSource::FromCluster
    }

    /// Files and warnings that follow from what was found.
    pub fn outcome(&self, record: &JoinRecord) -> JoinOutcome {
        let Some(settings) = record.settings.as_ref().filter(|_| self.asks_for_settings()) else {
            return JoinOutcome {
                files: self.files(record, &self.configuration),
                warnings: Vec::new(),
            };
        };
        let fitted = settings.fitted(&self.layers);
        JoinOutcome {
            files: self.files(record, &fitted.configuration),
            warnings: self.warnings(settings, &fitted),
        }
    }

    /// Files of a kubelet with this configuration: its own in `/run`, then those that `kubeadm join` leaves.
    fn files(&self, record: &JoinRecord, configuration: &Value) -> Vec<PlannedFile> {
        let endpoint = record.server.as_str();
        let mut files = of_cluster(endpoint, &record.authorities, &self.token, configuration);
        let user = json!({
            "client-certificate": paths::CLIENT_CERTIFICATE,
            "client-key": paths::CLIENT_CERTIFICATE,
        });
        let name = format!("system:node:{}", self.hostname);
        // As kubeadm writes it, to the letter: `kubeadm upgrade node` reads it.
        let instance = format!("containerRuntimeEndpoint: \"unix://{}\"\n", paths::CONTAINERD_SOCKET);
        files.extend([
            PlannedFile::public(paths::KUBEADM_CA, &record.authorities),
            PlannedFile::secret(
                paths::KUBEADM_KUBECONFIG,
                pretty(&kubeconfig(endpoint, &record.authorities, &name, &user)),
            ),
            PlannedFile::secret(paths::KUBEADM_CONFIG, pretty(configuration)),
            PlannedFile::public(paths::KUBEADM_INSTANCE_CONFIG, instance),
            PlannedFile::public(paths::KUBEADM_FLAGS, self.flags()),
        ]);
        files
    }

    /// Arguments of the kubelet besides its files, in the form of kubeadm.
    fn flags(&self) -> String {
        let of_files = ["--config=", "--bootstrap-kubeconfig=", "--kubeconfig="];
        let is_of_files = |argument: &&String| of_files.iter().any(|flag| argument.starts_with(flag));
        let arguments: Vec<_> = self
            .arguments
            .iter()
            .filter(|argument| !is_of_files(argument))
            .cloned()
            .collect();
        format!("KUBELET_KUBEADM_ARGS=\"{}\"\n", arguments.join(" "))
    }

    /// Fields of the cluster's configuration that the kubelet does not have or would not start with, those that the node sees
    /// differently, and settings of the node that wait for one of the cluster in vain.
    fn warnings(&self, settings: &KubeletSettings, fitted: &FittedSettings) -> Vec<String> {
        let dropped = settings
            .dropped
            .iter()
            .map(|field| format!("left out of the cluster's kubelet-config, {}: {field}", field.reason()));
        let unfit = fitted.unfit_fields.iter().map(|field| {
            format!("left out of the cluster's kubelet-config, since the kubelet would not start with it on this node: {field}")
        });
        let contradictions = settings.contradictions(&self.written);
        let contradictions = contradictions.iter().map(ToString::to_string);
        let idle = fitted.idle_times.iter().map(|signal| {
            format!(
                "`evictionSoftGracePeriod` of {signal} has no effect: neither the NodeConfig nor the cluster's kubelet-config \
                 has a threshold of `evictionSoft` for it"
            )
        });
        dropped.chain(unfit).chain(contradictions).chain(idle).collect()
    }
}
