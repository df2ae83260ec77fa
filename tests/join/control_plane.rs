//! Control plane of the kubeadm cluster: what `kubeadm init` makes, with its components as processes of this host.
//!
//! ```text
//! kubeadm init phase certs, kubeconfig, control-plane --> etc/kubernetes: keys, kubeconfigs, manifests of static pods
//! commands of the manifests --------------------------> kube-apiserver, kube-controller-manager, kube-scheduler
//! kubeadm init phase upload-config, bootstrap-token, addon --> what joins read, and pods of the cluster
//! ```
//!
//! In an emulated machine the API server does not start again beside the clients of three nodes: it ends where its first look
//! at the Services takes longer than a minute (`PostStartHook "start-service-ip-repair-controllers" failed`). What a node meets
//! is the same: all that it asks, reads and is given is of kubeadm and of the API server that kubeadm set up.

use std::sync::{Mutex, MutexGuard, PoisonError};

use basalt_cluster::topology::{CONTROL_PLANE, POD_NETWORK};
use basalt_document::Document;
use basalt_process::Command;
use basalt_test_environment::{Failed, Started, shown, until_every};
use camino::Utf8PathBuf;
use serde_json::Value;

use crate::cluster::TICK;
use crate::cluster_network::ClusterNetwork;
use crate::fixture::SOON;

/// Components that kubeadm makes manifests of; etcd is that of the local cluster, with keys of their own.
pub const COMPONENTS: [&str; 3] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
/// Name of its node.
pub const NODE: &str = "control-plane";
/// Port of the API server. Those of the local cluster's components, in the same network, are the usual ones.
pub const API_PORT: u16 = 6444;

/// Folder of kubeadm in the root folder.
const KUBERNETES: &str = "etc/kubernetes";
/// Path of kubeadm's configuration in the root folder.
const CONFIGURATION: &str = "/etc/kubeadm.yaml";

/// The components, and the root folder of them and of kubeadm.
pub struct ControlPlane {
    network: ClusterNetwork,
    root: Utf8PathBuf,
    components: Mutex<Vec<Started>>,
}

impl ControlPlane {
    /// Makes keys, kubeconfigs and manifests in a folder that has the programs in `usr/bin`, and starts the components.
    pub fn start(network: ClusterNetwork, root: Utf8PathBuf, version: &str) -> Result<Self, Failed> {
        for folder in ["tmp", KUBERNETES] {
            fs_err::create_dir_all(root.join(folder))?;
        }
        let control_plane = Self {
            network,
            root,
            components: Mutex::new(Vec::new()),
        };
        control_plane.write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")?;
        control_plane.write(CONFIGURATION, &configuration(version))?;
        for phase in ["certs", "kubeconfig", "control-plane"] {
            control_plane.init_phase(&[phase, "all"])?;
        }
        control_plane.restart()?;
        Ok(control_plane)
    }

    /// Runs a phase of `kubeadm init`.
    pub fn init_phase(&self, phase: &[&str]) -> Result<(), Failed> {
        let words = [&["init", "phase"], phase, &["--config", CONFIGURATION]].concat();
        self.kubeadm(&words).map(drop)
    }

    /// Standard output of kubeadm.
    pub fn kubeadm(&self, arguments: &[&str]) -> Result<String, Failed> {
        let ran = Started::new(&self.command("kubeadm", arguments))?.wait(SOON)?;
        Ok(ran.ended_with(0)?.stdout)
    }

    /// Text of a file of kubeadm's: `admin.conf`.
    pub fn file(&self, name: &str) -> Result<String, Failed> {
        Ok(fs_err::read_to_string(self.root.join(KUBERNETES).join(name))?)
    }

    /// Writes a file, whose path is that in the root folder.
    pub fn write(&self, path: &str, text: &str) -> Result<(), Failed> {
        Ok(fs_err::write(self.root.join(path.trim_start_matches('/')), text)?)
    }

    /// Manifest of a component's static pod.
    pub fn manifest(&self, component: &str) -> Result<Value, Failed> {
        let name = format!("manifests/{component}.yaml");
        let document = Document::parse(&name, &self.file(&name)?).map_err(shown)?;
        Ok(document.root().to_json())
    }

    /// Ends the components, if they run, and starts what the manifests say now.
    pub fn restart(&self) -> Result<(), Failed> {
        let mut components = self.components();
        components.clear();
        for component in COMPONENTS {
            let manifest = self.manifest(component)?;
            let command = manifest["spec"]["containers"][0]["command"].as_array();
            let words: Vec<&str> = command.into_iter().flatten().filter_map(Value::as_str).collect();
            let [program, arguments @ ..] = words.as_slice() else {
                return Err(format!("{component} has no command: {manifest:#}").into());
            };
            components.push(Started::new(&self.command(program, arguments))?);
        }
        drop(components);
        let admin = ["--kubeconfig", "/etc/kubernetes/super-admin.conf"];
        let ready = self.command("kubectl", &[&["get", "--raw", "/readyz"], &admin[..]].concat());
        until_every(TICK, "the API server is ready", SOON, || ready.output().is_ok()).map_err(|failed| {
            let said: Vec<_> = self.components().iter().map(Started::stderr_so_far).collect();
            format!("{failed:?}\n{}", said.join("\n")).into()
        })
    }

    /// Program of the root folder, in the network of the cluster.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let chroot = ["chroot", self.root.as_str(), program];
        self.network.command(&[&chroot[..], arguments].concat())
    }

    fn components(&self) -> MutexGuard<'_, Vec<Started>> {
        self.components.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Configuration of `kubeadm init`: all is as by default but for ports and etcd, which the local cluster has in the same
/// network, and for certificates of nodes that last some minutes, so that tests see them rotate; those of the kubelets' servers
/// are of the cluster, too.
fn configuration(version: &str) -> String {
    format!(
        r#"apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: {CONTROL_PLANE}, bindPort: {API_PORT}}}
nodeRegistration: {{name: {NODE}, criSocket: "unix:///run/containerd/containerd.sock"}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: {version}
networking: {{podSubnet: {POD_NETWORK}}}
etcd: {{external: {{endpoints: ["http://127.0.0.1:2379"]}}}}
apiServer:
  # The address under which tests on the host reach it.
  certSANs: [127.0.0.1]
  extraArgs: [{{name: etcd-prefix, value: /kubeadm}}]
controllerManager:
  extraArgs:
    - {{name: cluster-signing-duration, value: 8m}}
    - {{name: secure-port, value: "10267"}}
scheduler: {{extraArgs: [{{name: secure-port, value: "10269"}}]}}
encryptionAlgorithm: ECDSA-P256
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
serverTLSBootstrap: true
"#
    )
}
