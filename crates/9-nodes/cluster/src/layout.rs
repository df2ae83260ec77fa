//! Paths of a cluster's files: all of them in one folder, so that nothing is left when it is removed.

use camino::{Utf8Path, Utf8PathBuf};

/// Paths of the files in a cluster's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: Utf8PathBuf,
}

impl Layout {
    /// Paths of the files of the cluster in a folder.
    pub fn new(root: impl Into<Utf8PathBuf>) -> Self {
        Self { root: root.into() }
    }
    /// Path of the folder itself.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }
    /// Lock of the processes that change the cluster as a whole: `up` and `down`.
    pub fn change_lock(&self) -> Utf8PathBuf {
        self.root.join("change.lock")
    }
    /// Lock that the supervisor holds while it lives. Unlike a file with a process id, a lock cannot outlive its
    /// process.
    pub fn supervisor_lock(&self) -> Utf8PathBuf {
        self.root.join("supervisor.lock")
    }
    /// Plan of the cluster, as JSON.
    pub fn plan(&self) -> Utf8PathBuf {
        self.root.join("plan.json")
    }
    /// Unix socket on which the supervisor takes orders.
    pub fn control_socket(&self) -> Utf8PathBuf {
        self.root.join("control.sock")
    }
    /// Folder of keys and certificates.
    pub fn pki(&self) -> Utf8PathBuf {
        self.root.join("pki")
    }
    /// kubeconfig of one of the cluster's own clients.
    pub fn kubeconfig(&self, user: &str) -> Utf8PathBuf {
        self.root.join("kubeconfig").join(format!("{user}.yaml"))
    }
    /// Configuration of the registry.
    pub fn registry_config(&self) -> Utf8PathBuf {
        self.root.join("registry.yaml")
    }
    /// Storage of the registry.
    pub fn registry(&self) -> Utf8PathBuf {
        self.root.join("registry")
    }
    /// Folder of the rendered manifests of the initial objects.
    pub fn manifests(&self) -> Utf8PathBuf {
        self.root.join("manifests")
    }
    /// Data folder of etcd.
    pub fn etcd(&self) -> Utf8PathBuf {
        self.root.join("etcd")
    }
    /// Folder of the logs.
    pub fn logs(&self) -> Utf8PathBuf {
        self.root.join("logs")
    }
    /// Log of one component, of the supervisor or of a node.
    pub fn log(&self, name: &str) -> Utf8PathBuf {
        self.logs().join(format!("{name}.log"))
    }
    /// Folder of one machine. Its name is short, because the paths of the sockets in it must be.
    pub fn node(&self, name: &str) -> Utf8PathBuf {
        self.root.join(name)
    }
    /// Unix socket that carries a machine's frames, where it has no tap device.
    pub fn cable(&self, name: &str) -> Utf8PathBuf {
        self.node(name).join("cable.sock")
    }
}
