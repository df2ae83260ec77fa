//! Plan of a cluster: decided by `up`, stored in its folder, carried out by the supervisor.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::Ipv4Addr;

use basalt_machine::{DiskFormat, SOCKET_PATH};
use basalt_process::Command;
use basalt_release::Arch;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::layout::Layout;
use crate::network::Wire;
use crate::secret::{GeneratedToken, write_private};
use crate::topology::{MOST_NODES, NodeNumber};
use crate::{ClusterError, topology};

/// Programs that the control plane's tree must have in `usr/bin`.
pub(crate) const PROGRAMS: &[&str] = &[
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "registry",
    "kubectl",
];

/// Paths of all that a cluster is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterInputs {
    /// Tree of build tools (SDK), with QEMU and `ip`.
    pub sdk: Utf8PathBuf,
    /// Disk image of the nodes.
    pub node_image: Utf8PathBuf,
    /// `true` for a QCOW2 image, `false` for a raw one.
    pub node_image_qcow2: bool,
    /// NodeConfig of all nodes, without the parts that differ: see [`crate::node_config::check`].
    #[serde(default)]
    pub node_config: Option<serde_json::Value>,
    /// Unpacked tree of Basalt's packages with the programs of the control plane, the registry and kubectl.
    pub control_plane: Utf8PathBuf,
    /// Storage folder of the registry, with the container images in it.
    pub registry: Utf8PathBuf,
    /// Names and tags of the container images in the registry, as `coredns:1.15.0`, by the names of their definitions.
    pub images: BTreeMap<String, String>,
    /// Folder with the manifests of the initial objects.
    pub manifests: Utf8PathBuf,
    /// Folder of results that outlive the cluster: the outcome of the KVM probe.
    pub cache: Utf8PathBuf,
}

/// Number and shape of a cluster's nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSize {
    /// Number of nodes.
    pub nodes: u8,
    /// Virtual processors of each node.
    pub vcpus: u32,
    /// Memory of each node, in MiB.
    pub memory_mib: u32,
    /// Disk of each node, in MiB; the state partition grows to fill it.
    pub disk_mib: u64,
}

impl ClusterSize {
    /// One node that runs some small pods.
    pub const DEFAULT: Self = Self {
        nodes: 1,
        vcpus: 2,
        memory_mib: 2048,
        disk_mib: 8192,
    };
}

impl Default for ClusterSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Complete description of a cluster, for its supervisor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClusterPlan {
    /// Paths of all that the cluster is made from.
    pub inputs: ClusterInputs,
    /// Number and shape of the nodes.
    pub size: ClusterSize,
    /// The architecture of the nodes.
    pub arch: Arch,
    /// Connection of the nodes to the bridge.
    pub wire: Wire,
    /// Port of the host's loopback device that leads to the API server.
    pub port: u16,
    /// Port of the host's loopback device that leads to the registry.
    pub registry_port: u16,
    /// Id of the bootstrap token: six characters.
    pub token_id: String,
    /// Secret of the bootstrap token: sixteen characters.
    pub token_secret: String,
}

impl ClusterPlan {
    /// Makes the plan of a new cluster, with the ports of the host for the API server and the registry; an error when there
    /// are too many nodes or an input does not exist.
    pub(crate) fn new(
        inputs: ClusterInputs,
        size: ClusterSize,
        arch: Arch,
        ports: [u16; 2],
    ) -> Result<Self, ClusterError> {
        let [port, registry_port] = ports;
        if size.nodes > MOST_NODES {
            return Err(ClusterError::Nodes {
                asked: size.nodes,
                most: MOST_NODES,
            });
        }
        let program = |name: &str| inputs.control_plane.join("usr/bin").join(name);
        let mut wanted = vec![
            ("the tree of build tools", inputs.sdk.clone()),
            ("the node image", inputs.node_image.clone()),
            ("the registry's storage", inputs.registry.clone()),
            ("the folder of manifests", inputs.manifests.clone()),
        ];
        wanted.extend(PROGRAMS.iter().map(|name| (*name, program(name))));
        if let Some((what, path)) = wanted.into_iter().find(|(_, path)| !path.exists()) {
            return Err(ClusterError::Missing {
                what: what.to_owned(),
                path,
            });
        }
        let token = GeneratedToken::new()?;
        Ok(Self {
            inputs,
            size,
            arch,
            wire: Wire::choose(),
            port,
            registry_port,
            token_id: token.id,
            token_secret: token.secret,
        })
    }

