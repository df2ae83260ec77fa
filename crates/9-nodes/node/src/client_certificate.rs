//! The kubelet's first client certificate, requested while containerd starts.
//!
//! A kubelet without one requests it itself. Until it has it, it asks the API server for everything else in vain, and waits
//! longer each time before it asks again: 0.8 s and more for its lists of nodes, Services and pods
//! (client-go, tools/cache/reflector.go), 0.1 s and more for its registration; and it looks once a second whether the
//! certificate is there (pkg/kubelet/certificate/transport.go; all of Kubernetes 1.37). One that finds a certificate at its
//! start waits for nothing. What goes wrong here is told and no more: the kubelet does as it would have done.
//!
//! A request that nobody signs in time is not made again in the same boot: where people approve requests, there is one of the
//! agent and one of the kubelet. It is enough to approve one: [`crate::boot`] looks whether the agent's was signed, and has the
//! kubelet start again with it.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use basalt_join::exchange::message_of;
use basalt_node_config::address::Endpoint;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::apply::{self, ApplyError, below};
use crate::cluster_requests::short;
use crate::https::{HttpAnswer, HttpsClient, HttpsError};
use crate::identity::{self, NodeCertificate};
use crate::paths;
use crate::plan::PlannedFile;

mod signing_request;

use signing_request::{CertificateRequest, public_key};

/// Collection of certificate signing requests in the API.
const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/// File of the certificate in [`paths::KUBELET_PKI`], beside those that the kubelet names by their dates.
const FILE: &str = "kubelet-client-first.pem";
/// Link there that becomes [`paths::CLIENT_CERTIFICATE`]. The kubelet finishes what an interruption leaves of it.
const LINK: &str = "kubelet-client-updated.pem";

/// Pauses between looks at the request: the first one, doubled each time, and the longest one.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(400)];

/// Times that a kubelet waits for its first certificate here.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Time for which a signature is waited for. Where people approve requests, the kubelet has to wait by itself.
    pub signature: Duration,
    /// Time after which the request is given up, whatever it waits for. Names that are looked up, connections and answers
    /// have time-outs of their own, which add up.
    pub whole: Duration,
}

/// Times of a boot.
pub const PATIENCE: Patience = Patience {
    signature: Duration::from_secs(3),
    whole: Duration::from_secs(5),
};

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
    /// The cluster has not answered to the end in time.
    #[error("the cluster takes longer than {0:?}")]
    Slow(Duration),
    /// An answer without a certificate, or with one that is not this node's, or not of this key.
    #[error("the cluster's answer is no certificate for this node")]
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
pub fn obtain(root: &Path, hostname: &str, patience: Patience) -> Result<bool, CertificateRequestError> {
    if below(root, paths::CLIENT_CERTIFICATE).exists() || !below(root, paths::BOOTSTRAP_KUBECONFIG).exists() {
        return Ok(false);
    }
    let (sender, receiver) = mpsc::channel();
    let (root, hostname) = (root.to_owned(), hostname.to_owned());
    let work = move || {
        // Nobody listens any more when it took too long.
        let _ = sender.send(request(&root, &hostname, patience.signature));
    };
    std::thread::Builder::new()
        .spawn(work)
        .map_err(|error| CertificateRequestError::Make(error.to_string()))?;
    let slow = Err(CertificateRequestError::Slow(patience.whole));
    receiver.recv_timeout(patience.whole).unwrap_or(slow)?;
    Ok(true)
}

/// Requests a certificate, or looks at a request of an earlier start of the kubelet, and writes what was signed.
fn request(root: &Path, hostname: &str, patience: Duration) -> Result<(), CertificateRequestError> {
    let end = Instant::now() + patience;
    let contact = FirstContact::read(root)?;
    let (key, certificate) = match contact.earlier(root)? {
        Some(signed) => signed,
        None => {
            let (pending, object) = contact.request(root, hostname)?;
            let certificate = contact.wait(&pending.name, object, end)?;
            (pending.key, certificate)
        }
    };
    write(root, hostname, &certificate, &key)
}

