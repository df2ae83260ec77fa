//! One question to the API server: whether it holds this node Ready, with the kubelet's own certificate.
//!
//! The kubelet says on loopback that it is well whether its cluster knows of it or not. Only the API server's record of
//! the node shows that a pod could be scheduled here, and only the boot id in it shows that it is of this boot: a node
//! that was Ready stays so for the better part of a minute after its machine was switched off.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use basalt_node_config::address::Endpoint;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde::{Deserialize, Serialize};

use crate::apply::{Applied, below};
use crate::paths;

/// Time-out of connecting, and of each read and write.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The most of an answer that is read, in bytes. A node with its 50 images takes a hundredth of that.
const LARGEST: u64 = 4 << 20;

/// Answer of the API server about this node, as far as one was had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ApiAnswer {
    /// No question: the kubelet has no client certificate yet.
    NoCertificate,
    /// The node is Ready, in this boot.
    Ready,
    /// The node is not Ready, or the record is of an earlier boot; in words.
    NotReady(String),
    /// The certificate is refused (HTTP 401).
    Rejected,
    /// No answer, or none that can be relied on; in words.
    Unreachable(String),
}

/// Asks the API server of the applied NodeConfig about this node.
pub fn ask(root: &Path, applied: &Applied) -> ApiAnswer {
    let Ok(client) = fs_err::read(below(root, paths::CLIENT_CERTIFICATE)) else {
        return ApiAnswer::NoCertificate;
    };
    let boot = fs_err::read_to_string(below(root, "/proc/sys/kernel/random/boot_id")).unwrap_or_default();
    let asked = || -> io::Result<Vec<u8>> {
        let authorities = fs_err::read(below(root, paths::CLUSTER_CA))?;
        let config = configuration(&authorities, &client).map_err(io::Error::other)?;
        fetch(
            config,
            &applied.endpoint,
            &format!("/api/v1/nodes/{}", applied.hostname),
        )
    };
    match asked() {
        Ok(answer) => judge(&answer, boot.trim()),
        Err(error) => ApiAnswer::Unreachable(error.to_string()),
    }
}

/// TLS with these authorities, and a file with both a client certificate and its key, all in PEM.
fn configuration(authorities: &[u8], client: &[u8]) -> Result<ClientConfig, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(authorities).flatten());
    let chain = CertificateDer::pem_slice_iter(client).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(client)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    Ok(config)
}