    /// Reads the plan of the cluster in a folder; `None` when there is none.
    ///
    /// # Errors
    /// When the plan cannot be read or does not parse.
    pub fn read(layout: &Layout) -> Result<Option<Self>, ClusterError> {
        let path = layout.plan();
        let text = match fs_err::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(ClusterError::file("read the cluster's plan"))?,
        };
        let plan = serde_json::from_slice(&text)
            .map_err(|error| ClusterError::file(format!("understand {path}"))(error.into()))?;
        Ok(Some(plan))
    }

    pub(crate) fn write(&self, layout: &Layout) -> Result<(), ClusterError> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| ClusterError::file("write the cluster's plan")(error.into()))?;
        write_private(&layout.plan(), text)
    }

    /// Differences between this plan and a requested cluster, in words.
    pub(crate) fn differences(&self, inputs: &ClusterInputs, size: ClusterSize) -> Vec<String> {
        let mut differences = Vec::new();
        let mut tell = |what: &str, has: &dyn Display, wanted: &dyn Display| {
            let (has, wanted) = (has.to_string(), wanted.to_string());
            if has != wanted {
                differences.push(format!("{what} {has}, not {wanted}"));
            }
        };
        tell("nodes:", &self.size.nodes, &size.nodes);
        tell("processors of each:", &self.size.vcpus, &size.vcpus);
        tell("MiB of memory of each:", &self.size.memory_mib, &size.memory_mib);
        tell("MiB of disk of each:", &self.size.disk_mib, &size.disk_mib);
        let mut inputs = inputs.clone();
        if self.inputs.node_config != inputs.node_config {
            differences.push("its nodes have another NodeConfig".to_owned());
            inputs.node_config.clone_from(&self.inputs.node_config);
        }
        if self.inputs != inputs {
            differences.push("it was made from other packages or images than there are now".to_owned());
        }
        differences
    }

    /// Numbers of the nodes that the cluster starts with.
    pub fn nodes(&self) -> Vec<NodeNumber> {
        NodeNumber::first(self.size.nodes).collect()
    }

    /// URL of the API server on the host.
    pub fn host_endpoint(&self) -> String {
        format!("https://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Host and port of the registry on the host, as in the names of images that are pushed.
    pub fn host_registry(&self) -> String {
        format!("localhost:{}", self.registry_port)
    }

    /// Checks for an image that the cluster's own pods run, by its repository and tag in the registry.
    pub fn runs_image(&self, repository: &str, tag: &str) -> bool {
        self.own_images().contains(&format!("{repository}:{tag}"))
    }

    /// Lists the images that the cluster's own pods run, as `coredns:1.15.0`.
    pub(crate) fn own_images(&self) -> BTreeSet<String> {
        self.inputs.images.values().cloned().collect()
    }

    /// URL of the API server on the namespace's loopback device, for the other components.
    pub fn local_endpoint() -> String {
        format!("https://{}:{}", Ipv4Addr::LOCALHOST, topology::API_PORT)
    }

    pub(crate) fn token(&self) -> GeneratedToken {
        GeneratedToken {
            id: self.token_id.clone(),
            secret: self.token_secret.clone(),
        }
    }

    pub(crate) fn image_format(&self) -> DiskFormat {
        if self.inputs.node_image_qcow2 {
            DiskFormat::Qcow2
        } else {
            DiskFormat::Raw
        }
    }

    /// Command that runs kubectl, without a kubeconfig.
    pub(crate) fn kubectl(&self, layout: &Layout) -> Command {
        Command::new(self.program("kubectl")).env("KUBECACHEDIR", layout.root().join("kubectl"))
    }

    /// Path of a program of the control plane's tree, to be run on the host; the programs are linked statically.
    pub fn program(&self, name: &str) -> Utf8PathBuf {
        self.inputs.control_plane.join("usr/bin").join(name)
    }
}

/// Checks that the paths of sockets in the cluster's folder fit into socket addresses.
pub(crate) fn check_path(root: &Utf8Path) -> Result<(), ClusterError> {
    let longest = root.join(format!("node-{MOST_NODES}/console.sock"));
    if longest.as_str().len() > SOCKET_PATH {
        return Err(ClusterError::LongPath { path: root.to_owned() });
    }
    Ok(())
}

/// Example of a plan, for tests.
#[cfg(test)]
pub(crate) fn example() -> ClusterPlan {
    ClusterPlan {
        inputs: ClusterInputs {
            sdk: "/sdk".into(),
            node_image: "/node.raw".into(),
            node_image_qcow2: false,
            node_config: None,
            control_plane: "/control-plane".into(),
            registry: "/images".into(),
            images: BTreeMap::from([("coredns".into(), "coredns:1.15.0".into())]),
            manifests: "/manifests".into(),
            cache: "/cache".into(),
        },
        size: ClusterSize {
            nodes: 2,
            ..ClusterSize::default()
        },
        arch: Arch::X86_64,
        wire: Wire::Tap,
        port: 16443,
        registry_port: 15000,
        token_id: "abcdef".into(),
        token_secret: "0123456789abcdef".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_like_the_one_asked_for_differs_in_nothing() {
        let plan = example();
        assert_eq!(plan.differences(&plan.inputs, plan.size), Vec::<String>::new());
    }

    #[test]
    fn images_of_the_clusters_own_pods_are_known() {
        let plan = example();
        for (repository, tag, expected) in [
            ("coredns", "1.15.0", true),
            ("coredns", "dev", false),
            ("docker.io/library/coredns", "1.15.0", false),
        ] {
            assert_eq!(plan.runs_image(repository, tag), expected, "{repository}:{tag}");
        }
    }

    #[test]
    fn every_difference_is_told() {
        let plan = example();
        let mut inputs = plan.inputs.clone();
        inputs.node_image = "/newer.raw".into();
        inputs.node_config = Some(serde_json::json!({ "labels": {} }));
        let size = ClusterSize {
            nodes: 3,
            memory_mib: 4096,
            disk_mib: 16384,
            ..plan.size
        };
        let told = plan.differences(&inputs, size).join("\n");
        insta::assert_snapshot!(told, @r"
        nodes: 2, not 3
        MiB of memory of each: 2048, not 4096
        MiB of disk of each: 8192, not 16384
        its nodes have another NodeConfig
        it was made from other packages or images than there are now
        ");
    }
}