/// Takes a certificate that was signed after the kubelet has started, for which the kubelet has to start again; returns `true`
/// if there was one. The kubelet waits for a certificate of its own meanwhile, and nobody may ever sign that.
///
/// # Errors
/// When the cluster does not answer or refuses.
pub fn take_late(root: &Path, hostname: &str) -> Result<bool, CertificateRequestError> {
    let exists = |path: &str| below(root, path).exists();
    if exists(paths::CLIENT_CERTIFICATE) || !exists(paths::PENDING_REQUEST) {
        return Ok(false);
    }
    match FirstContact::read(root)?.earlier(root) {
        Ok(Some((key, certificate))) => {
            write(root, hostname, &certificate, &key)?;
            Ok(true)
        }
        Ok(None) | Err(CertificateRequestError::Late(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes a certificate and its key where the kubelet looks for them, as it does it itself. One that the kubelet could not
/// start with is not written.
fn write(root: &Path, hostname: &str, certificate: &str, key: &str) -> Result<(), CertificateRequestError> {
    let content = format!("{}\n{key}", certificate.trim_end());
    let facts = NodeCertificate::read(&content);
    let is_of_this_node = facts.is_some_and(|facts| facts.node.as_deref() == Some(hostname));
    if !is_of_this_node || !identity::is_whole(&content) || !identity::is_for(&content, &public_key(key)?) {
        return Err(CertificateRequestError::Certificate);
    }
    apply::write(
        root,
        &PlannedFile::secret(format!("{}/{FILE}", paths::KUBELET_PKI), content),
    )?;
    make_current(root, FILE)?;
    // When the API server refuses this certificate one day, another one is requested.
    Ok(apply::remove(below(root, paths::PENDING_REQUEST))?)
}

/// Makes a file of [`paths::KUBELET_PKI`] the certificate that the kubelet uses: by a link, as the kubelet does it itself.
///
/// # Errors
/// When the link cannot be written.
pub(crate) fn make_current(root: &Path, file: &str) -> Result<(), ApplyError> {
    let folder = below(root, paths::KUBELET_PKI);
    let (link, current) = (folder.join(LINK), below(root, paths::CLIENT_CERTIFICATE));
    apply::remove(link.clone())?;
    let linked = || {
        fs_err::os::unix::fs::symlink(file, &link)?;
        fs_err::rename(&link, &current)?;
        // The token may be gone when the next boot asks for another.
        fs_err::File::open(&folder)?.sync_all()
    };
    linked().map_err(|source| ApplyError::Write {
        path: current.clone(),
        source,
    })
}

/// Request that was made and is not signed, as far as this node knows. The key in it is a secret: there is no `Debug`.
#[derive(Serialize, Deserialize)]
struct PendingRequest {
    /// Name of the object in the API.
    name: String,
    /// Key in PEM (PKCS 8).
    key: String,
}

impl PendingRequest {
    fn read(root: &Path) -> Option<Self> {
        serde_json::from_slice(&fs_err::read(below(root, paths::PENDING_REQUEST)).ok()?).ok()
    }

    fn write(&self, root: &Path) -> Result<(), ApplyError> {
        let content = serde_json::to_string(self).unwrap_or_default() + "\n";
        apply::write(root, &PlannedFile::secret(paths::PENDING_REQUEST, content))
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

    /// Makes a request, and remembers it; returns it with its object.
    fn request(&self, root: &Path, hostname: &str) -> Result<(PendingRequest, Value), CertificateRequestError> {
        let made = CertificateRequest::make(hostname)?;
        let object = read_object(&self.client.post(&self.endpoint, REQUESTS, &made.object())?)?;
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        // It becomes part of a path.
        let is_name = |name: &&str| {
            let is_in_names = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
            !name.is_empty() && name.chars().all(is_in_names)
        };
        let name = name.filter(is_name).ok_or_else(|| CertificateRequestError::Answer {
            status: 201,
            message: "the request has no name".to_owned(),
        })?;
        let pending = PendingRequest {
            name: name.to_owned(),
            key: made.key,
        };
        pending.write(root)?;
        Ok((pending, object))
    }

    /// Key and certificate of a request of this boot that nobody had signed in time; none when there is no such request any
    /// more. It is not waited for once more.
    fn earlier(&self, root: &Path) -> Result<Option<(String, String)>, CertificateRequestError> {
        let Some(pending) = PendingRequest::read(root) else {
            return Ok(None);
        };
        match self.look(&pending.name) {
            Err(CertificateRequestError::Answer { status: 404, .. }) => {
                apply::remove(below(root, paths::PENDING_REQUEST))?;
                Ok(None)
            }
            Err(error) => Err(error),
            Ok(object) => match judge(&object)? {
                Some(certificate) => Ok(Some((pending.key, certificate))),
                None => Err(CertificateRequestError::Late(pending.name)),
            },
        }
    }

    /// Waits until a request is signed, or until a moment has come; returns the certificate in PEM.
    fn wait(&self, name: &str, mut object: Value, end: Instant) -> Result<String, CertificateRequestError> {
        let [mut pause, longest] = PAUSES;
        loop {
            if let Some(certificate) = judge(&object)? {
                return Ok(certificate);
            }
            if Instant::now() >= end {
                return Err(CertificateRequestError::Late(name.to_owned()));
            }
            std::thread::sleep(pause);
            pause = pause.saturating_mul(2).min(longest);
            object = self.look(name)?;
        }
    }

    /// The object of a request.
    fn look(&self, name: &str) -> Result<Value, CertificateRequestError> {
        read_object(&self.client.get(&self.endpoint, &format!("{REQUESTS}/{name}"))?)
    }
}

/// The object in an answer.
fn read_object(answer: &HttpAnswer) -> Result<Value, CertificateRequestError> {
    let object: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let is_request = object.pointer("/kind").and_then(Value::as_str) == Some("CertificateSigningRequest");
    if (200..300).contains(&answer.status) && is_request {
        return Ok(object);
    }
    Err(CertificateRequestError::Answer {
        status: answer.status,
        message: short(message_of(&object)),
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
        return Err(CertificateRequestError::Refused(short(message_of(condition))));
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
    use serde_json::json;

    use super::*;

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
