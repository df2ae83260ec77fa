//! Connection to an API server, from a kubeconfig.

use std::sync::Arc;
use std::time::Duration;

use basalt_document::Document;
use basalt_join::client_certificate;
use basalt_node_config::encoding::decode_base64;
use basalt_process::Command;
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic as _;
use serde::Deserialize;
use serde_json::Value;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::PreflightError;

mod failure;
mod kubeconfig;

pub(super) use failure::UnansweredRequest;
use kubeconfig::{Cluster, Exec, Kubeconfig, User};

/// Time-out of a request, its answer included.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Time-out of a credential plug-in.
const PLUGIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of an answer at most: a page of 500 objects of 1.5 MiB each, which etcd permits.
const LARGEST: u64 = 1 << 30;

/// Answer of an API server, whatever its status.
pub(super) struct PageAnswer {
    /// HTTP status.
    pub(super) status: u16,
    /// Time after which the server wants to be asked again (Retry-After).
    pub(super) retry_after: Option<Duration>,
    /// Body.
    pub(super) text: String,
}

/// Connection to an API server. Only GET requests are sent.
pub struct ApiConnection {
    agent: Agent,
    server: String,
    token: Option<String>,
}

/// Shows the server only.
impl std::fmt::Debug for ApiConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiConnection")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Credentials of a user.
#[derive(Default)]
struct Credentials {
    token: Option<String>,
    certificate: Option<(Vec<u8>, Vec<u8>)>,
}

/// Status of an ExecCredential (client.authentication.k8s.io/v1).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ExecStatus {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

impl ApiConnection {
    /// Connection of a context of a kubeconfig; of the current one if none is named. Credential plug-ins are run.
    ///
    /// # Errors
    /// When the file cannot be read, lacks something, or asks for what is not supported.
    pub fn open(path: &Utf8Path, context: Option<&str>) -> Result<Self, PreflightError> {
        let help = "--kubeconfig takes the kubeconfig of a cluster, such as ~/.kube/config";
        let text = fs_err::read_to_string(path).map_err(PreflightError::read(path, help))?;
        let reader = Reader {
            path,
            folder: path.parent().unwrap_or(Utf8Path::new(".")),
        };
        let config = reader.parse(&text)?;
        let (cluster, user) = reader.select(&config, context)?;
        let credentials = reader.credentials(user)?;
        let agent = reader.agent(cluster, credentials.certificate)?;
        Ok(Self {
            agent,
            server: cluster.server.trim_end_matches('/').to_owned(),
            token: credentials.token,
        })
    }

    /// URL of the API server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Answer to a GET request.
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<PageAnswer, UnansweredRequest> {
        let mut request = self.agent.get(format!("{}{path}", self.server));
        for (name, value) in query {
            request = request.query(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let unanswered = |error: ureq::Error| UnansweredRequest::of(&error);
        let mut answer = request.call().map_err(unanswered)?;
        let status = answer.status().as_u16();
        // In seconds. The other form, a date, would trust two clocks.
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let body = answer.body_mut().with_config().limit(LARGEST);
        Ok(PageAnswer {
            status,
            retry_after: retry_after.map(Duration::from_secs),
            text: body.read_to_string().map_err(unanswered)?,
        })
    }
}

/// Reader of a kubeconfig, whose relative paths are those of its folder.
struct Reader<'p> {
    path: &'p Utf8Path,
    folder: &'p Utf8Path,
}

impl Reader<'_> {
    fn error(&self, reason: impl Into<String>, help: impl Into<String>) -> PreflightError {
        PreflightError::Kubeconfig {
            path: self.path.to_owned(),
            reason: reason.into(),
            help: help.into(),
        }
    }

    /// Error for what this client cannot do, and kubectl can.
    fn unsupported(&self, what: &str) -> PreflightError {
        let help = "let kubectl do it: `kubectl get -A -o yaml daemonsets,deployments,statefulsets,cronjobs,jobs,pods,configmaps,pv,sc \
                    | basalt preflight -`, or `kubectl proxy` and a kubeconfig with its address";
        self.error(format!("{what} is not supported"), help)
    }

    fn parse(&self, text: &str) -> Result<Kubeconfig, PreflightError> {
        let documents = Document::parse_stream(self.path.as_str(), text)?;
        let json = documents
            .first()
            .map_or(Value::Null, |document| document.root().to_json());
        serde_json::from_value(json).map_err(|error| self.error(error.to_string(), "is it a kubeconfig?"))
    }

