//! Kubeconfig as it is written: the fields that matter here. Others are left alone, as Kubernetes' own clients do.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Kubeconfig, `v1`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Kubeconfig {
    /// Clusters.
    pub clusters: Option<Vec<NamedCluster>>,
    /// Pairs of cluster and user.
    pub contexts: Option<Vec<NamedContext>>,
    /// Name of the context that counts.
    pub current_context: Option<String>,
    /// Users.
    pub users: Option<Vec<NamedUser>>,
}

/// A cluster and its name.
#[derive(Deserialize, JsonSchema)]
pub struct NamedCluster {
    /// Name; empty in `cluster-info`.
    #[serde(default)]
    pub name: String,
    /// The cluster.
    pub cluster: Option<Cluster>,
}

/// A cluster.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Cluster {
    /// URL of the API server.
    pub server: String,
    /// Authorities in PEM, in base64.
    pub certificate_authority_data: Option<String>,
    /// Path of authorities in PEM.
    pub certificate_authority: Option<String>,
    /// `true` to trust anybody.
    pub insecure_skip_tls_verify: Option<bool>,
    /// Name that the API server's certificate has.
    pub tls_server_name: Option<String>,
    /// URL of a proxy.
    pub proxy_url: Option<String>,
}

/// A context and its name.
#[derive(Deserialize, JsonSchema)]
pub struct NamedContext {
    /// Name.
    pub name: String,
    /// The context.
    pub context: Option<Context>,
}

/// A pair of cluster and user.
#[derive(Deserialize, JsonSchema)]
pub struct Context {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the user.
    pub user: Option<String>,
}

/// A user and its name.
#[derive(Deserialize, JsonSchema)]
pub struct NamedUser {
    /// Name.
    pub name: String,
    /// The user.
    pub user: Option<User>,
}

/// Credentials.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct User {
    /// Bearer token.
    pub token: Option<String>,
    /// Path of a bearer token.
    #[serde(rename = "tokenFile")]
    pub token_file: Option<String>,
    /// Client certificate in PEM, in base64.
    pub client_certificate_data: Option<String>,
    /// Its key in PEM, in base64.
    pub client_key_data: Option<String>,
    /// Path of a client certificate.
    pub client_certificate: Option<String>,
    /// Path of its key.
    pub client_key: Option<String>,
    /// Name for basic authentication.
    pub username: Option<String>,
    /// Password for basic authentication.
    pub password: Option<String>,
    /// User in whose name requests are made.
    #[serde(rename = "as")]
    pub impersonate: Option<String>,
    /// Groups in whose name requests are made.
    pub as_groups: Option<Value>,
    /// Program that provides credentials.
    pub exec: Option<Value>,
    /// Plug-in that provides credentials.
    pub auth_provider: Option<Value>,
}
