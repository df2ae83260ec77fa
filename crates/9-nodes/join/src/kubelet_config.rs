//! Configuration that a node takes from its cluster: the ConfigMaps `kubelet-config` and `kubeadm-config`.
//!
//! In the order of kubeadm: the cluster's KubeletConfiguration; kubeadm's defaults where it sets nothing; then what is of
//! the node alone. Of what is of the node alone, the NodeConfig counts, and contradictions are told.

use basalt_document::problem::Problems;
use basalt_document::{Document, Finding, Path};
use basalt_node_config::KubeletMinor;
use basalt_node_config::raw::Kubelet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::config_map::{self, ConfigMapError};
use crate::kubelet_flags::RUNTIME_ENDPOINT;
use crate::skew::KubernetesVersion;

mod fields;
mod fit;
mod gates;
mod layers;
mod merge;
mod node;

pub use fields::DroppedField;
pub use fit::UnfitField;
pub use layers::NodeLayers;
pub use merge::{overlay, without_zeros};
pub use node::Contradiction;
pub(crate) use node::value_of_image;

/// Path of the ConfigMap with the kubelets' configuration.
pub const KUBELET_CONFIG: &str = "/api/v1/namespaces/kube-system/configmaps/kubelet-config";
/// Path of the ConfigMap with the cluster's configuration.
pub const KUBEADM_CONFIG: &str = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config";

const API_VERSION: &str = "kubelet.config.k8s.io/v1beta1";

/// Parts of kubeadm's ClusterConfiguration that a node needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterConfiguration {
    /// Version of the control plane that kubeadm installed.
    pub kubernetes_version: Option<KubernetesVersion>,
    /// Subnets of Services, with a comma between two families.
    pub service_subnet: Option<String>,
    /// Domain of Services.
    pub dns_domain: Option<String>,
    /// Folder of certificates on nodes.
    pub certificates_dir: Option<String>,
}

impl ClusterConfiguration {
    /// Reads the API server's answer about `kubeadm-config`. Fields that are missing or of another type are left out.
    ///
    /// # Errors
    /// When it is another object.
    pub fn read(answer: &[u8]) -> Result<Self, ConfigMapError> {
        let data = config_map::data("kubeadm-config", answer)?;
        let text = data.get("ClusterConfiguration").map(String::as_str).unwrap_or_default();
        let Ok(document) = Document::parse("ClusterConfiguration", text) else {
            let reason = "`ClusterConfiguration` is not YAML".to_owned();
            return Err(ConfigMapError {
                name: "kubeadm-config",
                reason,
            });
        };
        let value = document.root().to_json();
        let text = |pointer: &str| {
            let text = value.pointer(pointer).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        Ok(Self {
            kubernetes_version: text("/kubernetesVersion").and_then(|version| version.parse().ok()),
            service_subnet: text("/networking/serviceSubnet"),
            dns_domain: text("/networking/dnsDomain"),
            certificates_dir: text("/certificatesDir"),
        })
    }
}

/// Configuration of the kubelets of a cluster, for one of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KubeletSettings {
    configuration: Map<String, Value>,
    /// Fields and feature gates that were dropped, since the kubelet does not have them, or not with these values.
    pub dropped: Vec<DroppedField>,
    /// Minor of the kubelet; records of earlier agents have none.
    #[serde(default)]
    minor: Option<u32>,
}

impl KubeletSettings {
    /// Reads the API server's answer about `kubelet-config`, for a kubelet of a version.
    ///
    /// # Errors
    /// When the answer is another object, or its configuration is none of a kubelet.
    pub fn read(
        answer: &[u8],
        cluster: &ClusterConfiguration,
        kubelet: KubernetesVersion,
    ) -> Result<Self, KubeletConfigError> {
        let data = config_map::data("kubelet-config", answer)?;
        let text = data.get("kubelet").map(String::as_str).unwrap_or_default();
        Self::parse(text, cluster, kubelet).map_err(|problems| KubeletConfigError::Malformed(vec![problems]))
    }

