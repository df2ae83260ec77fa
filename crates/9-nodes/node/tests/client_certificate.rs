//! The kubelet's first client certificate, from an API server on loopback with TLS.

#![cfg(test)]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use api_server::{Answer, Authority, TOKEN, serve};
use basalt_node::client_certificate::{CertificateRequestError, obtain};
use basalt_node::plan::PlannedFile;
use basalt_node::{apply, identity, paths};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

#[path = "../../join/tests/api_server/mod.rs"]
#[expect(dead_code, reason = "some of it is for other tests")]
mod api_server;

/// Time that no answer here takes.
const LONG: Duration = Duration::from_secs(60);
const FIRST: &str = "/var/lib/kubelet/pki/kubelet-client-first.pem";

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

/// Cluster that has signed when it is asked for the third time.
fn signing(authority: &Authority) -> SocketAddr {
    // Of whom the certificate is, the machine does not look at.
    let certificate = STANDARD.encode(&authority.pem);
    serve(authority, &["127.0.0.1"], "127.0.0.1", &[], move |number, head, _| {
        assert!(head.contains(&format!("Bearer {TOKEN}")), "{head}");
        let asked = head.split(" HTTP").next().unwrap();
        match (number, asked) {
            (0, "POST /apis/certificates.k8s.io/v1/certificatesigningrequests") => request(json!({})),
            (1, "GET /apis/certificates.k8s.io/v1/certificatesigningrequests/csr-x1") => {
                request(json!({ "conditions": [{ "type": "Approved", "status": "True" }] }))
            }
            (2, _) => request(json!({ "certificate": certificate })),
            _ => (500, json!({ "message": format!("{number} {asked}") })),
        }
    })
}

/// Target of the kubelet's link to its certificate.
fn link(root: &Path) -> Option<std::path::PathBuf> {
    fs_err::read_link(apply::below(root, paths::CLIENT_CERTIFICATE)).ok()
}

#[test]
fn a_node_without_a_certificate_obtains_one() {
    let authority = Authority::root("kubernetes");
    let server = signing(&authority);
    let machine = machine(&authority, server);
    assert!(obtain(machine.path(), "worker-1", LONG).unwrap());
    assert_eq!(link(machine.path()).unwrap(), Path::new(FIRST));
    let file = apply::below(machine.path(), FIRST);
    assert!(identity::is_whole(&fs_err::read_to_string(&file).unwrap()));
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // Once there is one, nobody is asked.
    assert!(!obtain(machine.path(), "worker-1", LONG).unwrap());
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
fn a_refusal_leaves_nothing_behind() {
    let authority = Authority::root("kubernetes");
    let answers: [(Answer, Duration, &str); 4] = [
        (
            (401, json!({ "message": "Unauthorized" })),
            LONG,
            "answers 401: Unauthorized",
        ),
        (
            request(json!({ "conditions": [{ "type": "Denied", "status": "True", "message": "not you" }] })),
            LONG,
            "not you",
        ),
        (
            request(json!({})),
            Duration::ZERO,
            "nobody has signed the request csr-x1",
        ),
        (
            request(json!({ "certificate": STANDARD.encode("-----BEGIN CERTIFICATE-----") })),
            LONG,
            "no certificate",
        ),
    ];
    for (answer, patience, expected) in answers {
        let server = serve(&authority, &["127.0.0.1"], "127.0.0.1", &[], move |_, _, _| {
            answer.clone()
        });
        let machine = machine(&authority, server);
        let error = obtain(machine.path(), "worker-1", patience).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!apply::below(machine.path(), paths::KUBELET_PKI).exists(), "{expected}");
        assert!(!error.contains(TOKEN));
    }
}
