//! Keys and certificates of a cluster, made once when it starts. The keys are on the curve P-256, which takes
//! milliseconds.
//!
//! Two certificate authorities, as Kubernetes requires: one for the clients of the API server, one for the API server's
//! own calls to extension servers. Their keys never leave the cluster's folder, which only its owner can read.

mod inspect;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use thiserror::Error;
use time::OffsetDateTime;

use crate::secret::{make_private_folder, write_private};
use crate::{ClusterError, topology};

pub use inspect::check;

/// Validity of certificates, longer than the life of a cluster.
const VALIDITY: Duration = Duration::from_secs(365 * 24 * 3600);
/// Start of the validity before now, for machines whose clock is behind.
const BACKDATED: Duration = Duration::from_secs(24 * 3600);

/// Failure to make, read or verify a certificate.
#[derive(Debug, Error, Diagnostic)]
pub enum PkiError {
    /// A certificate or key could not be made.
    #[error("could not make the certificate of {name}")]
    #[diagnostic(code(cluster::certificate))]
    Make {
        /// Base name of the certificate's files.
        name: String,
        /// Error of rcgen.
        source: rcgen::Error,
    },
    /// A certificate or key does not parse.
    #[error("{path} is not a certificate: {reason}")]
    #[diagnostic(
        code(cluster::certificate),
        help("`./basalt down` and `./basalt up` make the cluster anew")
    )]
    Unreadable {
        /// Path of the file.
        path: Utf8PathBuf,
        /// Message of the parser.
        reason: String,
    },
    /// A certificate has expired.
    #[error("the certificate {path} ({name}) expired on {date}")]
    #[diagnostic(
        code(cluster::expired),
        help(
            "nobody in the cluster trusts it any more: `./basalt down` and `./basalt up` make the cluster anew with fresh keys"
        )
    )]
    Expired {
        /// Path of the certificate.
        path: Utf8PathBuf,
        /// Subject of the certificate.
        name: String,
        /// End of the validity.
        date: String,
    },
    /// A certificate is not valid yet.
    #[error("the certificate {path} ({name}) is not valid before {date}")]
    #[diagnostic(code(cluster::early), help("is this machine's clock right? `date` shows it"))]
    Early {
        /// Path of the certificate.
        path: Utf8PathBuf,
        /// Subject of the certificate.
        name: String,
        /// Start of the validity.
        date: String,
    },
    /// A certificate was signed by another authority.
    #[error("the certificate {path} ({name}) was not signed by {authority}")]
    #[diagnostic(
        code(cluster::authority),
        help("files of two clusters got mixed: `./basalt down` and `./basalt up` make the cluster anew")
    )]
    WrongAuthority {
        /// Path of the certificate.
        path: Utf8PathBuf,
        /// Subject of the certificate.
        name: String,
        /// Path of the expected authority's certificate.
        authority: Utf8PathBuf,
    },
}

/// Certificate authority of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateAuthority {
    /// Authority of the API server and of its clients.
    Cluster,
    /// Authority of the API server's calls to extension servers.
    FrontProxy,
}

impl CertificateAuthority {
    /// Base name of the authority's files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "ca",
            Self::FrontProxy => "front-proxy-ca",
        }
    }

    fn common_name(self) -> &'static str {
        match self {
            Self::Cluster => "basalt-cluster",
            Self::FrontProxy => "basalt-front-proxy",
        }
    }
}

/// Purpose of a certificate (extended key usage).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// TLS server, under the names of the API server.
    ApiServer,
    /// TLS client.
    Client,
}

/// Description of a certificate that an authority signs.
#[derive(Debug, Clone, Copy)]
struct Leaf {
    /// Base name of the certificate's files.
    name: &'static str,
    authority: CertificateAuthority,
    role: Role,
    /// Common name: the user, in Kubernetes.
    common_name: &'static str,
    /// Organization: the group, in Kubernetes.
    organization: Option<&'static str>,
}

