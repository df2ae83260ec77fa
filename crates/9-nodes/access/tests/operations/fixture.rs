//! Cluster of a fake kubectl, in a folder.

use std::collections::BTreeMap;
use std::io::Read as _;

use basalt_access::kubectl::Kubectl;
use basalt_access::node::NodeName;
use basalt_access::{AccessOptions, NodeAccess};
use basalt_process::Command;
use basalt_progress::Silent;
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

/// Operating system of a node of this distribution.
pub const BASALT: &str = "Basalt Linux 1";
/// Operating system of another node.
pub const DEBIAN: &str = "Debian GNU/Linux 13 (trixie)";

/// Name of the node.
pub fn node() -> NodeName {
    "node-1".parse().expect("a name")
}

/// Node object, Ready in a boot.
pub fn node_object(os: &str, boot: &str) -> Value {
    json!({
        "metadata": { "name": "node-1" },
        "status": {
            "conditions": [{ "type": "Ready", "status": "True" }],
            "nodeInfo": { "osImage": os, "bootID": boot, "architecture": "amd64" },
        },
    })
}

/// Folder of the fake.
pub struct Fixture(tempfile::TempDir);

impl Fixture {
    /// Cluster with one node, on which pods run at once.
    pub fn new(os: &str) -> Self {
        let fixture = Self(tempfile::tempdir().expect("a folder"));
        fixture.write("node-node-1.json", &node_object(os, "boot-1").to_string());
        fixture.set_pod("Running", &json!({ "running": {} }));
        fixture
    }

    pub fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.0.path()).expect("UTF-8").join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs_err::write(path, text).expect("written");
    }

    /// Sets the status of all pods.
    pub fn set_pod(&self, phase: &str, state: &Value) {
        let status = json!({ "status": { "phase": phase, "containerStatuses": [{ "state": state }] } });
        self.write("pod-status.json", &status.to_string());
    }

    pub fn access(&self) -> NodeAccess<'static> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/operations/kubectl.sh");
        let kubectl = Command::new("sh").arg(script).env("FAKE", self.path(""));
        let options = AccessOptions {
            namespace: "kube-system".to_owned(),
            image: None,
            served_image: Some("registry.example/debug:1".to_owned()),
        };
        NodeAccess::new(Kubectl::new(kubectl), options, &Silent)
    }

    /// Calls of kubectl, and programs that ran in pods.
    pub fn calls(&self) -> Vec<String> {
        let text = fs_err::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Manifest of the last pod.
    pub fn created(&self) -> Value {
        let text = fs_err::read_to_string(self.path("created.json")).expect("a pod was created");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Fails unless the pod that was created last was deleted after everything else.
    #[track_caller]
    pub fn assert_pod_deleted(&self) {
        let pod = self.created();
        let name = pod["metadata"]["name"].as_str().expect("a name");
        let calls = self.calls();
        let end = format!("delete pod {name} --namespace=kube-system");
        let deleted = calls.iter().any(|call| call.starts_with(&end));
        assert!(deleted, "{calls:#?}");
    }
}

/// Texts of an archive, by name.
pub fn unpack(archive: &Utf8Path) -> BTreeMap<String, String> {
    let file = fs_err::File::open(archive).expect("an archive");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let mut files = BTreeMap::new();
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        files.insert(name, text);
    }
    files
}