    /// Reads the text of a KubeletConfiguration.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: &str, cluster: &ClusterConfiguration, kubelet: KubernetesVersion) -> Result<Self, Problems> {
        let document = Document::parse("kubelet-config", text)?;
        let value = document.root().to_json();
        let of = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        if (of("apiVersion"), of("kind")) != (API_VERSION, "KubeletConfiguration") {
            let message = format!(
                "this is `{}` of `{}`, not KubeletConfiguration",
                of("kind"),
                of("apiVersion")
            );
            let help = format!("the ConfigMap kubelet-config has to hold KubeletConfiguration of {API_VERSION}");
            let finding = Finding::error(message, "another kind").with_help(help);
            return Err(document.problems(vec![document.at(&Path::from("kind"), finding)]));
        }
        let Value::Object(mut configuration) = value else {
            return Err(document.problems(Vec::new()));
        };
        let mut dropped = fields::drop_unknown(&mut configuration, kubelet);
        dropped.extend(gates::drop_refused(&mut configuration, kubelet));
        merge::kubeadm_defaults(&mut configuration, cluster);
        Ok(Self {
            configuration,
            dropped,
            minor: Some(kubelet.minor),
        })
    }

    /// The configuration as `kubeadm join` writes it to /var/lib/kubelet/config.yaml: with the container runtime of the
    /// node, which kubeadm takes from its file instance-config.yaml.
    pub fn as_kubeadm_writes(&self) -> Value {
        let mut configuration = self.configuration.clone();
        if let Value::Object(instance) = json!({ "containerRuntimeEndpoint": RUNTIME_ENDPOINT }) {
            overlay(&mut configuration, &instance);
        }
        Value::Object(configuration)
    }

    /// The settings with the layers of a node around them.
    pub fn fitted(&self, layers: &NodeLayers) -> FittedSettings {
        let (fitting, unfit_fields) = fit::fit(&self.configuration, layers, self.minor());
        let configuration = Value::Object(layers.around(&fitting));
        FittedSettings {
            idle_times: layers.idle_times(&configuration),
            configuration,
            unfit_fields,
        }
    }

    fn minor(&self) -> KubeletMinor {
        self.minor.map_or(KubeletMinor::NEWEST, KubeletMinor::nearest)
    }

    /// Addresses of the cluster's name service.
    pub fn cluster_dns(&self) -> Vec<String> {
        let addresses = self.configuration.get("clusterDNS").and_then(Value::as_array);
        let addresses = addresses.into_iter().flatten().filter_map(Value::as_str);
        addresses.map(str::to_owned).collect()
    }

    /// Domain of Services.
    pub fn cluster_domain(&self) -> Option<&str> {
        self.configuration.get("clusterDomain").and_then(Value::as_str)
    }

    /// Settings of a node that the cluster contradicts: by the image, or by its own NodeConfig. The node's count.
    pub fn contradictions(&self, node: &Kubelet) -> Vec<Contradiction> {
        node::contradictions(&self.configuration, node)
    }
}

/// Settings of a cluster that go with a node.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedSettings {
    /// Configuration with the layers of the node around it: what its kubelet is told. Fields with which it would not start
    /// beside those of the node are not in it.
    pub configuration: Value,
    /// Fields that are left out of `configuration`, with which the kubelet would not start.
    pub unfit_fields: Vec<UnfitField>,
    /// Times of soft evictions of the NodeConfig for which neither it nor the cluster has a threshold, by signal.
    pub idle_times: Vec<String>,
}

/// Configuration of kubelets that cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum KubeletConfigError {
    /// Another answer.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Answer(#[from] ConfigMapError),
    /// Another content.
    #[error("the ConfigMap `kubelet-config` cannot be used")]
    #[diagnostic(
        code(join::kubelet_config),
        help("look at it with `kubectl -n kube-system get configmap kubelet-config -o yaml`")
    )]
    Malformed(#[related] Vec<Problems>),
}

#[cfg(test)]
mod tests;
