//! Certificates of nodes: a controller that approves those of the kubelets' servers, as operators run one, and a count of
//! what was issued.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use basalt_tests::{Failed, ensure, until_every};
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

/// Approves requests of the kubelets' servers until it is dropped.
pub struct Approver {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Approver {
    /// Starts it.
    pub fn start(cluster: KubeadmCluster) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                // Whoever waits for a certificate that is never approved fails with its own words.
                drop(approve(&cluster));
                std::thread::sleep(TICK);
            }
        });
        Self {
            ended,
            thread: Some(thread),
        }
    }
}

impl Drop for Approver {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Approves what nodes ask for in their own names.
fn approve(cluster: &KubeadmCluster) -> Result<(), Failed> {
    let requests = cluster.get(&["certificatesigningrequests"])?;
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

/// Certificates that a node has got of a signer.
fn issued(requests: &Value, node: &str, signer: &str) -> usize {
    let user = format!("system:node:{node}");
    let of_node = items(requests)
        .iter()
        .filter(|request| request["spec"]["signerName"] == signer && request["spec"]["username"] == user.as_str());
    of_node
        .filter(|request| request["status"]["certificate"].is_string())
        .count()
}

pub fn certificates_rotate(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    let node = fixture.by_command()?;
    let count = |signer| {
        let requests = cluster.get(&["certificatesigningrequests"]).unwrap_or_default();
        issued(&requests, node, signer)
    };
    // The first client certificate was asked for with the token, the first of the server by the node itself.
    until_every(TICK, "client certificates have rotated", ROTATED, || {
        count(CLIENT) >= ROTATIONS
    })?;
    until_every(TICK, "serving certificates have rotated", ROTATED, || {
        count(SERVING) > ROTATIONS
    })?;
    let object = cluster.get(&["node", node])?;
    ensure(is_ready(&object), || format!("{:#}", object["status"]["conditions"]))?;
    // The API server verifies the kubelet's certificate when it asks for this.
    let summary = cluster.raw(&format!("/api/v1/nodes/{node}/proxy/stats/summary"))?;
    ensure(summary["node"]["nodeName"] == node, || format!("{summary:#}"))
}
