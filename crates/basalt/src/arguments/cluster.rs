//! Arguments of the verbs about the local cluster.

use basalt_cluster::ClusterSize;
use basalt_cluster::topology::MOST_FIRST_NODES;
use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::{machine_cpus, machine_memory};

/// Options of `up`.
#[derive(Debug, Args)]
pub struct Up {
    /// Number of nodes; 0 for a control plane to which `basalt node add` adds some later.
    #[arg(
        long,
        default_value_t = ClusterSize::DEFAULT.nodes,
        value_parser = clap::value_parser!(u8).range(0..=i64::from(MOST_FIRST_NODES))
    )]
    pub nodes: u8,
    /// Memory of each node, in MiB.
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = ClusterSize::DEFAULT.memory_mib,
        value_parser = machine_memory()
    )]
    pub memory: u32,
    /// Virtual processors of each node.
    #[arg(long, default_value_t = ClusterSize::DEFAULT.vcpus, value_parser = machine_cpus())]
    pub cpus: u32,
    /// Disk of each node, in MiB; it takes no more of this machine than is written to it.
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = ClusterSize::DEFAULT.disk_mib,
        value_parser = clap::value_parser!(u64).range(4096..=16_777_216)
    )]
    pub disk: u64,
    /// Image of the nodes: a name in distro/images, or the path of a disk image (raw or QCOW2).
    #[arg(long, value_name = "IMAGE", default_value = "node")]
    pub image: String,
    /// NodeConfig of all nodes, without `hostname`, `cluster` and `network`, which the cluster gives to each.
    #[arg(long, value_name = "FILE")]
    pub config: Option<Utf8PathBuf>,
    /// One more node of another distribution, to see the two side by side: installed now, from its newest packages.
    #[arg(long, value_name = "DISTRIBUTION", value_enum)]
    pub beside: Option<OtherDistribution>,
    /// Container images to load once the cluster answers: folders, archives or names, as of `basalt load`.
    #[arg(long, value_name = "IMAGE", num_args = 1..)]
    pub load: Vec<String>,
}

/// Distribution of a node beside Basalt's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OtherDistribution {
    /// Debian 13, with the agent, the container runtime and the kubelet of Basalt's packages.
    Debian,
}

/// Options of `load`.
#[derive(Debug, Args)]
pub struct Load {
    /// Folders, archives, or names of images.
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Engine whose images the names are of: docker, podman or containerd; the first that has one, unless given.
    #[arg(long, value_name = "ENGINE")]
    pub from: Option<basalt_oci::ContainerEngine>,
    /// Name of the image in the cluster, in place of its own. For one image.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}
