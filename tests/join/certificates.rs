//! Certificates of nodes: a controller that approves those of the kubelets' servers, as operators run one, and a count of
//! what was issued.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use basalt_test_environment::{Failed, ensure, until_every};
use serde_json::Value;

use crate::cluster::{KubeadmCluster, TICK, is_ready, items};
use crate::fixture::Fixture;

/// Signer of certificates that kubelets show to their clients. Nobody in a cluster approves requests to it by default.
const SERVING: &str = "kubernetes.io/kubelet-serving";
/// Signer of certificates by which kubelets are clients of the API server.
const CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// Rotations that the tests wait for, after the first certificate.
const ROTATIONS: usize = 3;
/// Time-out of the rotations: certificates last eight minutes.
const ROTATED: Duration = Duration::from_secs(2400);

/// User, signer and name of each request that a certificate was issued for.
type Issued = BTreeSet<[String; 3]>;

/// Approves requests of the kubelets' servers, and notes what was issued, until it is dropped.
pub struct Approver {
    ended: Arc<AtomicBool>,
    /// Kept here, because the cluster deletes requests whose certificates have expired.
    issued: Arc<Mutex<Issued>>,
    thread: Option<JoinHandle<()>>,
}

impl Approver {
    /// Starts it.
    pub fn start(cluster: KubeadmCluster) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let issued = Arc::new(Mutex::new(Issued::new()));
        let (flag, notes) = (Arc::clone(&ended), Arc::clone(&issued));
        let thread = std::thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                // Whoever waits for a certificate that is never approved fails with its own words.
                drop(approve(&cluster, &notes));
                std::thread::sleep(TICK);
            }
        });
        Self {
            ended,
            issued,
            thread: Some(thread),
        }
    }

    /// Number of certificates that a node has got of a signer.
    fn issued(&self, node: &str, signer: &str) -> usize {
        let user = format!("system:node:{node}");
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner).clone();
        issued.iter().filter(|[of, by, _]| *of == user && by == signer).count()
    }
}

impl Drop for Approver {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Approves what nodes ask for in their own names, and notes what was issued.
fn approve(cluster: &KubeadmCluster, issued: &Mutex<Issued>) -> Result<(), Failed> {
    let requests = cluster.get(&["certificatesigningrequests"])?;
    let text = |request: &Value, path: &str| {
        let text = request.pointer(path).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let with_certificate = items(&requests)
        .iter()
        .filter(|request| request["status"]["certificate"].is_string());
    let found = with_certificate
        .map(|request| ["/spec/username", "/spec/signerName", "/metadata/name"].map(|path| text(request, path)));
    issued.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
    let is_open = |request: &&Value| {
        let user = request["spec"]["username"].as_str().unwrap_or_default();
        let signer = &request["spec"]["signerName"];
        signer == SERVING && user.starts_with("system:node:") && request["status"]["conditions"].is_null()
    };
    let open = items(&requests).iter().filter(is_open);
    let names: Vec<_> = open
        .filter_map(|request| request["metadata"]["name"].as_str())
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    cluster
        .kubectl(&[&["certificate", "approve"], &names[..]].concat())
        .map(drop)
}

pub fn certificates_rotate(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    let node = fixture.by_command()?;
    let count = |signer| fixture.approver().issued(node, signer);
    // The first client certificate was asked for with the token, the first of the server by the node itself.
    until_every(TICK, "client certificates have rotated", ROTATED, || {
        count(CLIENT) >= ROTATIONS
    })?;
    until_every(TICK, "serving certificates have rotated", ROTATED, || {
        count(SERVING) > ROTATIONS
    })?;
    let object = cluster.get(&["node", node])?;
    ensure(is_ready(&object), || format!("{:#}", object["status"]["conditions"]))?;
    // The kubelet's server verifies the API server, and answers it, with the certificates of now.
    let summary = cluster.raw(&format!("/api/v1/nodes/{node}/proxy/stats/summary"))?;
    ensure(summary["node"]["nodeName"] == node, || format!("{summary:#}"))
}
