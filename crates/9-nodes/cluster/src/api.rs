//! Client of the Kubernetes API server, for reading its readiness and its objects.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

use crate::ClusterError;
use crate::pki::{CertificateAuthority, Pki};

/// Time-out of one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client of the API server.
#[derive(Debug, Clone)]
pub struct Api {
    agent: Agent,
    server: String,
}

impl Api {
    /// Makes a client that presents the certificate of `user` to the API server.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn new(pki: &Pki, user: &str, server: impl Into<String>) -> Result<Self, ClusterError> {
        let unreadable = |path: camino::Utf8PathBuf| {
            move |error: ureq::Error| crate::pki::PkiError::Unreadable {
                path,
                reason: error.to_string(),
            }
        };
        let certificate = |name: &str| -> Result<Certificate<'static>, ClusterError> {
            let path = pki.certificate(name);
            let text = pki.read(&path)?;
            Ok(Certificate::from_pem(text.as_bytes()).map_err(unreadable(path))?)
        };
        let key_path = pki.key(user);
        let key = pki.read(&key_path)?;
        let key = PrivateKey::from_pem(key.as_bytes()).map_err(unreadable(key_path))?;
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::Specific(Arc::new(vec![certificate(
                CertificateAuthority::Cluster.name(),
            )?])))
            .client_cert(Some(ClientCert::new_with_certs(&[certificate(user)?], key)))
            .build();
        // A proxy that the user set up for the internet cannot lead to a cluster on this machine.
        let agent = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .timeout_global(Some(TIMEOUT))
            .build();
        Ok(Self {
            agent: agent.into(),
            server: server.into(),
        })
    }

    /// Checks the readiness of the API server (`/readyz`).
    pub fn is_ready(&self) -> bool {
        self.agent.get(format!("{}/readyz", self.server)).call().is_ok()
    }

    /// Number of the API server's readiness checks that pass (`/readyz?verbose`); 0 when it does not answer.
    pub(crate) fn passed_checks(&self) -> usize {
        let request = self.agent.get(format!("{}/readyz?verbose", self.server));
        // As long as one of them fails, the status is 500.
        let request = request.config().http_status_as_error(false).build();
        let text = request.call().and_then(|mut answer| answer.body_mut().read_to_string());
        passed(&text.unwrap_or_default())
    }

    /// Reads an object, or a list of objects, by its path in the API.
    ///
    /// # Errors
    /// When the API server does not answer, or answers with an error.
    pub fn get(&self, path: &str) -> Result<Value, ClusterError> {
        let url = format!("{}{path}", self.server);
        self.agent
            .get(&url)
            .call()
            .and_then(|mut answer| answer.body_mut().read_json())
            .map_err(|source| ClusterError::Api {
                doing: format!("GET {url}"),
                source: Box::new(source),
            })
    }

    /// Reads a text by its path, as the logs of a node; `timeout` is for the whole answer.
    ///
    /// # Errors
    /// When the API server does not answer in time, or answers with an error.
    pub fn text(&self, path: &str, timeout: Duration) -> Result<String, ClusterError> {
        let url = format!("{}{path}", self.server);
        self.agent
            .get(&url)
            .config()
            .timeout_global(Some(timeout))
            .build()
            .call()
            .and_then(|mut answer| answer.body_mut().read_to_string())
            .map_err(|source| ClusterError::Api {
                doing: format!("GET {url}"),
                source: Box::new(source),
            })
    }

    /// Reads an object as [`Api::get`] does; `None` when it does not exist (HTTP status 404).
    ///
    /// # Errors
    /// When the API server does not answer.
    pub fn find(&self, path: &str) -> Result<Option<Value>, ClusterError> {
        match self.get(path) {
            Err(ClusterError::Api { source, .. }) if matches!(*source, ureq::Error::StatusCode(404)) => Ok(None),
            answer => answer.map(Some),
        }
    }
}

/// Number of passed checks in the text of `/readyz?verbose`: lines `[+]name ok`, beside `[-]name failed`.
fn passed(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("[+]")).count()
}

/// Sends a GET request over plain HTTP; returns status and body, whatever the status.
pub(crate) fn page(url: &str) -> Result<(u16, String), ureq::Error> {
    let agent: Agent = Agent::config_builder()
        .proxy(None)
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        // A Service gives each new connection to another pod, and one that is kept always to the same.
        .max_idle_connections(0)
        .build()
        .into();
    let mut answer = agent.get(url).call()?;
    let body = answer.body_mut().read_to_string()?;
    Ok((answer.status().as_u16(), body))
}

#[cfg(test)]
mod tests {
    use super::passed;

    #[test]
    fn passed_checks_are_counted() {
        for (text, expected) in [
            ("", 0),
            ("ok", 0),
            (
                "[+]ping ok\n[+]log ok\n[-]etcd failed: reason withheld\nreadyz check failed\n",
                2,
            ),
        ] {
            assert_eq!(passed(text), expected, "{text:?}");
        }
    }
}
