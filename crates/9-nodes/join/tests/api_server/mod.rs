//! API server of tests on loopback, with TLS, and an authority that signs its certificates.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use basalt_join::authorities::ClusterAuthorities;
use basalt_join::pin::PinSet;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use sha2::Sha256;

/// Token that signs.
pub const TOKEN: &str = "abcdef.0123456789abcdef";

/// Certificate authority, and what it signs.
pub struct Authority {
    /// Its certificate.
    pub pem: String,
    /// Its key and name, for what it signs.
    pub issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn parameters(name: &str) -> CertificateParams {
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        parameters
    }

    /// An authority that signs itself.
    pub fn root(name: &str) -> Self {
        let (parameters, key) = (Self::parameters(name), KeyPair::generate().unwrap());
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(parameters, key),
        }
    }

    /// An authority that this one signs.
    pub fn intermediate(&self, name: &str) -> Self {
        let (parameters, key) = (Self::parameters(name), KeyPair::generate().unwrap());
        let pem = parameters.signed_by(&key, &self.issuer).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(parameters, key),
        }
    }

    /// Pin of its key.
    pub fn pins(&self) -> PinSet {
        PinSet::new(
            ClusterAuthorities::from_pem(&self.pem)
                .unwrap()
                .iter()
                .map(|one| one.pin)
                .collect(),
        )
    }
}

/// Answer to a request: status and body.
pub type Answer = (u16, Value);

/// In the place of a status: the connection is closed without an answer.
pub const NO_ANSWER: u16 = 0;
/// In the place of a status: the connection is closed in the middle of the answer.
pub const HALF_AN_ANSWER: u16 = 1;

/// Starts an API server on an address, with a certificate for names; `answer` gets the number of the request, from 0, and
/// its first line with the authorization after it.
pub fn serve(
    authority: &Authority,
    names: &[&str],
    address: &str,
    chain: &[&Authority],
    answer: impl Fn(usize, &str, SocketAddr) -> Answer + Send + Sync + 'static,
) -> SocketAddr {
    let parameters = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = parameters.signed_by(&key, &authority.issuer).unwrap();
    let mut certificates = vec![leaf.der().clone()];
    for authority in chain {
        use rustls::pki_types::pem::PemObject as _;
        certificates.push(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind((address, 0)).unwrap();
    let bound = listener.local_addr().unwrap();
    let requests = AtomicUsize::new(0);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = BufReader::new(rustls::StreamOwned::new(connection, stream));
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                match stream.read_line(&mut line) {
                    Ok(read) if read > 0 && !line.trim().is_empty() => {}
                    Ok(0) | Err(_) => break,
                    Ok(_) => break,
                }
                let lower = line.to_ascii_lowercase();
                if head.is_empty() || lower.starts_with("authorization:") {
                    head.push_str(&line);
                }
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            if head.is_empty() {
                continue;
            }
            let mut body = vec![0; length];
            let _ = std::io::Read::read_exact(&mut stream, &mut body);
            head.push_str(&String::from_utf8_lossy(&body));
            let (status, body) = answer(requests.fetch_add(1, Ordering::SeqCst), &head, bound);
            let body = body.to_string();
            let shown = if status == HALF_AN_ANSWER { 200 } else { status };
            let mut text = format!(
                "HTTP/1.1 {shown} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            match status {
                NO_ANSWER => text.clear(),
                HALF_AN_ANSWER => text.truncate(text.len() - 1),
                _ => {}
            }
            let stream = stream.get_mut();
            let _ = stream.write_all(text.as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    bound
}

/// Kubeconfig of cluster-info.
pub fn kubeconfig(pem: &str, server: SocketAddr) -> String {
    let data = STANDARD.encode(pem);
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: \"\"\n  cluster:\n    certificate-authority-data: {data}\n    server: https://{server}\n"
    )
}

/// ConfigMap cluster-info, signed by a token.
pub fn cluster_info(pem: &str, server: SocketAddr) -> Value {
    let kubeconfig = kubeconfig(pem, server);
    let (id, secret) = TOKEN.split_once('.').unwrap();
    let header = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"HS256\",\"kid\":\"{id}\"}}"));
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{header}.{}", URL_SAFE_NO_PAD.encode(&kubeconfig)).as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    let key = format!("jws-kubeconfig-{id}");
    json!({ "kind": "ConfigMap", "data": { "kubeconfig": kubeconfig, key: format!("{header}..{signature}") } })
}
