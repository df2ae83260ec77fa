//! Arguments of `basalt node`.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

/// Arguments of `node`.
#[derive(Debug, Args)]
pub struct NodeArguments {
    /// Choice of the cluster.
    #[command(flatten)]
    pub cluster: ClusterChoice,
    /// Verb.
    #[command(subcommand)]
    pub verb: NodeVerb,
}

/// Choice of the cluster.
#[derive(Debug, Clone, Default, Args)]
pub struct ClusterChoice {
    /// kubeconfig of the cluster.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Cluster")]
    pub kubeconfig: Option<Utf8PathBuf>,
    /// Context in the kubeconfig.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Cluster")]
    pub context: Option<String>,
}

/// Options of debug pods.
#[derive(Debug, Clone, Args)]
pub struct DebugPodOptions {
    /// Image of the pod, with a shell, tar and nsenter; the local cluster serves one.
    #[arg(long, value_name = "IMAGE", help_heading = "Debug pod")]
    pub image: Option<String>,
    /// Namespace of the pod. It has to permit privileged pods.
    #[arg(long, value_name = "NAME", default_value = "kube-system", help_heading = "Debug pod")]
    pub namespace: String,
}

/// Options of restarts.
#[derive(Debug, Clone, Copy, Args)]
pub struct RestartFlags {
    /// Keep new pods away until each node is Ready again. Pods are not moved: `kubectl drain` does that.
    #[arg(long)]
    pub cordon: bool,
    /// Return once the order is given.
    #[arg(long)]
    pub no_wait: bool,
}

/// Verbs of `node`.
#[derive(Debug, Subcommand)]
pub enum NodeVerb {
    /// List the nodes: the machines of the local cluster, or the Node objects of another one.
    List,
    /// Start more nodes of the local cluster, with the image and the size of the others, and wait until they are Ready.
    Add {
        /// Number of new nodes.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
        count: u8,
        /// Return when their machines run.
        #[arg(long)]
        no_wait: bool,
    },
    /// Shut nodes of the local cluster down, and remove them with their disks. Pods are not moved before: `kubectl drain` does
    /// that.
    Remove {
        /// Names of the nodes.
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<String>,
    },
    /// Switch nodes of the local cluster off at once, as a power cut does: what they did not flush to their disks is lost.
    CutPower {
        /// Names of the nodes.
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<String>,
    },
    /// Start nodes again, one after the other, in an orderly way. Waits until each is Ready in its new boot.
    ///
    /// In the local cluster by the machine's power button, which also starts those that are off; elsewhere by the node's own
    /// `systemctl reboot`. Pods get the time that the node's NodeConfig gives them (`shutdownGracePeriod`).
    Reboot {
        /// Names of the nodes.
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<String>,
        /// Options of restarts.
        #[command(flatten)]
        flags: RestartFlags,
        /// Options of debug pods.
        #[command(flatten)]
        pod: DebugPodOptions,
    },
    /// Take a node back to its first boot: restart it with an empty state partition.
    ///
    /// Gone are images, containers, logs, volumes on the node, and its certificate. It joins anew with the token of its
    /// NodeConfig, which has to be valid; a token that has expired leaves the node outside.
    Reset {
        /// Name of the node.
        node: String,
        /// Confirm that all data on the node is lost.
        #[arg(long, required = true)]
        yes: bool,
        /// Options of restarts.
        #[command(flatten)]
        flags: RestartFlags,
        /// Options of debug pods.
        #[command(flatten)]
        pod: DebugPodOptions,
    },
    /// Open a root shell on a node, or run a program there: in a debug pod, with the node's root at /host.
    ///
    /// The pod sees the node's processes and network. A program of the node runs by `nsenter -t 1 -m -- PROGRAM`. The pod is
    /// deleted at the end, also after Ctrl-C, and ends by itself after eight hours.
    #[command(after_help = "\
Examples:
  basalt node shell node-1
  basalt node shell node-1 -- nsenter -t 1 -m -- journalctl -b -1 -p err
  basalt node shell node-1 --image docker.io/library/alpine:3")]
    Shell {
        /// Name of the node.
        node: String,
        /// Program with its arguments, in place of a shell.
        #[arg(last = true, value_name = "PROGRAM")]
        program: Vec<String>,
        /// Options of debug pods.
        #[command(flatten)]
        pod: DebugPodOptions,
    },
    /// Show the journal of a node: of the agent, containerd and the kubelet, unless others are named. Times are UTC.
    ///
    /// The kubelet is asked (NodeLogQuery); where it does not answer, journalctl in a debug pod is.
    #[command(after_help = "\
Examples:
  basalt node logs node-1                              the last 200 lines of what makes it a node
  basalt node logs node-1 -u containerd --since 2h
  basalt node logs node-1 --boot=-1 --all --tail 1000  the end of the boot before, everything
  basalt node logs node-1 --follow")]
    Logs(NodeLogs),
    /// Show the kernel's messages of a node.
    Dmesg {
        /// Name of the node.
        node: String,
        /// Boot: 0 is this one, -1 the one before.
        #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
        boot: i32,
        /// Options of debug pods.
        #[command(flatten)]
        pod: DebugPodOptions,
    },
    /// Show the usage of a node, its services and its pods. Needs no pod.
    Top {
        /// Name of the node.
        node: String,
    },
    /// List the processes of a node, each with its unit or its pod.
    Ps {
        /// Name of the node.
        node: String,
        /// Show threads of the kernel, too.
        #[arg(long, short)]
        all: bool,
        /// Options of debug pods.
        #[command(flatten)]
        pod: DebugPodOptions,
    },
    /// List, show or copy files of a node.
    #[command(subcommand)]
    Files(FilesVerb),
    /// Collect a support bundle: an archive with logs and states of a node, without secrets.
    ///
    /// Its MANIFEST says what is in it, what could not be collected and what was left out on purpose. What works is
    /// collected, also where the node is not reached.
    Bundle {
        /// Name of the node.
        node: String,
        /// File to write; NODE-bundle.tar.gz unless given.
        #[arg(long, short, value_name = "FILE")]
        output: Option<Utf8PathBuf>,
        /// Options of debug pods.
        #[command(flatten)]
        pod: DebugPodOptions,
    },
}