    fn select<'c>(
        &self,
        config: &'c Kubeconfig,
        context: Option<&str>,
    ) -> Result<(&'c Cluster, &'c User), PreflightError> {
        let name = context
            .or(config.current_context.as_deref())
            .filter(|name| !name.is_empty());
        let names = config
            .contexts
            .iter()
            .map(|context| context.name.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        let help = || format!("name one with --context: {names}");
        let name = name.ok_or_else(|| self.error("it has no current context", help()))?;
        let context = config.contexts.iter().find(|context| context.name == name);
        let context = context.ok_or_else(|| self.error(format!("it has no context `{name}`"), help()))?;
        let cluster = config
            .clusters
            .iter()
            .find(|cluster| cluster.name == context.context.cluster);
        let user = config.users.iter().find(|user| user.name == context.context.user);
        match (cluster, user) {
            (Some(cluster), Some(user)) => Ok((&cluster.cluster, &user.user)),
            _ => Err(self.error(
                format!("the context `{name}` names a cluster or a user that is not there"),
                "add it, or name another context",
            )),
        }
    }

    /// Bytes of a file, or of Base64.
    fn bytes(&self, data: Option<&String>, file: Option<&Utf8PathBuf>) -> Result<Option<Vec<u8>>, PreflightError> {
        if let Some(data) = data.filter(|data| !data.is_empty()) {
            let wrong = || self.error("a field that ends in `-data` is not Base64", "write the file anew");
            return decode_base64(data.as_bytes()).map(Some).ok_or_else(wrong);
        }
        let Some(file) = file.filter(|file| !file.as_str().is_empty()) else {
            return Ok(None);
        };
        let path = self.folder.join(file);
        let help = "the kubeconfig names it; relative paths are relative to its folder";
        fs_err::read(&path).map(Some).map_err(PreflightError::read(&path, help))
    }

    fn credentials(&self, user: &User) -> Result<Credentials, PreflightError> {
        if user.username.is_some() || user.auth_provider.is_some() {
            return Err(self.unsupported("a user with a password or an auth-provider"));
        }
        if let Some(exec) = &user.exec {
            return self.run(exec);
        }
        let file = self.bytes(None, user.token_file.as_ref())?;
        let file = file.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        let certificate = self.bytes(user.client_certificate_data.as_ref(), user.client_certificate.as_ref())?;
        let key = self.bytes(user.client_key_data.as_ref(), user.client_key.as_ref())?;
        Ok(Credentials {
            token: file.or_else(|| user.token.clone()).filter(|token| !token.is_empty()),
            certificate: certificate.zip(key),
        })
    }

    /// Runs a credential plug-in.
    fn run(&self, exec: &Exec) -> Result<Credentials, PreflightError> {
        let info = serde_json::json!({
            "apiVersion": exec.api_version,
            "kind": "ExecCredential",
            "spec": { "interactive": false },
        });
        let mut command = Command::new(&exec.command)
            .args(&exec.args)
            .env("KUBERNETES_EXEC_INFO", info.to_string());
        for variable in exec.env.iter().flatten() {
            command = command.env(&variable.name, &variable.value);
        }
        let failed = |reason: String| {
            self.error(
                format!("the credential plug-in `{}` failed: {reason}", exec.command),
                "run kubectl once, and look what it says",
            )
        };
        let output = command
            .time_limit(PLUGIN_TIMEOUT)
            .output()
            .map_err(|error| failed(error.to_string()))?;
        let value: Value = serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
        let status = value.get("status").cloned().unwrap_or_default();
        let status: ExecStatus = serde_json::from_value(status).map_err(|error| failed(error.to_string()))?;
        let pem = |text: Option<String>| text.map(String::into_bytes);
        Ok(Credentials {
            token: status.token,
            certificate: pem(status.client_certificate_data).zip(pem(status.client_key_data)),
        })
    }

    fn agent(&self, cluster: &Cluster, certificate: Option<(Vec<u8>, Vec<u8>)>) -> Result<Agent, PreflightError> {
        if cluster.tls_server_name.is_some() {
            return Err(self.unsupported("tls-server-name"));
        }
        let mut tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .disable_verification(cluster.insecure_skip_tls_verify);
        let authority = self.bytes(
            cluster.certificate_authority_data.as_ref(),
            cluster.certificate_authority.as_ref(),
        )?;
        if let Some(authority) = authority {
            tls = tls.root_certs(RootCerts::Specific(Arc::new(self.certificates(&authority)?)));
        }
        if let Some((certificate, key)) = certificate {
            let identity = client_certificate::read(&certificate, &key).map_err(|error| {
                let help = error.help().map(|help| help.to_string());
                self.error(error.to_string(), help.unwrap_or_default())
            })?;
            tls = tls.client_cert(Some(identity));
        }
        let mut config = Agent::config_builder()
            .tls_config(tls.build())
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false);
        if let Some(url) = &cluster.proxy_url {
            let proxy =
                ureq::Proxy::new(url).map_err(|error| self.error(format!("proxy-url: {error}"), "correct it"))?;
            config = config.proxy(Some(proxy));
        }
        Ok(config.build().into())
    }

    fn certificates(&self, pem: &[u8]) -> Result<Vec<Certificate<'static>>, PreflightError> {
        let items = parse_pem(pem).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        let certificates: Vec<_> = items.collect();
        if certificates.is_empty() {
            return Err(self.error("a certificate is no PEM", "write the file anew"));
        }
        Ok(certificates)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// As kubectl takes it from a block of YAML.
    #[test]
    fn base64_may_be_broken_into_lines() {
        let (path, folder) = (Utf8Path::new("kubeconfig"), Utf8Path::new("."));
        let read = |data: &str| Reader { path, folder }.bytes(Some(&data.to_owned()), None);
        assert_eq!(read("aGVs\nbG8=\n").unwrap().as_deref(), Some(&b"hello"[..]));
        assert!(read("aGVs_G8=").unwrap_err().to_string().contains("not Base64"));
    }

    /// ureq would panic with it at the first request.
    #[test]
    fn a_client_certificate_that_tls_does_not_take_is_refused() {
        let encode = |text: &str| STANDARD.encode(text);
        let certificate = encode(include_str!("../../../join/tests/vectors/client-v1.pem"));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'}}}}]\n\
             contexts: [{{name: a, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{client-certificate-data: \
             {certificate}, client-key-data: {}}}}}]\n",
            encode("no key")
        );
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(folder.path().join("kubeconfig")).unwrap();
        fs_err::write(&path, text).unwrap();
        let error = ApiConnection::open(&path, None).unwrap_err();
        assert!(error.to_string().contains("X.509 version 1"), "{error}");
        assert!(error.help().unwrap().to_string().contains("kubeadm kubeconfig user"));
    }
}
