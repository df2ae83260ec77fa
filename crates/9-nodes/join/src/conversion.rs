//! From a join to a NodeConfig.

use std::fmt;

use basalt_node_config::address::Endpoint;
use basalt_node_config::raw;
use basalt_node_config::token::BootstrapToken;
use miette::Diagnostic;
use serde_json::Value;

use crate::access::{ClusterAccess, Credentials};
use crate::cloud_config::BootstrapData;
use crate::cluster_info::TrustedCluster;
use crate::kubelet_config::{Contradiction, DroppedField, KubeletSettings, TakenOver, overlay};
use crate::request::{Discovery, JoinRequest};

/// Parts that a NodeConfig is made from.
#[derive(Debug)]
pub struct ConversionSources<'s> {
    /// The join as it was asked for.
    pub request: &'s JoinRequest,
    /// The cluster, trusted.
    pub cluster: &'s TrustedCluster,
    /// Token that the node asks for its certificate with.
    pub token: &'s BootstrapToken,
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
    /// A field that the kubelet does not have.
    Dropped(DroppedField),
    /// A field that cluster and node see differently.
    Contradiction(Contradiction),
    /// A field of the cluster that a NodeConfig cannot express.
    NotTakenOver(String),
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
            Self::Dropped(field) => write!(
                f,
                "left out of the cluster's kubelet-config, since the kubelet does not have it: {field}"
            ),
            Self::Contradiction(contradiction) => contradiction.fmt(f),
            Self::NotTakenOver(field) => {
                write!(
                    f,
                    "`{field}` of the cluster's kubelet-config is not taken over: a NodeConfig cannot express it"
                )
            }
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

/// Makes a NodeConfig.
///
/// # Errors
/// When the bootstrap data has files that a NodeConfig has no place for.
pub fn node_config(sources: &ConversionSources<'_>) -> Result<Converted, ConversionError> {
    let files = sources.bootstrap.map(|data| data.files.as_slice()).unwrap_or_default();
    if !files.is_empty() {
        let named = files.iter().map(|file| format!("{} (line {})", file.path, file.line));
        return Err(ConversionError::Files(named.collect()));
    }
    let flags = &sources.request.registration.kubelet;
    let taken = sources.settings.as_ref().ok().map(|settings| settings.taken_over());
    let notes = notes(sources, taken.as_ref());
    let kubelet = laid_over(taken.map(|taken| taken.kubelet).unwrap_or_default(), &flags.kubelet);
    let data = sources.bootstrap;
    let hostname = sources.request.registration.node_name();
    let hostname = hostname.or(data.and_then(|data| data.hostname.as_ref()));
    let servers = data.map(|data| data.time_servers.clone()).unwrap_or_default();
    let sysctls = data.map(|data| data.sysctls.clone()).unwrap_or_default();
    let config = raw::NodeConfig {
        api_version: raw::ApiVersion::V1,
        kind: raw::ConfigKind::NodeConfig,
        hostname: hostname.map(ToString::to_string),
        cluster: raw::Cluster {
            endpoint: sources.cluster.endpoint.to_string(),
            ca: Some(sources.cluster.authorities.pem().to_owned()),
            ca_cert_hashes: Vec::new(),
            bootstrap_token: sources.token.reveal(),
            discovery_token: None,
            kubelet_config: None,
            dns: sources.settings.as_ref().ok().map(|settings| raw::ClusterDns {
                domain: settings.cluster_domain().map(str::to_owned),
                addresses: Some(settings.cluster_dns()).filter(|addresses| !addresses.is_empty()),
            }),
        },
        network: None,
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
        prepull: Vec::new(),
        proxy: None,
    };
    Ok(Converted { config, notes })
}

fn notes(sources: &ConversionSources<'_>, taken: Option<&TakenOver>) -> Vec<ConversionNote> {
    let mut notes = Vec::new();
    if let Discovery::Token(discovery) = &sources.request.discovery
        && discovery.endpoint != sources.cluster.endpoint
    {
        notes.push(ConversionNote::OtherEndpoint {
            asked: discovery.endpoint.clone(),
            named: sources.cluster.endpoint.clone(),
        });
    }
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
    let rest = taken.map(|taken| taken.rest.clone()).unwrap_or_default();
    notes.extend(rest.into_iter().map(ConversionNote::NotTakenOver));
    notes
}

/// Settings of the cluster with those of the node over them, field by field: as the kubelet's arguments count before its
/// file.
fn laid_over(cluster: raw::Kubelet, node: &raw::Kubelet) -> raw::Kubelet {
    let (Ok(Value::Object(mut base)), Ok(Value::Object(own))) =
        (serde_json::to_value(&cluster), serde_json::to_value(node))
    else {
        return cluster;
    };
    own.keys().for_each(|key| drop(base.remove(key)));
    overlay(&mut base, &own);
    serde_json::from_value(Value::Object(base)).unwrap_or(cluster)
}

#[cfg(test)]
mod tests;