/// Options of `node logs`.
#[derive(Debug, Args)]
pub struct NodeLogs {
    /// Name of the node.
    pub node: String,
    /// Unit; may be given more than once.
    #[arg(long = "unit", short, value_name = "UNIT", conflicts_with = "all")]
    pub units: Vec<String>,
    /// Entries of all units and of the kernel.
    #[arg(long)]
    pub all: bool,
    /// Entries from then on: an age (90s, 15m, 2h, 3d) or a time (2026-11-29T12:00:00Z).
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Number of the last lines; 200 unless this, --since or --boot is given.
    #[arg(long, value_name = "LINES")]
    pub tail: Option<u32>,
    /// Boot: 0 is this one, -1 the one before.
    #[arg(long, value_name = "BOOT", allow_negative_numbers = true)]
    pub boot: Option<i32>,
    /// Regular expression (PCRE2) that entries match.
    #[arg(long, value_name = "PATTERN")]
    pub grep: Option<String>,
    /// Continue with new entries, until Ctrl-C.
    #[arg(long, short)]
    pub follow: bool,
    /// Options of debug pods.
    #[command(flatten)]
    pub pod: DebugPodOptions,
}

/// Verbs of `node files`.
#[derive(Debug, Subcommand)]
pub enum FilesVerb {
    /// List a folder.
    List {
        /// Name of the node.
        node: String,
        /// Absolute path on the node.
        path: String,
        /// Options of debug pods.
        #[command(flatten)]
        pod: DebugPodOptions,
    },
    /// Write the content of a file to standard output.
    Show {
        /// Name of the node.
        node: String,
        /// Absolute path on the node.
        path: String,
        /// Options of debug pods.
        #[command(flatten)]
        pod: DebugPodOptions,
    },
    /// Copy a file or a folder of the node into a new folder of this machine.
    ///
    /// Nothing is written outside of that folder. Left out are symbolic links that lead out of what is copied, devices and
    /// sockets; owners are not kept.
    Copy {
        /// Name of the node.
        node: String,
        /// Absolute path on the node.
        path: String,
        /// Folder of this machine, which does not exist yet.
        into: Utf8PathBuf,
        /// Options of debug pods.
        #[command(flatten)]
        pod: DebugPodOptions,
    },
}
