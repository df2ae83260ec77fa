//! The agent's HTTPS client against a server on loopback.

#![cfg(test)]

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use basalt_node::http::HttpLimits;
use basalt_node::https::{HttpsClient, HttpsError, LIMITS};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{RootCertStore, StreamOwned};

#[test]
fn a_server_is_asked_with_the_certificate() {
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
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
            .unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });

    let pem = client.pem() + &client_key.serialize_pem();
    let client = HttpsClient::new(authority.pem().as_bytes(), Some(pem.as_bytes()), None).unwrap();
    let endpoint = format!("https://127.0.0.1:{port}").parse().unwrap();
    let answer = client.get(&endpoint, "/api/v1/nodes/n").unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
    let expected = format!("GET /api/v1/nodes/n HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
    assert!(served.join().unwrap().starts_with(&expected));
}

#[test]
fn a_server_that_sends_a_byte_now_and_then_does_not_move_the_deadline() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        // The head of a record of the handshake with 16 KiB, of which a byte comes now and then until the client hangs up.
        let _ = socket.write_all(&[0x16, 0x03, 0x03, 0x40, 0x00]);
        while socket.write_all(&[2]).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let limits = HttpLimits {
        answer: Duration::from_millis(500),
        ..LIMITS
    };
    let client = HttpsClient::unverified().unwrap().with_limits(limits);
    let endpoint = format!("https://127.0.0.1:{port}").parse().unwrap();
    let start = Instant::now();
    let error = client.get(&endpoint, "/version").unwrap_err();
    assert!(
        matches!(&error, HttpsError::Unreachable(why) if why.kind() == std::io::ErrorKind::TimedOut),
        "{error}"
    );
    assert!(
        start.elapsed() + Duration::from_millis(50) >= limits.answer,
        "{:?}",
        start.elapsed()
    );
}
