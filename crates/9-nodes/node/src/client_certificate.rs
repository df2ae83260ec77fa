//! The kubelet's first client certificate, requested while containerd starts.
//!
//! A kubelet without one requests it itself. Until it has it, it asks the API server for everything else in vain, and waits
//! longer each time before it asks again: 0.8 s and more for its lists of nodes, Services and pods
//! (client-go, tools/cache/reflector.go), 0.1 s and more for its registration; and it looks once a second whether the
//! certificate is there (pkg/kubelet/certificate/transport.go; all of Kubernetes 1.37). One that finds a certificate at its
//! start waits for nothing. What goes wrong here is told and no more: the kubelet does as it would have done.

use std::path::Path;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use basalt_node_config::address::Endpoint;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::{Value, json};
use x509_cert::attr::Attributes;
use x509_cert::der::{Encode as _, EncodePem as _};
use x509_cert::name::Name;
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_cert::spki::{DynSignatureAlgorithmIdentifier as _, SignatureBitStringEncoding as _, SubjectPublicKeyInfo};

use crate::apply::{self, ApplyError, below};
use crate::https::{HttpAnswer, HttpsClient, HttpsError};
use crate::plan::PlannedFile;
use crate::{identity, paths};

/// Collection of certificate signing requests in the API.
const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/// File of the certificate, beside those that the kubelet names by their dates.
const FILE: &str = "/var/lib/kubelet/pki/kubelet-client-first.pem";
/// Link that becomes [`paths::CLIENT_CERTIFICATE`]. The kubelet finishes what an interruption leaves of it.
const LINK: &str = "/var/lib/kubelet/pki/kubelet-client-updated.pem";

/// Pause between two looks at the request.
const INTERVAL: Duration = Duration::from_millis(200);
/// Time for which a signature is waited for. Where people approve requests, the kubelet has to wait by itself.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Certificate that was not obtained.
#[derive(Debug, thiserror::Error)]
pub enum CertificateRequestError {
    /// The kubeconfig of the first contact cannot be read.
    #[error("{} has no address or no token", paths::BOOTSTRAP_KUBECONFIG)]
    Bootstrap,
    /// The key or the request could not be made; in words.
    #[error("cannot make a certificate request: {0}")]
    Make(String),
    /// No answer.
    #[error(transparent)]
    Https(#[from] HttpsError),
    /// An answer that says no, or that is no request.
    #[error("the API server answers {status}: {message}")]
    Answer {
        /// HTTP status.
        status: u16,
        /// Message of the API server.
        message: String,
    },
    /// The request was denied, or could not be signed; in the cluster's words.
    #[error("the request was refused: {0}")]
    Refused(String),
    /// Nobody has signed the request in time.
    #[error("nobody has signed the request {0} yet")]
    Late(String),
    /// What was signed is no certificate.
    #[error("the cluster's answer is no certificate")]
    Certificate,
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] ApplyError),
}

/// Obtains a certificate for the kubelet of a node that has none; returns `true` if it did. A node that has one, or that
/// does not join with a token, is left alone.
///
/// # Errors
/// When the cluster does not answer, refuses, or takes longer than `patience`.
pub fn obtain(root: &Path, hostname: &str, patience: Duration) -> Result<bool, CertificateRequestError> {
    let current = below(root, paths::CLIENT_CERTIFICATE);
    if current.symlink_metadata().is_ok() || !below(root, paths::BOOTSTRAP_KUBECONFIG).exists() {
        return Ok(false);
    }
    let contact = FirstContact::read(root)?;
    let request = CertificateRequest::make(hostname)?;
    let certificate = contact.sign(&request, patience)?;
    let content = format!("{}\n{}", certificate.trim_end(), request.key);
    if !identity::is_whole(&content) {
        return Err(CertificateRequestError::Certificate);
    }
    let file = PlannedFile {
        path: FILE.to_owned(),
        mode: 0o600,
        content,
    };
    apply::write(root, &file)?;
    let link = below(root, LINK);
    apply::remove(link.clone())?;
    let linked = fs_err::os::unix::fs::symlink(FILE, &link).and_then(|()| fs_err::rename(&link, &current));
    linked.map_err(|source| ApplyError::Write { path: current, source })?;
    Ok(true)
}