impl Leaf {
    const fn client(name: &'static str, common_name: &'static str, organization: Option<&'static str>) -> Self {
        Self {
            name,
            authority: CertificateAuthority::Cluster,
            role: Role::Client,
            common_name,
            organization,
        }
    }
}

/// Base name of the administrator's client certificate.
pub const ADMIN: &str = "admin";
/// Base name of the controller manager's client certificate.
pub const CONTROLLER_MANAGER: &str = "controller-manager";
/// Base name of the scheduler's client certificate.
pub const SCHEDULER: &str = "scheduler";
/// Base name of the API server's serving certificate.
pub const API_SERVER: &str = "apiserver";
/// Base name of the API server's client certificate for kubelets.
pub const KUBELET_CLIENT: &str = "apiserver-kubelet-client";
/// Base name of the API server's client certificate for extension servers.
pub const FRONT_PROXY_CLIENT: &str = "front-proxy-client";
/// Base name of the key pair that signs tokens of service accounts.
pub const SERVICE_ACCOUNTS: &str = "service-accounts";

const LEAVES: &[Leaf] = &[
    Leaf {
        name: API_SERVER,
        authority: CertificateAuthority::Cluster,
        role: Role::ApiServer,
        common_name: "kube-apiserver",
        organization: None,
    },
    Leaf::client(KUBELET_CLIENT, "kube-apiserver-kubelet-client", Some("system:masters")),
    Leaf::client(ADMIN, "basalt-admin", Some("system:masters")),
    Leaf::client(CONTROLLER_MANAGER, "system:kube-controller-manager", None),
    Leaf::client(SCHEDULER, "system:kube-scheduler", None),
    Leaf {
        name: FRONT_PROXY_CLIENT,
        authority: CertificateAuthority::FrontProxy,
        role: Role::Client,
        common_name: "front-proxy-client",
        organization: None,
    },
];

/// Folder of a cluster's keys and certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pki {
    folder: Utf8PathBuf,
}

impl Pki {
    /// Keys and certificates in a folder. Nothing is read yet.
    pub fn new(folder: impl Into<Utf8PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Path of the folder.
    pub fn folder(&self) -> &Utf8Path {
        &self.folder
    }

    /// Path of a certificate, in PEM.
    pub fn certificate(&self, name: &str) -> Utf8PathBuf {
        self.folder.join(format!("{name}.crt"))
    }

    /// Path of the private key of a certificate, in PEM.
    pub fn key(&self, name: &str) -> Utf8PathBuf {
        self.folder.join(format!("{name}.key"))
    }

    /// Path of the public half of a key pair without a certificate, in PEM.
    pub fn public_key(&self, name: &str) -> Utf8PathBuf {
        self.folder.join(format!("{name}.pub"))
    }

    /// Reads a file as text.
    pub(crate) fn read(&self, path: &Utf8Path) -> Result<String, ClusterError> {
        fs_err::read_to_string(path).map_err(ClusterError::file("read a key or a certificate"))
    }
}

/// Names and addresses in the API server's certificate, as nodes, pods and the host use them.
pub fn api_server_names() -> Vec<String> {
    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
    ];
    let full = format!("kubernetes.default.svc.{}", topology::DOMAIN);
    let addresses = [
        IpAddr::from([127, 0, 0, 1]),
        topology::CONTROL_PLANE.into(),
        topology::KUBERNETES_SERVICE.into(),
    ];
    names
        .into_iter()
        .map(str::to_owned)
        .chain([full])
        .chain(addresses.iter().map(IpAddr::to_string))
        .collect()
}

