//! Fields of a kubeconfig (client-go's clientcmd v1) that a connection needs.

use camino::Utf8PathBuf;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Kubeconfig {
    #[serde(default)]
    pub(super) current_context: Option<String>,
    pub(super) clusters: Vec<NamedCluster>,
    pub(super) contexts: Vec<NamedContext>,
    pub(super) users: Vec<NamedUser>,
}

#[derive(Deserialize)]
pub(super) struct NamedCluster {
    pub(super) name: String,
    pub(super) cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Cluster {
    pub(super) server: String,
    pub(super) certificate_authority: Option<Utf8PathBuf>,
    pub(super) certificate_authority_data: Option<String>,
    #[serde(default)]
    pub(super) insecure_skip_tls_verify: bool,
    pub(super) tls_server_name: Option<String>,
    pub(super) proxy_url: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct NamedContext {
    pub(super) name: String,
    pub(super) context: NamedPair,
}

#[derive(Deserialize)]
pub(super) struct NamedPair {
    pub(super) cluster: String,
    pub(super) user: String,
}

#[derive(Deserialize)]
pub(super) struct NamedUser {
    pub(super) name: String,
    #[serde(default)]
    pub(super) user: User,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct User {
    pub(super) client_certificate: Option<Utf8PathBuf>,
    pub(super) client_certificate_data: Option<String>,
    pub(super) client_key: Option<Utf8PathBuf>,
    pub(super) client_key_data: Option<String>,
    pub(super) token: Option<String>,
    #[serde(rename = "tokenFile")]
    pub(super) token_file: Option<Utf8PathBuf>,
    pub(super) username: Option<String>,
    pub(super) auth_provider: Option<serde_json::Value>,
    pub(super) exec: Option<Exec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Exec {
    #[serde(default)]
    pub(super) api_version: String,
    pub(super) command: String,
    #[serde(default)]
    pub(super) args: Vec<String>,
    #[serde(default)]
    pub(super) env: Option<Vec<ExecVariable>>,
}

#[derive(Deserialize)]
pub(super) struct ExecVariable {
    pub(super) name: String,
    pub(super) value: String,
}