/// Certificate request with its key.
struct CertificateRequest {
    /// Key in PEM (PKCS 8).
    key: String,
    /// Request in PEM (PKCS 10).
    request: String,
}

impl CertificateRequest {
    /// Makes the request of a node, with a new key.
    fn make(hostname: &str) -> Result<Self, CertificateRequestError> {
        let failed = |error: &dyn std::fmt::Display| CertificateRequestError::Make(error.to_string());
        let key = SigningKey::try_generate().map_err(|error| failed(&error))?;
        // The organization comes first in it: the order in text is the other one (RFC 4514).
        let subject = Name::from_str(&format!("CN=system:node:{hostname},O=system:nodes"));
        let info = CertReqInfo {
            version: Version::V1,
            subject: subject.map_err(|error| failed(&error))?,
            public_key: SubjectPublicKeyInfo::from_key(key.verifying_key()).map_err(|error| failed(&error))?,
            attributes: Attributes::default(),
        };
        let text = info.to_der().map_err(|error| failed(&error))?;
        let signature: DerSignature = key.try_sign(&text).map_err(|error| failed(&error))?;
        let request = CertReq {
            info,
            algorithm: key.signature_algorithm_identifier().map_err(|error| failed(&error))?,
            signature: signature.to_bitstring().map_err(|error| failed(&error))?,
        };
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| failed(&error))?;
        Ok(Self {
            key: pem.to_string(),
            request: request.to_pem(LineEnding::LF).map_err(|error| failed(&error))?,
        })
    }

    /// The object for the API server, as the kubelet makes it for a key of this kind.
    fn object(&self) -> Value {
        json!({
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": { "generateName": "csr-" },
            "spec": {
                "request": STANDARD.encode(&self.request),
                "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
                "usages": ["digital signature", "client auth"],
            },
        })
    }
}

/// Access to the cluster before the node has a certificate.
struct FirstContact {
    endpoint: Endpoint,
    client: HttpsClient,
}

impl FirstContact {
    fn read(root: &Path) -> Result<Self, CertificateRequestError> {
        let unreadable = || CertificateRequestError::Bootstrap;
        let read = |path: &str| fs_err::read(below(root, path)).map_err(|_| unreadable());
        let kubeconfig: Value =
            serde_json::from_slice(&read(paths::BOOTSTRAP_KUBECONFIG)?).map_err(|_| unreadable())?;
        let text = |pointer: &str| {
            kubeconfig
                .pointer(pointer)
                .and_then(Value::as_str)
                .ok_or_else(unreadable)
        };
        let endpoint = text("/clusters/0/cluster/server")?.parse();
        let token = text("/users/0/user/token")?.to_owned();
        Ok(Self {
            endpoint: endpoint.map_err(|_| unreadable())?,
            client: HttpsClient::new(&read(paths::CLUSTER_CA)?, None, Some(token))?,
        })
    }

    /// Has a request signed; returns the certificate in PEM.
    fn sign(&self, request: &CertificateRequest, patience: Duration) -> Result<String, CertificateRequestError> {
        let deadline = Instant::now() + patience;
        let mut object = read_object(&self.client.post(&self.endpoint, REQUESTS, &request.object())?)?;
        let name = object
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        loop {
            if let Some(certificate) = judge(&object)? {
                return Ok(certificate);
            }
            if Instant::now() >= deadline {
                return Err(CertificateRequestError::Late(name));
            }
            std::thread::sleep(INTERVAL);
            object = read_object(&self.client.get(&self.endpoint, &format!("{REQUESTS}/{name}"))?)?;
        }
    }
}

/// The object in an answer.
fn read_object(answer: &HttpAnswer) -> Result<Value, CertificateRequestError> {
    let object: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let is_request = object.pointer("/kind").and_then(Value::as_str) == Some("CertificateSigningRequest");
    if (200..300).contains(&answer.status) && is_request {
        return Ok(object);
    }
    let message = object
        .get("message")
        .and_then(Value::as_str)
        .unwrap_or("no reason is given");
    Err(CertificateRequestError::Answer {
        status: answer.status,
        message: message.to_owned(),
    })
}

