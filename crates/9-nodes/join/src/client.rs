//! HTTPS client of an API server, and what is asked of it before a node joins.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use basalt_node_config::address::Endpoint;
use basalt_node_config::token::BootstrapToken;
use miette::Diagnostic;
use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, RequestBuilder};

use crate::access::Credentials;
use crate::authorities::ClusterAuthorities;
use crate::certificate_defect::CertificateDefect;
use crate::client_certificate::{self, UnusableClientCertificate};
use crate::cluster_info::{DiscoveryError, TrustedCluster};
use crate::config_map::ConfigMapError;
use crate::connection_defect::ConnectionDefect;
use crate::conversion::ConversionError;
use crate::exchange::{self, ApiRequests, UnsupportedSkew};
use crate::kubelet_config::{KubeletConfigError, KubeletSettings};
use crate::request::TokenDiscovery;
use crate::skew::KubernetesVersion;
use crate::token_secret;

/// Time-out of one request.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Time between two tries of discovery, as kubeadm's.
const INTERVAL: Duration = Duration::from_secs(5);
/// Most bytes of an answer. A ConfigMap has at most 1 MiB.
const LARGEST: u64 = 4 << 20;

/// Request that failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ClientError {
    /// No answer.
    #[error("{url} does not answer: {reason}")]
    #[diagnostic(
        code(join::client::unreachable),
        help("try `curl -k {url}` from here; a proxy is taken from HTTPS_PROXY, and NO_PROXY leaves it out")
    )]
    Unreachable {
        /// URL of the request.
        url: String,
        /// Words of the client.
        reason: String,
    },
    /// An answer by a server that nobody vouches for. The request was not sent.
    #[error("{url} answers, and its certificate cannot be trusted: {defect}")]
    #[diagnostic(code(join::client::certificate), help("{}", defect.help()))]
    Untrusted {
        /// URL of the request.
        url: String,
        /// Defect of the certificate.
        defect: CertificateDefect,
    },
    /// An answer by a server without TLS.
    #[error("{url} answers, but not with TLS")]
    #[diagnostic(
        code(join::client::plain),
        help(
            "look at the port: that of an API server is 6443 unless it was given another one; the port of another program answers here"
        )
    )]
    Plain {
        /// URL of the request.
        url: String,
    },
    /// A name without an address.
    #[error("the name in {url} has no address here: {reason}")]
    #[diagnostic(
        code(join::client::name),
        help("look for a misspelling, and whether this machine asks the right name server: `getent hosts NAME`")
    )]
    UnknownName {
        /// URL of the request.
        url: String,
        /// Words of the resolver.
        reason: String,
    },
    /// An answer that says no.
    #[error("{url} answers with HTTP status {status}: {message}")]
    #[diagnostic(code(join::client::status), help("{help}"))]
    Status {
        /// URL of the request.
        url: String,
        /// HTTP status.
        status: u16,
        /// Message of the API server.
        message: String,
        /// Remedy.
        help: &'static str,
    },
    /// Authorities that TLS cannot use; words of the library.
    #[error("the certificate authority cannot be used: {0}")]
    #[diagnostic(code(join::client::tls), help("compare it with what `kubectl` uses"))]
    Tls(String),
    /// Client certificate that TLS cannot use.
    #[error(transparent)]
    #[diagnostic(transparent)]
    ClientCertificate(#[from] UnusableClientCertificate),
    /// The kubeconfig has no credentials, or no authority.
    #[error("the kubeconfig has no {0}")]
    #[diagnostic(
        code(join::client::kubeconfig),
        help("use one that may create Secrets in kube-system: `kubectl config view --raw --minify --flatten`")
    )]
    Kubeconfig(&'static str),
    /// No random numbers.
    #[error("no random numbers are to be had: {0}")]
    #[diagnostic(code(join::client::random))]
    Random(String),
    /// A token that was made, and that API servers do not take.
    #[error("the API server does not take the bootstrap token that was made")]
    #[diagnostic(
        code(join::client::token),
        help("bootstrap tokens are off: API servers need `--enable-bootstrap-token-auth`; the token is deleted again")
    )]
    TokenRefused,
    /// Discovery that failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Discovery(#[from] DiscoveryError),
    /// Another object.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Answer(#[from] ConfigMapError),
    /// Configuration of kubelets that cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    KubeletConfig(#[from] KubeletConfigError),
    /// A join that is not to be had as a NodeConfig.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Conversion(#[from] ConversionError),
    /// Versions that do not go together.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Skew(#[from] UnsupportedSkew),
}

