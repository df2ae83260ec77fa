//! Connection to a server: TLS, time-outs, credentials.

use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2::{RequestMetadata, ToolDetails};
use prost::Message as _;
use tonic::metadata::{Ascii, Binary, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use crate::error::{CacheError, chain};
use crate::location::{Server, TokenSource};
use crate::retry::CallLimits;

/// HTTP/2 flow-control window in bytes, of a stream and of the whole connection.
const WINDOW: u32 = 1 << 20;
const WINDOWS: u32 = 8 << 20;

/// Header in which REAPI clients say who they are.
const REQUEST_METADATA: &str = "build.bazel.remote.execution.v2.requestmetadata-bin";

/// Channel whose requests bear the credentials.
pub(super) type Authorized = InterceptedService<Channel, Headers>;

/// Headers of every request.
#[derive(Clone)]
pub(super) struct Headers {
    authorization: Option<MetadataValue<Ascii>>,
    client: MetadataValue<Binary>,
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert_bin(REQUEST_METADATA, self.client.clone());
        if let Some(authorization) = &self.authorization {
            metadata.insert("authorization", authorization.clone());
        }
        Ok(request)
    }
}

/// Prepares a channel; it connects when it is first used. To be called inside a tokio runtime.
pub(super) fn connect(server: &Server, limits: &CallLimits) -> Result<Authorized, CacheError> {
    let cache = server.to_string();
    let unsupported = |error: tonic::transport::Error| CacheError::Unsupported {
        cache: cache.clone(),
        why: chain(&error),
    };
    let scheme = if server.tls { "https" } else { "http" };
    let host = match server.host.contains(':') {
        true => format!("[{}]", server.host),
        false => server.host.clone(),
    };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{host}:{}", server.port))
        .and_then(|endpoint| endpoint.user_agent(concat!("basalt/", env!("CARGO_PKG_VERSION"))))
        .map_err(unsupported)?
        .connect_timeout(limits.connect)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(Duration::from_secs(60)))
        .http2_keep_alive_interval(Duration::from_secs(60))
        .keep_alive_timeout(limits.call)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOWS)
        .http2_max_header_list_size(32 << 10);
    if server.tls {
        endpoint = endpoint.tls_config(tls(server)?).map_err(unsupported)?;
    }
    let headers = Headers {
        authorization: server.token.as_ref().map(authorization).transpose()?,
        client: client(),
    };
    Ok(InterceptedService::new(endpoint.connect_lazy(), headers))
}

fn tls(server: &Server) -> Result<ClientTlsConfig, CacheError> {
    let config = ClientTlsConfig::new().domain_name(server.host.clone());
    match &server.ca {
        None => Ok(config.with_webpki_roots()),
        Some(path) => {
            let pem = fs_err::read(path).map_err(CacheError::io("cannot read the certificate authorities", path))?;
            Ok(config.ca_certificate(Certificate::from_pem(pem)))
        }
    }
}

fn client() -> MetadataValue<Binary> {
    let metadata = RequestMetadata {
        tool_details: Some(ToolDetails {
            tool_name: "basalt".to_owned(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        }),
        ..Default::default()
    };
    MetadataValue::from_bytes(&metadata.encode_to_vec())
}

/// The header with the token, marked so that no layer logs it.
fn authorization(source: &TokenSource) -> Result<MetadataValue<Ascii>, CacheError> {
    let token = match source {
        TokenSource::File(path) => {
            fs_err::read_to_string(path).map_err(CacheError::io("cannot read the token", path))?
        }
        TokenSource::Environment(name) => std::env::var(name).map_err(|_| CacheError::Token {
            origin: format!("the variable {name}"),
            why: "is not set",
        })?,
    };
    let wrong = |why| {
        let origin = match source {
            TokenSource::File(path) => format!("the file {path}"),
            TokenSource::Environment(name) => format!("the variable {name}"),
        };
        CacheError::Token { origin, why }
    };
    let token = token.lines().next().unwrap_or_default().trim();
    if token.is_empty() {
        return Err(wrong("is empty"));
    }
    let mut header = MetadataValue::try_from(format!("Bearer {token}"))
        .map_err(|_| wrong("holds characters that no header may hold"))?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_and_never_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = camino::Utf8PathBuf::from_path_buf(folder.path().join("token")).expect("UTF-8");
        let source = TokenSource::File(path.clone());
        assert!(matches!(authorization(&source), Err(CacheError::Io { .. })));
        fs_err::write(&path, "s3cret \nmore\n").expect("writes");
        let header = authorization(&source).expect("a token");
        assert_eq!(header.to_str().ok(), Some("Bearer s3cret"));
        assert!(!format!("{header:?}").contains("s3cret"));
        for wrong in ["", "\n", "s3\u{1}cret"] {
            fs_err::write(&path, wrong).expect("writes");
            let error = authorization(&source).expect_err(wrong);
            assert!(!error.to_string().contains("cret"));
        }
        let unset = TokenSource::Environment("BASALT_NO_SUCH_VARIABLE".to_owned());
        assert!(matches!(authorization(&unset), Err(CacheError::Token { .. })));
    }
}