/// Makes all keys and certificates of a cluster in a folder, readable by its owner only.
///
/// # Errors
/// When a certificate cannot be made, or a file not be written.
pub fn make(folder: &Utf8Path, now: SystemTime) -> Result<Pki, ClusterError> {
    make_private_folder(folder)?;
    let pki = Pki::new(folder);
    let cluster = authority(&pki, CertificateAuthority::Cluster, now)?;
    let front_proxy = authority(&pki, CertificateAuthority::FrontProxy, now)?;
    for leaf in LEAVES {
        let issuer = match leaf.authority {
            CertificateAuthority::Cluster => &cluster,
            CertificateAuthority::FrontProxy => &front_proxy,
        };
        issue(&pki, leaf, issuer, now).map_err(PkiFailure::about(leaf.name))?;
    }
    let key = KeyPair::generate().map_err(|error| PkiFailure::about(SERVICE_ACCOUNTS)(error.into()))?;
    write_private(&pki.key(SERVICE_ACCOUNTS), key.serialize_pem())?;
    write_private(&pki.public_key(SERVICE_ACCOUNTS), key.public_key_pem())?;
    Ok(pki)
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// Failure of either half of making a certificate: signing or writing.
enum PkiFailure {
    Certificate(rcgen::Error),
    File(ClusterError),
}

impl From<rcgen::Error> for PkiFailure {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error)
    }
}

impl From<ClusterError> for PkiFailure {
    fn from(error: ClusterError) -> Self {
        Self::File(error)
    }
}

impl PkiFailure {
    fn about(name: &str) -> impl FnOnce(Self) -> ClusterError {
        move |failure| match failure {
            Self::Certificate(source) => PkiError::Make {
                name: name.to_owned(),
                source,
            }
            .into(),
            Self::File(error) => error,
        }
    }
}

fn parameters(names: Vec<String>, common_name: &str, now: SystemTime) -> Result<CertificateParams, rcgen::Error> {
    let mut parameters = CertificateParams::new(names)?;
    parameters.not_before = OffsetDateTime::from(now - BACKDATED);
    parameters.not_after = OffsetDateTime::from(now + VALIDITY);
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    Ok(parameters)
}

/// Certificate of an authority, in PEM, whose key is thrown away: for checks of documents that have to have one.
pub(crate) fn authority_of_nobody(now: SystemTime) -> Result<String, ClusterError> {
    let authority = CertificateAuthority::Cluster;
    let issuer = self_signed(authority, now).map_err(|error| PkiFailure::about(authority.name())(error.into()))?;
    Ok(issuer.pem())
}

fn self_signed(authority: CertificateAuthority, now: SystemTime) -> Result<Issuer, rcgen::Error> {
    let mut parameters = parameters(Vec::new(), authority.common_name(), now)?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)
}

fn authority(pki: &Pki, authority: CertificateAuthority, now: SystemTime) -> Result<Issuer, ClusterError> {
    let make = || -> Result<Issuer, PkiFailure> {
        let issuer = self_signed(authority, now)?;
        write_private(&pki.certificate(authority.name()), issuer.pem())?;
        write_private(&pki.key(authority.name()), issuer.key().serialize_pem())?;
        Ok(issuer)
    };
    make().map_err(PkiFailure::about(authority.name()))
}

fn issue(pki: &Pki, leaf: &Leaf, issuer: &Issuer, now: SystemTime) -> Result<(), PkiFailure> {
    let (names, usage) = match leaf.role {
        Role::ApiServer => (api_server_names(), ExtendedKeyUsagePurpose::ServerAuth),
        Role::Client => (Vec::new(), ExtendedKeyUsagePurpose::ClientAuth),
    };
    let mut parameters = parameters(names, leaf.common_name, now)?;
    if let Some(organization) = leaf.organization {
        parameters
            .distinguished_name
            .push(DnType::OrganizationName, organization);
    }
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![usage];
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, issuer)?;
    write_private(&pki.certificate(leaf.name), certificate.pem())?;
    write_private(&pki.key(leaf.name), key.serialize_pem())?;
    Ok(())
}

#[cfg(test)]
mod tests;
