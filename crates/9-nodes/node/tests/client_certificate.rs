//! The kubelet's first client certificate, from an API server on loopback with TLS.

#![cfg(test)]

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use api_server::{Answer, Authority, TOKEN, serve};
use basalt_node::client_certificate::{CertificateRequestError, Patience, obtain, take_late};
use basalt_node::identity::{self, NodeCertificate};
use basalt_node::plan::PlannedFile;
use basalt_node::{apply, paths};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateSigningRequestParams, DnType, KeyPair};
use serde_json::{Value, json};

#[path = "../../join/tests/api_server/mod.rs"]
#[expect(dead_code, reason = "some of it is for other tests")]
mod api_server;

/// Times that no answer here takes.
const LONG: Patience = Patience {
    signature: Duration::from_secs(60),
    whole: Duration::from_secs(60),
};
/// No time for a signature.
const SHORT: Patience = Patience {
    signature: Duration::ZERO,
    ..LONG
};
/// Name of the file in the folder of the kubelet's certificates.
const FIRST: &str = "kubelet-client-first.pem";

/// Machine that knows its cluster.
fn machine(authority: &Authority, server: SocketAddr) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let kubeconfig = json!({
        "clusters": [{ "cluster": { "server": format!("https://{server}") } }],
        "users": [{ "user": { "token": TOKEN } }],
    });
    write(root.path(), paths::CLUSTER_CA, authority.pem.clone());
    write(root.path(), paths::BOOTSTRAP_KUBECONFIG, kubeconfig.to_string());
    root
}

fn write(root: &Path, path: &str, content: String) {
    let file = PlannedFile {
        path: path.to_owned(),
        mode: 0o600,
        content,
    };
    apply::write(root, &file).unwrap();
}

fn request(status: Value) -> Answer {
    let object = json!({ "kind": "CertificateSigningRequest", "metadata": { "name": "csr-x1" }, "status": status });
    (201, object)
}

/// Status of a request that is signed.
fn signed(pem: &str) -> Value {
    json!({ "certificate": STANDARD.encode(pem) })
}

/// Certificate that a request to the API server asks for.
fn asked(head: &str) -> CertificateSigningRequestParams {
    let (_, body) = head.split_once('{').unwrap();
    let object: Value = serde_json::from_str(&format!("{{{body}")).unwrap();
    let request = STANDARD.decode(object["spec"]["request"].as_str().unwrap()).unwrap();
    CertificateSigningRequestParams::from_pem(std::str::from_utf8(&request).unwrap()).unwrap()
}

/// Cluster that has signed the last request when it is asked for it in these requests, by their numbers.
fn cluster(authority: &Authority, signed_at: &'static [usize], gone_at: &'static [usize]) -> SocketAddr {
    let signer = Authority::root("signer");
    let certificate = Mutex::new(String::new());
    serve(authority, &["127.0.0.1"], "127.0.0.1", &[], move |number, head, _| {
        assert!(head.contains(&format!("Bearer {TOKEN}")), "{head}");
        let mut certificate = certificate.lock().unwrap();
        match head.split(" HTTP").next().unwrap() {
            "POST /apis/certificates.k8s.io/v1/certificatesigningrequests" => {
                *certificate = asked(head).signed_by(&signer.issuer).unwrap().pem();
                request(json!({}))
            }
            "GET /apis/certificates.k8s.io/v1/certificatesigningrequests/csr-x1" => {
                if gone_at.contains(&number) {
                    return (404, json!({ "kind": "Status", "message": "not found" }));
                }
                if signed_at.contains(&number) {
                    return request(signed(&certificate));
                }
                request(json!({ "conditions": [{ "type": "Approved", "status": "True" }] }))
            }
            other => (500, json!({ "message": format!("{number} {other}") })),
        }
    })
}

/// Target of the kubelet's link to its certificate.
fn link(root: &Path) -> Option<std::path::PathBuf> {
    fs_err::read_link(apply::below(root, paths::CLIENT_CERTIFICATE)).ok()
}

fn exists(root: &Path, path: &str) -> bool {
    apply::below(root, path).exists()
}

#[test]
fn a_node_without_a_certificate_obtains_one() {
    use std::os::unix::fs::PermissionsExt as _;
    let authority = Authority::root("kubernetes");
    let machine = machine(&authority, cluster(&authority, &[2], &[]));
    let root = machine.path();
    // Of an interrupted start.
    let folder = apply::below(root, paths::KUBELET_PKI);
    fs_err::create_dir_all(&folder).unwrap();
    for name in ["kubelet-client-updated.pem", "kubelet-client-current.pem"] {
        fs_err::os::unix::fs::symlink("nowhere.pem", folder.join(name)).unwrap();
    }
    assert!(obtain(root, "worker-1", LONG).unwrap());
    assert_eq!(link(root).unwrap(), Path::new(FIRST));
    let file = folder.join(FIRST);
    let content = fs_err::read_to_string(&file).unwrap();
    assert!(identity::is_whole(&content));
    let certificate = NodeCertificate::read(&content).unwrap();
    assert_eq!(certificate.node.as_deref(), Some("worker-1"));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!exists(root, paths::PENDING_REQUEST));
    // Once there is one, nobody is asked.
    assert!(!obtain(root, "worker-1", LONG).unwrap());
}