/// The answer to a GET of a path, with its head. HTTP/1.0, so that it comes in one piece and the connection ends with
/// it.
fn fetch(config: ClientConfig, endpoint: &str, path: &str) -> io::Result<Vec<u8>> {
    let endpoint: Endpoint = endpoint
        .parse()
        .map_err(|_| io::Error::other(format!("{endpoint} is no endpoint")))?;
    let name = ServerName::try_from(endpoint.host.clone()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let socket = connect(&endpoint)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    let mut stream = StreamOwned::new(connection, socket);
    // With its port, and brackets around an IPv6 address.
    let host = endpoint.to_string();
    let host = host.trim_start_matches("https://");
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\nUser-Agent: basalt-node\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut answer = Vec::new();
    match stream.take(LARGEST).read_to_end(&mut answer) {
        // Not every server ends TLS in order when it hangs up.
        Err(error) if answer.is_empty() || error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(answer),
    }
}

/// A connection to the first address of an endpoint that takes one.
fn connect(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let mut failed = io::Error::other(format!("{} has no address", endpoint.host));
    for address in (endpoint.host.as_str(), endpoint.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    conditions: Vec<Condition>,
    node_info: NodeInfo,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeInfo {
    #[serde(rename = "bootID")]
    boot_id: String,
}

/// Reading of an HTTP answer about a node, in a boot with this id.
fn judge(answer: &[u8], boot: &str) -> ApiAnswer {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&*text, ""));
    let mut words = head.split_whitespace();
    let version = words.next().unwrap_or_default();
    match words.next() {
        Some("200") if version.starts_with("HTTP/") => {}
        Some("401") => return ApiAnswer::Rejected,
        Some("404") => return ApiAnswer::NotReady("the cluster has no node of this name yet".to_owned()),
        Some("403") => {
            return ApiAnswer::NotReady("the cluster does not let the node read its own record (403)".to_owned());
        }
        status => return ApiAnswer::Unreachable(format!("the API server answers {}", status.unwrap_or("nonsense"))),
    }
    let Ok(node) = serde_json::from_str::<Node>(body) else {
        return ApiAnswer::Unreachable("the API server's answer is no node".to_owned());
    };
    if node.status.node_info.boot_id != boot {
        return ApiAnswer::NotReady("the kubelet has not reported since this boot".to_owned());
    }
    match node
        .status
        .conditions
        .iter()
        .find(|condition| condition.kind == "Ready")
    {
        Some(ready) if ready.status == "True" => ApiAnswer::Ready,
        Some(ready) => ApiAnswer::NotReady(ready.message.clone()),
        None => ApiAnswer::NotReady("the node has no condition Ready yet".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::address::Wanted;

    fn answer(status: &str, body: &str) -> Vec<u8> {
        format!("HTTP/1.0 {status}\r\nContent-Type: application/json\r\n\r\n{body}").into_bytes()
    }

    fn node(ready: &str, boot: &str) -> Vec<u8> {
        let body = format!(
            r#"{{"kind":"Node","status":{{"conditions":[{{"type":"MemoryPressure","status":"False"}},
            {{"type":"Ready","status":"{ready}","message":"because"}}],"nodeInfo":{{"bootID":"{boot}"}}}}}}"#
        );
        answer("200 OK", &body)
    }

    #[test]
    fn table() {
        let not_ready = |why: &str| ApiAnswer::NotReady(why.to_owned());
        assert_eq!(judge(&node("True", "b1"), "b1"), ApiAnswer::Ready);
        assert_eq!(judge(&node("False", "b1"), "b1"), not_ready("because"));
        assert_eq!(judge(&node("Unknown", "b1"), "b1"), not_ready("because"));
        // Ready before the machine started again.
        assert_eq!(
            judge(&node("True", "b0"), "b1"),
            not_ready("the kubelet has not reported since this boot")
        );
        assert_eq!(judge(&answer("401 Unauthorized", "{}"), "b1"), ApiAnswer::Rejected);
        for (status, body) in [("404 Not Found", ""), ("403 Forbidden", ""), ("200 OK", "{}")] {
            assert!(
                matches!(judge(&answer(status, body), "b1"), ApiAnswer::NotReady(_)),
                "{status}"
            );
        }
        for (status, body) in [("500 Internal Server Error", ""), ("200 OK", "null"), ("200 OK", "")] {
            assert!(
                matches!(judge(&answer(status, body), "b1"), ApiAnswer::Unreachable(_)),
                "{status} {body}"
            );
        }
        assert!(matches!(judge(b"", "b1"), ApiAnswer::Unreachable(_)));
        assert!(matches!(
            judge(b"SSH-2.0 200\r\n\r\n{}", "b1"),
            ApiAnswer::Unreachable(_)
        ));
    }

    proptest! {
        #[test]
        fn only_an_answer_of_this_boot_is_ready(bytes: Vec<u8>, text in ".*") {
            prop_assert_ne!(judge(&bytes, "b1"), ApiAnswer::Ready);
            prop_assert_ne!(judge(&answer("200 OK", &text), "b1"), ApiAnswer::Ready);
        }
    }

    #[test]
    fn without_a_certificate_nobody_is_asked() {
        let root = tempfile::tempdir().unwrap();
        let applied = Applied {
            origin: "test".to_owned(),
            hostname: "n".to_owned(),
            endpoint: "https://127.0.0.1:1".to_owned(),
            wanted: Wanted::default(),
            files: Vec::new(),
            warnings: Vec::new(),
        };
        assert_eq!(ask(root.path(), &applied), ApiAnswer::NoCertificate);
    }

    #[test]
    fn a_server_is_asked_with_the_certificate() {
        use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, "kubernetes");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        let leaf = |names: Vec<String>| {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(names)
                .unwrap()
                .signed_by(&key, &authority)
                .unwrap();
            (certificate, key)
        };
        let (server, server_key) = leaf(vec!["127.0.0.1".to_owned()]);
        let (client, client_key) = leaf(vec!["client".to_owned()]);

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::from_pem_slice(server_key.serialize_pem().as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![server.der().clone()], key)
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = std::thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = StreamOwned::new(connection, socket);
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(&node("True", "b1")).unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });

        let pem = client.pem() + &client_key.serialize_pem();
        let config = configuration(authority.pem().as_bytes(), pem.as_bytes()).unwrap();
        let answer = fetch(config, &format!("https://127.0.0.1:{port}"), "/api/v1/nodes/n").unwrap();
        assert_eq!(judge(&answer, "b1"), ApiAnswer::Ready);
        let expected = format!("GET /api/v1/nodes/n HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n");
        assert!(served.join().unwrap().starts_with(&expected));
    }
}
