//! Where a cluster keeps its files: all of them in one folder, so that nothing is left when it is removed.

use camino::{Utf8Path, Utf8PathBuf};

/// The files in a cluster's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: Utf8PathBuf,
}

impl Layout {
    /// The files of the cluster in a folder.
    pub fn new(root: impl Into<Utf8PathBuf>) -> Self {
        Self { root: root.into() }
    }
    /// The folder itself.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }
    /// Held by whoever changes the cluster as a whole: `up` and `down`.
    pub fn change_lock(&self) -> Utf8PathBuf {
        self.root.join("change.lock")
    }
    /// Held by the supervisor while it lives. A lock cannot outlive its process, as a file with a process id would.
    pub fn supervisor_lock(&self) -> Utf8PathBuf {
        self.root.join("supervisor.lock")
    }
    /// What the cluster is to be.
    pub fn plan(&self) -> Utf8PathBuf {
        self.root.join("plan.json")
    }
    /// Where the supervisor takes orders.
    pub fn control_socket(&self) -> Utf8PathBuf {
        self.root.join("control.sock")
    }
    /// Keys and certificates.
    pub fn pki(&self) -> Utf8PathBuf {
        self.root.join("pki")
    }
    /// How one of the cluster's own clients reaches the API server.
    pub fn kubeconfig(&self, user: &str) -> Utf8PathBuf {
        self.root.join("kubeconfig").join(format!("{user}.yaml"))
    }
    /// What the registry is to do.
    pub fn registry_config(&self) -> Utf8PathBuf {
        self.root.join("registry.yaml")
    }
    /// The objects that every cluster begins with, ready to be applied.
    pub fn manifests(&self) -> Utf8PathBuf {
        self.root.join("manifests")
    }
    /// The data of etcd.
    pub fn etcd(&self) -> Utf8PathBuf {
        self.root.join("etcd")
    }
    /// The logs.
    pub fn logs(&self) -> Utf8PathBuf {
        self.root.join("logs")
    }
    /// The log of one part of the cluster.
    pub fn log(&self, name: &str) -> Utf8PathBuf {
        self.logs().join(format!("{name}.log"))
    }
    /// The files of one machine. The name is short, because the sockets in it may not have long paths.
    pub fn node(&self, name: &str) -> Utf8PathBuf {
        self.root.join(name)
    }
    /// The socket by which a machine's frames come and go, where it has no tap device.
    pub fn cable(&self, name: &str) -> Utf8PathBuf {
        self.node(name).join("cable.sock")
    }
}
