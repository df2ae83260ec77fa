//! From a join to a NodeConfig: one that holds the cluster's authorities ([`node_config`]), or one by which the node finds
//! them itself ([`undiscovered`]).

use std::fmt;

use basalt_node_config::address::Endpoint;
use basalt_node_config::raw;
use basalt_node_config::token::BootstrapToken;
use miette::Diagnostic;

use crate::access::{self, ClusterAccess, Credentials};
use crate::cloud_config::BootstrapData;
use crate::cluster_info::TrustedCluster;
use crate::kubelet_config::{Contradiction, DroppedField, KubeletSettings};
use crate::redaction::redact;
use crate::request::{Discovery, DiscoveryFile, JoinRequest};

/// Parts that a NodeConfig is made from.
#[derive(Debug)]
pub struct ConversionSources<'s> {
    /// The join as it was asked for.
    pub request: &'s JoinRequest,
    /// The cluster, trusted.
    pub cluster: &'s TrustedCluster,
    /// Token that the node asks for its certificate with.
    pub token: &'s BootstrapToken,
    /// Reason why the version of the control plane was not compared with that of the kubelet, if it was not.
    pub uncompared: Option<String>,
    /// Configuration of the cluster's kubelets, or the reason why it is not known.
    pub settings: Result<&'s KubeletSettings, String>,
    /// Bootstrap data that the request is of.
    pub bootstrap: Option<&'s BootstrapData>,
}

/// A NodeConfig, and what is to be said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// The NodeConfig. Its checks are still to be made.
    pub config: raw::NodeConfig,
    /// Notes, often none.
    pub notes: Vec<ConversionNote>,
}

#[cfg(feature = "command")]
impl Converted {
    /// The NodeConfig as YAML, with certificates as blocks of lines.
    ///
    /// # Errors
    /// When the writer fails, which would be a defect of it.
    pub fn to_yaml(&self) -> Result<String, ConversionError> {
        let options = serde_saphyr::ser_options! { prefer_block_scalars: true };
        let yaml = serde_saphyr::to_string_with_options(&self.config, options)
            .map_err(|error| ConversionError::Yaml(error.to_string()))?;
        let comment = "# It holds a bootstrap token: whoever has it can join the cluster.";
        Ok(format!("{comment}\n{yaml}"))
    }
}

/// Something about a conversion that its reader should know.
#[derive(Debug, Clone, PartialEq)]
pub enum ConversionNote {
    /// The cluster names another address than the one that was asked.
    OtherEndpoint {
        /// Address in the join command.
        asked: Endpoint,
        /// Address in cluster-info, which counts, as for kubeadm.
        named: Endpoint,
    },
    /// An authority whose key is not pinned.
    Unpinned(String),
    /// Versions that were not compared.
    Uncompared(String),
    /// A field or feature gate that the kubelet does not have, or a gate that is locked in it.
    Dropped(DroppedField),
    /// A field that cluster and node see differently.
    Contradiction(Contradiction),
    /// The cluster's settings are not known.
    NoSettings(String),
}

impl fmt::Display for ConversionNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherEndpoint { asked, named } => write!(
                f,
                "the cluster names {named} for its nodes, not {asked}: the nodes have to reach it there"
            ),
            Self::Unpinned(subject) => write!(
                f,
                "the authority {subject} is not pinned: only the signature of the token speaks for it"
            ),
            Self::Uncompared(why) => write!(
                f,
                "whether the kubelet goes with the control plane is not known ({why}): see the version skew policy"
            ),
            Self::Dropped(field) => write!(
                f,
                "the node leaves this out of the cluster's kubelet-config, {}: {field}",
                field.reason()
            ),
            Self::Contradiction(contradiction) => contradiction.fmt(f),
            Self::NoSettings(why) => write!(
                f,
                "the cluster's kubelet-config is not known ({why}): the address of its name service is Kubernetes' default"
            ),
        }
    }
}

/// A join that is not to be had as a NodeConfig.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Diagnostic)]
pub enum ConversionError {
    /// Files that a NodeConfig has no place for.
    #[error("a NodeConfig has no place for files: {}", .0.join(", "))]
    #[diagnostic(
        code(join::conversion::files),
        help("give the bootstrap data to the machine itself, or let a DaemonSet write these files")
    )]
    Files(Vec<String>),
    /// The writer of YAML failed.
    #[cfg(feature = "command")]
    #[error("the NodeConfig cannot be written as YAML: {0}")]
    #[diagnostic(
        code(join::conversion::yaml),
        help("this is a defect of `basalt`; `--json` goes around it")
    )]
    Yaml(String),
    /// A discovery file that is not there.
    #[error("the discovery file {0} is not part of the bootstrap data")]
    #[diagnostic(
        code(join::conversion::discovery_file),
        help(
            "let `discovery.file.kubeConfig` of the KubeadmConfig write it below /etc/kubernetes, or use a bootstrap token"
        )
    )]
    DiscoveryFile(String),
    /// A discovery file that cannot be used.
    #[error("the discovery file {path} cannot be used: {reason}")]
    #[diagnostic(
        code(join::conversion::discovery_file_content),
        help("write one with `kubectl config view --raw --minify --flatten`")
    )]
    DiscoveryFileContent {
        /// Path in the bootstrap data.
        path: String,
        /// First finding.
        reason: String,
    },
    /// No token.
    #[error("there is no bootstrap token")]
    #[diagnostic(
        code(join::conversion::token),
        help("add `--tls-bootstrap-token`; `kubeadm token create` on a control-plane node makes one")
    )]
    NoToken,
    /// Credentials of another kind.
    #[error("the credentials in the discovery file are no bootstrap token")]
    #[diagnostic(
        code(join::conversion::credentials),
        help("a NodeConfig takes bootstrap tokens; add `--tls-bootstrap-token`")
    )]
    OtherCredentials,
    /// No authorities in a discovery file.
    #[error("the discovery file has no `certificate-authority-data`")]
    #[diagnostic(
        code(join::conversion::authorities),
        help("write one with `kubectl config view --raw --minify --flatten`")
    )]
    NoAuthorities,
}

