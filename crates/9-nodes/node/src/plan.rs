//! From a NodeConfig to what is written where: a pure function.

use basalt_node_config::NodeConfig;
use serde::{Deserialize, Serialize};

use crate::facts::MachineFacts;
use crate::paths;

mod containerd;
pub(crate) mod kubelet;
mod network;
mod prepull;
mod proxy;
mod registries;
mod sysctls;

/// A file to write.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFile {
    /// Absolute path.
    pub path: String,
    /// Permissions, as in `chmod`.
    pub mode: u32,
    /// Text of the file.
    pub content: String,
}

impl PlannedFile {
    /// A file that everyone may read.
    pub(crate) fn public(path: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            mode: 0o644,
            content: content.into(),
        }
    }

    /// A file of which the CIS benchmark asks that only root reads it, or one with a secret in it.
    pub(crate) fn secret(path: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            mode: 0o600,
            content: content.into(),
        }
    }
}

/// Shows what is in public files only.
impl std::fmt::Debug for PlannedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let content = if self.mode & 0o077 == 0 { "…" } else { &self.content };
        write!(f, "{:o} {} {content:?}", self.mode, self.path)
    }
}

/// All that a NodeConfig means for a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The name of the machine.
    pub hostname: String,
    /// URL of the API server.
    pub endpoint: String,
    /// Kernel settings: a path below `/proc/sys` and the value.
    pub sysctls: Vec<(String, String)>,
    /// Files.
    pub files: Vec<PlannedFile>,
    /// Parts of the NodeConfig that this machine cannot do, in words.
    pub warnings: Vec<String>,
}

/// Plan of a NodeConfig for a machine with these facts.
pub fn plan(config: &NodeConfig, facts: &MachineFacts) -> Plan {
    let hostname = match &config.hostname {
        Some(name) => name.to_string(),
        None => facts.default_hostname(),
    };
    let mut files = network::files(config);
    files.extend(containerd::files(config));
    files.extend(registries::files(config));
    files.extend(prepull::files(config));
    files.extend(kubelet::files(config, &hostname, facts));
    files.extend(config.ca_certificates.as_ref().map(|authorities| {
        PlannedFile::public(format!("{}/node-config.pem", paths::CA_CERTIFICATES), authorities.pem())
    }));
    if !config.time_servers.is_empty() {
        let lines = config
            .time_servers
            .iter()
            .map(|server| format!("server {server} iburst\n"));
        files.push(PlannedFile::public(paths::TIME_SERVERS, lines.collect::<String>()));
    }
    let (sysctls, mut warnings) = sysctls::affordable(config, facts);
    warnings.extend(kubelet::missing_providers(config, facts));
    if !sysctls.is_empty() {
        // systemd-sysctl runs after the agent, and again for every network interface that comes: it has to know too.
        let lines = sysctls
            .iter()
            .map(|(name, value)| format!("{} = {value}\n", name.path()));
        files.push(PlannedFile::public(
            "/run/sysctl.d/95-node-config.conf",
            lines.collect::<String>(),
        ));
    }
    Plan {
        hostname,
        endpoint: config.cluster.endpoint.to_string(),
        sysctls: sysctls
            .into_iter()
            .map(|(name, value)| (name.path(), value.to_owned()))
            .collect(),
        files,
        warnings,
    }
}
