//! `#cloud-config` as Cluster API's kubeadm bootstrap provider writes it: these directives, and no others.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Bootstrap data.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloudConfig {
    /// Files.
    #[serde(default)]
    pub write_files: Vec<WriteFile>,
    /// Commands early at boot.
    pub bootcmd: Option<Vec<String>>,
    /// Commands late at boot.
    pub runcmd: Option<Vec<String>>,
    /// Time servers.
    pub ntp: Option<Ntp>,
    /// Accounts.
    pub users: Option<Vec<Value>>,
    /// Partitions.
    pub disk_setup: Option<Value>,
    /// File systems.
    pub fs_setup: Option<Value>,
    /// Mounts.
    pub mounts: Option<Value>,
}

/// A file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteFile {
    /// Absolute path.
    pub path: String,
    /// Encoding of the content: none, base64, gzip+base64.
    pub encoding: Option<String>,
    /// Owner and group.
    pub owner: Option<String>,
    /// Mode, in octal.
    pub permissions: Option<String>,
    /// `true` to append to a file that is there.
    pub append: Option<bool>,
    /// Content.
    pub content: Option<String>,
}

/// Time servers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ntp {
    /// `false` to have none.
    pub enabled: Option<bool>,
    /// Names or addresses.
    pub servers: Option<Vec<String>>,
}