/// Cluster and token of a discovery file, or of a bootstrap kubeconfig.
///
/// # Errors
/// When it has no authorities, or no token is there.
pub fn of_file(
    access: ClusterAccess,
    token: Option<&BootstrapToken>,
) -> Result<(TrustedCluster, BootstrapToken), ConversionError> {
    let token = match (token, access.credentials) {
        (Some(token), _) => token.clone(),
        (None, Credentials::Token(text)) => text.parse().map_err(|_| ConversionError::OtherCredentials)?,
        (None, Credentials::Certificate { .. }) => return Err(ConversionError::OtherCredentials),
        (None, Credentials::None) => return Err(ConversionError::NoToken),
    };
    let cluster = TrustedCluster {
        endpoint: access.endpoint,
        authorities: access.authorities.ok_or(ConversionError::NoAuthorities)?,
        unpinned: Vec::new(),
    };
    Ok((cluster, token))
}

/// Makes a NodeConfig with the authorities of the cluster. Where its kubelet-config can be read, the node reads it, too.
///
/// # Errors
/// When the bootstrap data has files that a NodeConfig has no place for.
pub fn node_config(sources: &ConversionSources<'_>) -> Result<Converted, ConversionError> {
    sources.bootstrap.map_or(Ok(()), check_files)?;
    let is_known = sources.settings.is_ok();
    let kubelet_config = is_known.then_some(raw::KubeletConfigSource::FromCluster);
    let cluster = trusted(sources.cluster, sources.token, kubelet_config);
    let config = assemble(cluster, sources.request, sources.bootstrap);
    let notes = notes(sources);
    Ok(Converted { config, notes })
}

/// Makes a NodeConfig by which the node asks the cluster itself, as `kubeadm join` does: with pins in place of authorities,
/// and the cluster's kubelet-config as its base. Nothing is asked of anybody here.
///
/// # Errors
/// When there is no token, or a discovery file that cannot be used.
pub fn undiscovered(request: &JoinRequest, data: Option<&BootstrapData>) -> Result<raw::NodeConfig, ConversionError> {
    let token = request.tls_bootstrap_token.as_ref();
    let from_cluster = Some(raw::KubeletConfigSource::FromCluster);
    let cluster = match &request.discovery {
        Discovery::Token(discovery) => raw::Cluster {
            endpoint: Some(discovery.endpoint.to_string()),
            ca: None,
            ca_cert_hashes: discovery.pins.iter().map(ToString::to_string).collect(),
            bootstrap_token: Some(token.unwrap_or(&discovery.token).reveal()),
            discovery_token: token
                .filter(|token| **token != discovery.token)
                .map(|_| discovery.token.reveal()),
            kubeconfig: None,
            kubelet_config: from_cluster,
            dns: None,
        },
        Discovery::File(file) => {
            let (cluster, token) = of_bootstrap_file(file, data, token)?;
            return Ok(unasked(&cluster, &token, request, data));
        }
    };
    Ok(assemble(cluster, request, data))
}

/// Makes a NodeConfig with the authorities of a discovery file. The node reads the cluster's kubelet-config; nothing is asked
/// of anybody here.
pub fn unasked(
    cluster: &TrustedCluster,
    token: &BootstrapToken,
    request: &JoinRequest,
    data: Option<&BootstrapData>,
) -> raw::NodeConfig {
    let cluster = trusted(cluster, token, Some(raw::KubeletConfigSource::FromCluster));
    assemble(cluster, request, data)
}

/// Cluster and token of a discovery file that is part of bootstrap data: a path in it is one of the machine that joins.
///
/// # Errors
/// When the bootstrap data does not have the file, or it cannot be used.
pub fn of_bootstrap_file(
    file: &DiscoveryFile,
    data: Option<&BootstrapData>,
    token: Option<&BootstrapToken>,
) -> Result<(TrustedCluster, BootstrapToken), ConversionError> {
    let (DiscoveryFile::Path(path) | DiscoveryFile::Url(path)) = file;
    let files = data.map(|data| data.files.as_slice()).unwrap_or_default();
    let file = files.iter().find(|known| is_same_path(&known.path, path));
    let file = file.ok_or_else(|| ConversionError::DiscoveryFile(redact(path)))?;
    let access = access::read(path, &file.content).map_err(|problems| ConversionError::DiscoveryFileContent {
        path: path.clone(),
        reason: problems
            .iter()
            .next()
            .map(|problem| problem.message.clone())
            .unwrap_or_default(),
    });
    of_file(access?.0, token)
}