/// Client of one API server.
pub struct ApiClient {
    agent: Agent,
    server: String,
    token: Option<String>,
    asker: Asker,
}

/// Shows no token.
impl std::fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiClient({}, {:?})", self.server, self.asker)
    }
}

/// Kind of credentials that requests have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    /// None.
    Anonymous,
    /// A bootstrap token.
    Node,
    /// Those of a kubeconfig.
    User,
}

impl Asker {
    fn of(credentials: &Credentials) -> Self {
        match credentials {
            Credentials::None => Self::Anonymous,
            Credentials::Token(token) if token.parse::<BootstrapToken>().is_ok() => Self::Node,
            Credentials::Token(_) | Credentials::Certificate { .. } => Self::User,
        }
    }

    /// Remedy for an answer that says no.
    fn help(self, status: u16, path: &str) -> &'static str {
        match (status, self) {
            (401, Self::Anonymous) => {
                "the API server answers nobody without credentials (`--anonymous-auth=false`); use a discovery file (`kubeadm \
                 join --discovery-file FILE --tls-bootstrap-token TOKEN`) or `--kubeconfig FILE`"
            }
            (401, Self::Node) => {
                "the token has expired, or is of another cluster; `kubeadm token create` makes a new one"
            }
            (401, Self::User) => {
                "the credentials of the kubeconfig have expired, or are of another cluster: does `kubectl` take them?"
            }
            (403, Self::User) if path.starts_with(token_secret::PATH) => {
                "the user of the kubeconfig needs `create` on secrets in kube-system; use that of an administrator, \
                 /etc/kubernetes/admin.conf on a control-plane node"
            }
            (403, Self::User) => "the user of the kubeconfig may not read this; use that of an administrator",
            (403, _) => {
                "the rules of kubeadm are missing; on a control-plane node, `kubeadm init phase bootstrap-token` makes them"
            }
            (404, _) => {
                "a cluster that kubeadm did not make may not have it; use a discovery file: `kubeadm join --discovery-file FILE \
                 --tls-bootstrap-token TOKEN`"
            }
            (429 | 500.., _) => "the API server is busy or fails; try again",
            _ => "the endpoint has to be a Kubernetes API server",
        }
    }
}

impl ApiClient {
    /// Client of an API server that nobody vouches for yet.
    fn unverified(endpoint: &Endpoint) -> Self {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .disable_verification(true)
            .build();
        Self::with(endpoint, tls, None, Asker::Anonymous)
    }

    /// Client of an API server that some authorities vouch for.
    ///
    /// # Errors
    /// When the authorities or the credentials cannot be used.
    pub fn new(
        endpoint: &Endpoint,
        authorities: &ClusterAuthorities,
        credentials: &Credentials,
    ) -> Result<Self, ClientError> {
        let unusable = |error: ureq::Error| ClientError::Tls(error.to_string());
        let roots = certificates(authorities.pem()).map_err(unusable)?;
        let mut tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::Specific(Arc::new(roots)));
        let mut token = None;
        match credentials {
            Credentials::None => {}
            Credentials::Token(text) => token = Some(text.clone()),
            Credentials::Certificate { certificate, key } => {
                let identity = client_certificate::read(certificate.as_bytes(), key.as_bytes())?;
                tls = tls.client_cert(Some(identity));
            }
        }
        Ok(Self::with(endpoint, tls.build(), token, Asker::of(credentials)))
    }

    fn with(endpoint: &Endpoint, tls: TlsConfig, token: Option<String>, asker: Asker) -> Self {
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            // A token is for this server, not for where it may send us.
            .max_redirects(0)
            .build();
        Self {
            agent: agent.into(),
            server: endpoint.to_string(),
            token,
            asker,
        }
    }

    /// A request with the headers of all: the format of the answer, and the token.
    fn with_headers<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        let request = request.header("Accept", "application/json");
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    /// Answer to a GET request.
    ///
    /// # Errors
    /// When there is none, or one that says no.
    pub fn get(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        let request = self.with_headers(self.agent.get(self.url(path)));
        self.read(path, request.call())
    }

    /// Answer to a POST request with a JSON body.
    ///
    /// # Errors
    /// When there is none, or one that says no.
    pub fn create(&self, path: &str, object: &Value) -> Result<Vec<u8>, ClientError> {
        let request = self.with_headers(self.agent.post(self.url(path)));
        self.read(path, request.send_json(object))
    }

    /// Answer to a DELETE request.
    ///
    /// # Errors
    /// When there is none, or one that says no.
    pub fn delete(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        let request = self.with_headers(self.agent.delete(self.url(path)));
        self.read(path, request.call())
    }

    fn read(
        &self,
        path: &str,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Vec<u8>, ClientError> {
        let unanswered = |error: ureq::Error| unanswered(self.url(path), &error);
        let mut answer = answer.map_err(unanswered)?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(LARGEST).read_to_vec();
        let body = body.map_err(unanswered)?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        Err(ClientError::Status {
            message: exchange::message_in(&body),
            help: self.asker.help(status, path),
            url: self.url(path),
            status,
        })
    }
}