#[test]
fn a_request_that_is_signed_late_is_not_made_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let authority = Authority::root("kubernetes");
    // Number 1 is the look of the second start, number 2 that of the third one.
    let machine = machine(&authority, cluster(&authority, &[2], &[]));
    let root = machine.path();
    for patience in [SHORT, LONG] {
        let error = obtain(root, "worker-1", patience).unwrap_err();
        assert!(
            matches!(&error, CertificateRequestError::Late(name) if name == "csr-x1"),
            "{error}"
        );
        let pending = apply::below(root, paths::PENDING_REQUEST);
        assert_eq!(pending.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!exists(root, paths::KUBELET_PKI));
    }
    assert!(obtain(root, "worker-1", SHORT).unwrap());
    assert!(exists(root, paths::CLIENT_CERTIFICATE) && !exists(root, paths::PENDING_REQUEST));
}

#[test]
fn a_certificate_that_is_signed_late_is_taken_beside_the_kubelet() {
    let authority = Authority::root("kubernetes");
    let machine = machine(&authority, cluster(&authority, &[2], &[]));
    let root = machine.path();
    assert!(!take_late(root, "worker-1").unwrap());
    obtain(root, "worker-1", SHORT).unwrap_err();
    assert!(!take_late(root, "worker-1").unwrap());
    assert!(!exists(root, paths::CLIENT_CERTIFICATE));
    assert!(take_late(root, "worker-1").unwrap());
    assert!(exists(root, paths::CLIENT_CERTIFICATE) && !exists(root, paths::PENDING_REQUEST));
    // Nobody is asked for more, nor when the kubelet had its own sooner.
    write(root, paths::PENDING_REQUEST, "{}".to_owned());
    assert!(!take_late(root, "worker-1").unwrap());
}

#[test]
fn a_request_that_is_gone_is_made_again() {
    let authority = Authority::root("kubernetes");
    // 0: made; 1: gone; 2: made again; 3: signed.
    let machine = machine(&authority, cluster(&authority, &[3], &[1]));
    obtain(machine.path(), "worker-1", SHORT).unwrap_err();
    assert!(obtain(machine.path(), "worker-1", LONG).unwrap());
}

#[test]
fn a_machine_that_joins_otherwise_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    assert!(!obtain(root.path(), "worker-1", LONG).unwrap());
    write(root.path(), paths::BOOTSTRAP_KUBECONFIG, "{}".to_owned());
    let error = obtain(root.path(), "worker-1", LONG).unwrap_err();
    assert!(matches!(error, CertificateRequestError::Bootstrap), "{error}");
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for() {
    let authority = Authority::root("kubernetes");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let machine = machine(&authority, silent.local_addr().unwrap());
    let patience = Patience {
        whole: Duration::from_millis(50),
        ..LONG
    };
    let error = obtain(machine.path(), "worker-1", patience).unwrap_err();
    assert!(matches!(error, CertificateRequestError::Slow(_)), "{error}");
}

#[test]
fn a_refusal_leaves_nothing_behind() {
    let authority = Authority::root("kubernetes");
    let answers: [(Answer, &str); 4] = [
        ((401, json!({ "message": "Unauthorized" })), "answers 401: Unauthorized"),
        (
            request(json!({ "conditions": [{ "type": "Denied", "status": "True", "message": "not you" }] })),
            "not you",
        ),
        (request(signed("-----BEGIN CERTIFICATE-----")), "no certificate"),
        (
            (
                201,
                json!({ "kind": "CertificateSigningRequest", "metadata": { "name": "../x" } }),
            ),
            "no name",
        ),
    ];
    for (answer, expected) in answers {
        let server = serve(&authority, &["127.0.0.1"], "127.0.0.1", &[], move |_, _, _| {
            answer.clone()
        });
        let machine = machine(&authority, server);
        let error = obtain(machine.path(), "worker-1", LONG).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!exists(machine.path(), paths::KUBELET_PKI), "{expected}");
        assert!(!error.contains(TOKEN));
    }
}

/// A kubelet does not start with a certificate that does not go with its key.
#[test]
fn certificates_of_others_are_not_taken() {
    let other_key = |asked: CertificateSigningRequestParams, signer: &Authority| {
        let key = KeyPair::generate().unwrap();
        asked.params.signed_by(&key, &signer.issuer).unwrap().pem()
    };
    let other_name = |mut asked: CertificateSigningRequestParams, signer: &Authority| {
        let name = "system:node:worker-2";
        asked.params.distinguished_name.push(DnType::CommonName, name);
        asked.signed_by(&signer.issuer).unwrap().pem()
    };
    let signers: [fn(CertificateSigningRequestParams, &Authority) -> String; 2] = [other_key, other_name];
    for answer in signers {
        let authority = Authority::root("kubernetes");
        let signer = Authority::root("signer");
        let server = serve(&authority, &["127.0.0.1"], "127.0.0.1", &[], move |_, head, _| {
            request(signed(&answer(asked(head), &signer)))
        });
        let machine = machine(&authority, server);
        let error = obtain(machine.path(), "worker-1", LONG).unwrap_err();
        assert!(matches!(error, CertificateRequestError::Certificate), "{error}");
        assert!(!exists(machine.path(), paths::KUBELET_PKI));
    }
}
