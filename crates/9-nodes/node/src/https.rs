//! HTTPS requests to API servers: one request, one answer, one connection, all of it within a time.
//!
//! Not through an HTTP client of others, which would be in every image: the exchange is that of [`crate::http`].

use std::io;
use std::net::ToSocketAddrs as _;
use std::sync::Arc;
use std::time::Duration;

use basalt_join::certificate_defect::CertificateDefect;
use basalt_node_config::address::Endpoint;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, StreamOwned,
};

pub use crate::http::HttpAnswer;
use crate::http::{DeadlineStream, HttpError, HttpLimits, HttpRequest, converse};

/// Bounds of an exchange. A node with its 50 images takes a hundredth of the largest answer.
pub const LIMITS: HttpLimits = HttpLimits {
    connect: Duration::from_secs(5),
    answer: Duration::from_secs(15),
    largest: 4 << 20,
};

/// Client of API servers.
pub struct HttpsClient {
    tls: Arc<ClientConfig>,
    /// Bearer token.
    token: Option<String>,
    limits: HttpLimits,
}

/// Request without an answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// Credentials or authorities that TLS cannot use; in words.
    #[error("{0}")]
    Unusable(String),
    /// A certificate that the authorities do not vouch for, or that is for another name; in words.
    #[error("{0}")]
    Untrusted(String),
    /// No connection, or one that broke.
    #[error("{0}")]
    Unreachable(#[from] io::Error),
}

/// Never shows the token.
impl std::fmt::Debug for HttpsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpsClient").finish_non_exhaustive()
    }
}

impl HttpsClient {
    /// Client that trusts these authorities. `client` has a client certificate with its key. All are in PEM.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn new(authorities: &[u8], client: Option<&[u8]>, token: Option<String>) -> Result<Self, HttpsError> {
        let unusable = |error: &dyn std::fmt::Display| HttpsError::Unusable(error.to_string());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(authorities).flatten());
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_root_certificates(roots);
        let tls = match client {
            Some(pem) => {
                let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
                let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| unusable(&error))?;
                let chain = chain.map_err(|error| unusable(&error))?;
                let config = builder.with_client_auth_cert(chain, key);
                config.map_err(|error| unusable(&error))?
            }
            None => builder.with_no_client_auth(),
        };
        let tls = Arc::new(tls);
        Ok(Self {
            tls,
            token,
            limits: LIMITS,
        })
    }

    /// Client that trusts whoever answers, for what is verified in another way afterwards. It has no credentials.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn unverified() -> Result<Self, HttpsError> {
        let provider = provider();
        let verifier = Anybody(provider.clone());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| HttpsError::Unusable(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        let tls = Arc::new(tls);
        Ok(Self {
            tls,
            token: None,
            limits: LIMITS,
        })
    }

    /// The client with other bounds of an exchange.
    #[must_use]
    pub fn with_limits(self, limits: HttpLimits) -> Self {
        Self { limits, ..self }
    }

    /// Answer to a GET request for a path.
    ///
    /// # Errors
    /// When there is none, or none that is whole.
    pub fn get(&self, endpoint: &Endpoint, path: &str) -> Result<HttpAnswer, HttpsError> {
        self.ask(endpoint, "GET", path, "")
    }

    /// Answer to a POST request with an object in JSON.
    ///
    /// # Errors
    /// As [`HttpsClient::get`].
    pub fn post(&self, endpoint: &Endpoint, path: &str, object: &serde_json::Value) -> Result<HttpAnswer, HttpsError> {
        self.ask(endpoint, "POST", path, &object.to_string())
    }

    fn ask(&self, endpoint: &Endpoint, method: &str, path: &str, body: &str) -> Result<HttpAnswer, HttpsError> {
        self.exchange(endpoint, method, path, body)
            .map_err(|error| match error {
                HttpError::NoAnswer(error) => classify(endpoint, error),
                HttpError::TooLarge(_) => HttpsError::Unreachable(io::Error::other(error)),
            })
    }

    fn exchange(&self, endpoint: &Endpoint, method: &str, path: &str, body: &str) -> Result<HttpAnswer, HttpError> {
        let name = ServerName::try_from(endpoint.host.clone()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(self.tls.clone(), name).map_err(io::Error::other)?;
        // A resolver has bounds of its own.
        let addresses: Vec<_> = (endpoint.host.as_str(), endpoint.port).to_socket_addrs()?.collect();
        let mut stream = StreamOwned::new(connection, DeadlineStream::connect(&addresses, &self.limits)?);
        // With its port, and brackets around an IPv6 address.
        let host = endpoint.to_string();
        let host = host.trim_start_matches("https://");
        let authorization = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = vec![("Accept", "application/json")];
        headers.extend(authorization.as_deref().map(|value| ("Authorization", value)));
        if !body.is_empty() {
            headers.push(("Content-Type", "application/json"));
        }
        let request = HttpRequest {
            method,
            host,
            path,
            headers: &headers,
            body,
        };
        converse(&mut stream, &request, self.limits.largest)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Tells a server that is somebody else from one that is away.
fn classify(endpoint: &Endpoint, error: io::Error) -> HttpsError {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let Some(Error::InvalidCertificate(fault)) = cause else {
        return HttpsError::Unreachable(error);
    };
    let host = &endpoint.host;
    match CertificateDefect::of(fault) {
        CertificateDefect::Issuer => HttpsError::Untrusted(format!(
            "the certificate of {host} is not signed by the cluster's authorities"
        )),
        CertificateDefect::Names => HttpsError::Untrusted(format!(
            "its certificate is for other names than {host}: use a name or an address that it has"
        )),
        // A clock that is set later makes another verdict of it.
        CertificateDefect::Expired | CertificateDefect::NotYetValid => HttpsError::Unreachable(io::Error::other(
            format!("the certificate of {host} is not valid at the time of this machine's clock"),
        )),
        CertificateDefect::Other(_) => HttpsError::Unreachable(error),
    }
}

/// Verifier that takes any certificate, if its owner signs with its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown() {
        let client = HttpsClient::new(b"", None, Some("abcdef.0123456789abcdef".to_owned())).unwrap();
        assert!(!format!("{client:?}").contains("0123"));
    }
}