/// Error for a request that has no answer, by its cause.
fn unanswered(url: String, error: &ureq::Error) -> ClientError {
    let reason = error.to_string();
    match ConnectionDefect::of(error) {
        Some(ConnectionDefect::Certificate(defect)) => ClientError::Untrusted { url, defect },
        Some(ConnectionDefect::Plain) => ClientError::Plain { url },
        Some(ConnectionDefect::UnknownName) => ClientError::UnknownName { url, reason },
        Some(ConnectionDefect::Refused) | None => ClientError::Unreachable { url, reason },
    }
}

fn certificates(pem: &str) -> Result<Vec<Certificate<'static>>, ureq::Error> {
    let items = ureq::tls::parse_pem(pem.as_bytes());
    let mut certificates = Vec::new();
    for item in items {
        if let ureq::tls::PemItem::Certificate(certificate) = item? {
            certificates.push(certificate);
        }
    }
    Ok(certificates)
}

impl ClientError {
    /// Returns `true` if the same request may succeed later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::UnknownName { .. } | Self::Discovery(DiscoveryError::Unsigned { .. }) => {
                true
            }
            // A balancer answers so before its servers are there; a clock that is behind is about to be set.
            Self::Plain { .. } => true,
            Self::Untrusted { defect, .. } => *defect == CertificateDefect::NotYetValid,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    /// Returns `true` if the request may have been followed all the same: its answer was not read, or is that of a server that
    /// failed on the way, as one that waited too long for etcd.
    pub(crate) fn is_unsure(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Plain { .. } | Self::Status { status: 500.., .. }
        )
    }

    /// Returns `true` for an answer that there is no such object, or that it may not be read.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Status { status: 403 | 404, .. })
    }
}

/// Asks until there is an answer that does not change by itself, for as long as `patience`.
pub(crate) fn patiently<T>(patience: Duration, ask: impl Fn() -> Result<T, ClientError>) -> Result<T, ClientError> {
    let begin = Instant::now();
    loop {
        let answer = ask();
        let is_final = !matches!(&answer, Err(error) if error.may_pass());
        if is_final || begin.elapsed() + INTERVAL > patience {
            return answer;
        }
        sleep(INTERVAL);
    }
}

/// Discovery by token, in the way of kubeadm: the first answer over a connection that nobody vouches for, the second one
/// over a verified one. For as long as `patience`, an API server that does not answer, and one that has not signed with
/// this token yet, are asked again.
///
/// # Errors
/// When the API server does not answer or cannot be trusted.
pub fn discover(discovery: &TokenDiscovery, patience: Duration) -> Result<TrustedCluster, ClientError> {
    patiently(patience, || exchange::discover(&Requests, discovery))
}

/// Requests by a client that is made for each.
struct Requests;

impl ApiRequests for Requests {
    type Error = ClientError;

    fn get(
        &self,
        endpoint: &Endpoint,
        authorities: Option<&ClusterAuthorities>,
        credentials: &Credentials,
        path: &str,
    ) -> Result<Vec<u8>, ClientError> {
        match authorities {
            Some(authorities) => ApiClient::new(endpoint, authorities, credentials)?.get(path),
            None => ApiClient::unverified(endpoint).get(path),
        }
    }