/// The certificate that a request was answered with, if it was by now.
fn judge(object: &Value) -> Result<Option<String>, CertificateRequestError> {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let refused = conditions.into_iter().flatten().find(|condition| {
        let is = |key: &str, wanted: &[&str]| {
            let value = condition.get(key).and_then(Value::as_str).unwrap_or_default();
            wanted.contains(&value)
        };
        is("type", &["Denied", "Failed"]) && is("status", &["True"])
    });
    if let Some(condition) = refused {
        let message = condition
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or("no reason is given");
        return Err(CertificateRequestError::Refused(message.to_owned()));
    }
    let Some(text) = object.pointer("/status/certificate").and_then(Value::as_str) else {
        return Ok(None);
    };
    let certificate = STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    certificate.map(Some).ok_or(CertificateRequestError::Certificate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use x509_cert::der::{DecodePem as _, Encode as _};

    use super::*;

    #[test]
    fn a_request_is_that_of_a_kubelet() {
        let made = CertificateRequest::make("worker-1").unwrap();
        let request = CertReq::from_pem(&made.request).unwrap();
        let subject = request.info.subject.to_string();
        assert_eq!(subject, "CN=system:node:worker-1,O=system:nodes");
        // Names and addresses are refused by the signer.
        assert!(request.info.attributes.is_empty());
        let object = made.object();
        let pem = STANDARD.decode(object["spec"]["request"].as_str().unwrap()).unwrap();
        assert_eq!(pem, made.request.as_bytes());
        assert_eq!(
            object["spec"]["signerName"],
            "kubernetes.io/kube-apiserver-client-kubelet"
        );
    }

    #[test]
    fn a_request_is_signed_with_its_key() {
        use p256::ecdsa::signature::Verifier as _;
        let made = CertificateRequest::make("worker-1").unwrap();
        let request = CertReq::from_pem(&made.request).unwrap();
        let key = <SigningKey as p256::pkcs8::DecodePrivateKey>::from_pkcs8_pem(&made.key).unwrap();
        let signature = DerSignature::try_from(request.signature.raw_bytes()).unwrap();
        let text = request.info.to_der().unwrap();
        key.verifying_key().verify(&text, &signature).unwrap();
        assert_ne!(made.key, CertificateRequest::make("worker-1").unwrap().key);
    }

    #[test]
    fn verdicts() {
        let condition = |kind: &str, status: &str| json!([{ "type": kind, "status": status, "message": "because" }]);
        let object = |status: Value| json!({ "kind": "CertificateSigningRequest", "status": status });
        for pending in [
            json!({}),
            object(json!({})),
            object(json!({ "conditions": condition("Approved", "True") })),
            object(json!({ "conditions": condition("Denied", "False") })),
        ] {
            assert_eq!(judge(&pending).unwrap(), None, "{pending}");
        }
        for kind in ["Denied", "Failed"] {
            let refused = object(json!({ "conditions": condition(kind, "True") }));
            let error = judge(&refused).unwrap_err();
            assert!(
                matches!(&error, CertificateRequestError::Refused(why) if why == "because"),
                "{error}"
            );
        }
        let issued =
            object(json!({ "certificate": STANDARD.encode("PEM"), "conditions": condition("Approved", "True") }));
        assert_eq!(judge(&issued).unwrap().as_deref(), Some("PEM"));
        for strange in ["%", "/w=="] {
            let error = judge(&object(json!({ "certificate": strange }))).unwrap_err();
            assert!(matches!(error, CertificateRequestError::Certificate), "{error}");
        }
    }

    #[test]
    fn an_answer_that_is_no_request_is_an_error() {
        let answer = |status, body: Value| HttpAnswer {
            status,
            body: body.to_string().into_bytes(),
        };
        let request = json!({ "kind": "CertificateSigningRequest" });
        assert!(read_object(&answer(201, request.clone())).is_ok());
        for (status, body) in [
            (403, json!({ "kind": "Status", "message": "no" })),
            (200, json!({ "kind": "Status" })),
            (500, request),
        ] {
            assert!(read_object(&answer(status, body.clone())).is_err(), "{status} {body}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(body: Vec<u8>, text in ".*") {
            let answer = HttpAnswer { status: 200, body };
            prop_assert!(read_object(&answer).is_err());
            let _ = judge(&json!({ "status": { "certificate": text, "conditions": [text] } }));
        }
    }
}