/// Checks that a NodeConfig can say all of bootstrap data: it has no place for files. A discovery file becomes the
/// authorities and the token.
///
/// # Errors
/// With the files that there is no place for.
pub fn check_files(data: &BootstrapData) -> Result<(), ConversionError> {
    let is_discovery = |path: &str| is_discovery_file(&data.request, path);
    let files = data.files.iter().filter(|file| !is_discovery(&file.path));
    let named: Vec<_> = files
        .map(|file| format!("{} (line {})", file.path, file.line))
        .collect();
    match named.is_empty() {
        true => Ok(()),
        false => Err(ConversionError::Files(named)),
    }
}

/// Returns `true` for the path of the discovery file of a join. It may hold a token, and is of no use once it was read.
pub fn is_discovery_file(request: &JoinRequest, path: &str) -> bool {
    matches!(&request.discovery, Discovery::File(DiscoveryFile::Path(file)) if is_same_path(path, file))
}

/// `true` if a path as it was written is this one of a file.
fn is_same_path(file: &str, written: &str) -> bool {
    let parts = |path| str::split(path, '/').filter(|part: &&str| !part.is_empty());
    written.starts_with('/') && parts(file).eq(parts(written))
}

/// The cluster of a NodeConfig whose authorities are known.
fn trusted(
    cluster: &TrustedCluster,
    token: &BootstrapToken,
    kubelet_config: Option<raw::KubeletConfigSource>,
) -> raw::Cluster {
    raw::Cluster {
        endpoint: Some(cluster.endpoint.to_string()),
        ca: Some(cluster.authorities.pem().to_owned()),
        ca_cert_hashes: Vec::new(),
        bootstrap_token: Some(token.reveal()),
        discovery_token: None,
        kubeconfig: None,
        kubelet_config,
        dns: None,
    }
}

/// A NodeConfig of its parts.
fn assemble(cluster: raw::Cluster, request: &JoinRequest, data: Option<&BootstrapData>) -> raw::NodeConfig {
    let flags = &request.registration.kubelet;
    let kubelet = flags.kubelet.clone();
    let hostname = request.registration.node_name();
    let hostname = hostname.or(data.and_then(|data| data.hostname.as_ref()));
    let servers = data.map(|data| data.time_servers.clone()).unwrap_or_default();
    let sysctls = data.map(|data| data.sysctls.clone()).unwrap_or_default();
    raw::NodeConfig {
        api_version: raw::ApiVersion::V1,
        kind: raw::ConfigKind::NodeConfig,
        hostname: hostname.map(ToString::to_string),
        cluster: raw::Cluster {
            dns: flags.dns.clone(),
            ..cluster
        },
        network: data.and_then(|data| data.network.clone()),
        time: Some(raw::Time { servers }).filter(|time| !time.servers.is_empty()),
        registries: data.map(|data| data.registries.clone()).unwrap_or_default(),
        kubelet: Some(kubelet).filter(|kubelet| *kubelet != raw::Kubelet::default()),
        labels: flags.labels.clone(),
        taints: flags.taints.clone(),
        sysctls: sysctls
            .into_iter()
            .map(|(name, value)| (name, raw::SysctlValue::Text(value)))
            .collect(),
        ca_certificates: data
            .map(|data| data.ca_certificates.clone())
            .filter(|pem| !pem.is_empty()),
        prepull: data.map(|data| data.prepull.clone()).unwrap_or_default(),
        proxy: data.and_then(|data| data.proxy.clone()),
    }
}

fn notes(sources: &ConversionSources<'_>) -> Vec<ConversionNote> {
    let mut notes = Vec::new();
    if let Discovery::Token(discovery) = &sources.request.discovery
        && discovery.endpoint != sources.cluster.endpoint
    {
        notes.push(ConversionNote::OtherEndpoint {
            asked: discovery.endpoint.clone(),
            named: sources.cluster.endpoint.clone(),
        });
    }
    notes.extend(sources.uncompared.clone().map(ConversionNote::Uncompared));
    notes.extend(sources.cluster.unpinned.iter().cloned().map(ConversionNote::Unpinned));
    match &sources.settings {
        Ok(settings) => {
            notes.extend(settings.dropped.iter().cloned().map(ConversionNote::Dropped));
            let own = &sources.request.registration.kubelet.kubelet;
            notes.extend(
                settings
                    .contradictions(own)
                    .into_iter()
                    .map(ConversionNote::Contradiction),
            );
        }
        Err(why) => notes.push(ConversionNote::NoSettings(why.clone())),
    }
    notes
}

#[cfg(test)]
mod tests;