    fn is_missing(error: &ClientError) -> bool {
        error.is_missing()
    }
}

/// Compares the version of a control plane with that of a kubelet, by the skew policy. `None` stands for a version that
/// cannot be read.
///
/// # Errors
/// When the API server does not answer for as long as `patience` or refuses the credentials, or the policy forbids the join.
pub fn check_skew(
    cluster: &TrustedCluster,
    credentials: &Credentials,
    kubelet: KubernetesVersion,
    patience: Duration,
) -> Result<Option<KubernetesVersion>, ClientError> {
    patiently(patience, || {
        exchange::check_skew(&Requests, cluster, credentials, kubelet)
    })
}

/// Settings of a cluster's kubelets for one of a version, read with the token of a node or by an administrator.
///
/// # Errors
/// When the API server does not answer for as long as `patience`, refuses the credentials, or has no settings that can be
/// used.
pub fn settings(
    cluster: &TrustedCluster,
    credentials: &Credentials,
    kubelet: KubernetesVersion,
    patience: Duration,
) -> Result<KubeletSettings, ClientError> {
    patiently(patience, || {
        exchange::settings(&Requests, cluster, credentials, kubelet)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_without_an_answer_are_told_by_their_causes() {
        let of = |error| unanswered("https://a.example:6443/version".to_owned(), &error);
        let of_tls = |error: rustls::Error| of(ureq::Error::Io(std::io::Error::other(error)));
        let expired = of_tls(rustls::Error::InvalidCertificate(rustls::CertificateError::Expired));
        assert!(
            expired.to_string().contains("it has expired") && matches!(expired, ClientError::Untrusted { .. }),
            "{expired}"
        );
        let plain = of_tls(rustls::Error::InvalidMessage(
            rustls::InvalidMessage::InvalidContentType,
        ));
        assert!(matches!(plain, ClientError::Plain { .. }), "{plain}");
        let words = "failed to lookup address information: Name or service not known";
        let unknown = of(ureq::Error::Io(std::io::Error::other(words)));
        assert!(matches!(unknown, ClientError::UnknownName { .. }), "{unknown}");
        let closed = of(ureq::Error::Io(std::io::ErrorKind::ConnectionRefused.into()));
        assert!(matches!(closed, ClientError::Unreachable { .. }), "{closed}");
        assert!(unknown.may_pass() && closed.may_pass() && !expired.may_pass());
        let early = of_tls(rustls::Error::InvalidCertificate(rustls::CertificateError::NotValidYet));
        let other = of_tls(rustls::Error::InvalidCertificate(
            rustls::CertificateError::UnknownIssuer,
        ));
        assert!(plain.may_pass() && early.may_pass() && !other.may_pass());
    }

    #[test]
    fn the_help_is_for_whoever_asks() {
        let asker = |token: &str| Asker::of(&Credentials::Token(token.to_owned()));
        let (node, user) = (asker("abcdef.0123456789abcdef"), asker("admin"));
        assert_eq!((node, user), (Asker::Node, Asker::User));
        assert_eq!(Asker::of(&Credentials::None), Asker::Anonymous);
        let certificate = Credentials::Certificate {
            certificate: String::new(),
            key: String::new(),
        };
        assert_eq!(Asker::of(&certificate), Asker::User);
        for (asker, status, path, words) in [
            (user, 403, token_secret::PATH, "needs `create` on secrets"),
            (user, 403, "/version", "may not read this"),
            (user, 401, "/version", "credentials of the kubeconfig"),
            (node, 401, "/version", "kubeadm token create"),
            (node, 403, "/version", "rules of kubeadm"),
            (Asker::Anonymous, 403, crate::cluster_info::PATH, "rules of kubeadm"),
            (Asker::Anonymous, 401, crate::cluster_info::PATH, "without credentials"),
            (user, 503, token_secret::PATH, "busy or fails"),
            (user, 301, "/version", "has to be a Kubernetes API server"),
        ] {
            let help = asker.help(status, path);
            assert!(help.contains(words), "{asker:?} {status} {path}: {help}");
        }
    }
}
