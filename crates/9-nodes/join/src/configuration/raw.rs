//! JoinConfiguration as it is written, `kubeadm.k8s.io/v1beta4` and `v1beta3`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Configuration of `kubeadm join`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct JoinConfiguration {
    /// Group and version.
    pub api_version: String,
    /// `JoinConfiguration`.
    pub kind: String,
    /// `true` to change nothing.
    pub dry_run: Option<bool>,
    /// Registration of the node.
    pub node_registration: Option<NodeRegistration>,
    /// Path that the authority is written to.
    pub ca_cert_path: Option<String>,
    /// Source of the trust in the API server.
    pub discovery: Discovery,
    /// Settings of a control-plane node.
    pub control_plane: Option<Value>,
    /// Phases of kubeadm to leave out.
    pub skip_phases: Option<Vec<String>>,
    /// Patches of kubeadm's files.
    pub patches: Option<Value>,
    /// Time-outs of kubeadm.
    pub timeouts: Option<BTreeMap<String, String>>,
}

/// Registration of the node.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeRegistration {
    /// Name of the node.
    pub name: Option<String>,
    /// Socket of the container runtime.
    pub cri_socket: Option<String>,
    /// Taints; none for a worker unless given.
    pub taints: Option<Vec<Taint>>,
    /// Arguments of the kubelet: a list since v1beta4, before that a map.
    pub kubelet_extra_args: Option<KubeletExtraArgs>,
    /// Checks of kubeadm whose failure does not count.
    pub ignore_preflight_errors: Option<Vec<String>>,
    /// Policy of kubeadm's own pulls.
    #[expect(dead_code, reason = "known to kubeadm, without a meaning for a worker")]
    pub image_pull_policy: Option<String>,
    /// `true` to pull one image after the other.
    #[expect(dead_code, reason = "known to kubeadm, without a meaning for a worker")]
    pub image_pull_serial: Option<bool>,
}

/// Taint, as in the core API.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value.
    pub value: Option<String>,
    /// Effect.
    pub effect: String,
    /// Time at which it was added.
    #[expect(dead_code, reason = "known to kubeadm, without a meaning for a worker")]
    pub time_added: Option<String>,
}

/// Arguments of the kubelet.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum KubeletExtraArgs {
    /// v1beta4.
    List(Vec<Argument>),
    /// v1beta3.
    Map(BTreeMap<String, String>),
}

/// One argument.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    /// Name without dashes.
    pub name: String,
    /// Value.
    pub value: String,
}

/// Source of the trust in the API server.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Discovery {
    /// By token.
    pub bootstrap_token: Option<BootstrapTokenDiscovery>,
    /// By file.
    pub file: Option<FileDiscovery>,
    /// Token of the TLS bootstrap.
    pub tls_bootstrap_token: Option<String>,
    /// Time-out of v1beta3.
    pub timeout: Option<String>,
}

/// Discovery by token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BootstrapTokenDiscovery {
    /// Token.
    pub token: String,
    /// API server, `host:port`.
    #[serde(rename = "apiServerEndpoint")]
    pub api_server_endpoint: Option<String>,
    /// Pins of the authority.
    #[serde(rename = "caCertHashes")]
    pub ca_cert_hashes: Option<Vec<String>>,
    /// `true` to go without pins.
    #[serde(rename = "unsafeSkipCAVerification")]
    pub unsafe_skip_ca_verification: Option<bool>,
}

/// Discovery by file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FileDiscovery {
    /// Path or HTTPS URL of a kubeconfig.
    pub kube_config_path: Option<String>,
    /// Kubeconfig in place of its path: known to Cluster API's KubeadmConfig, and not to kubeadm.
    pub kube_config: Option<Value>,
}
