//! Arguments of `basalt config`.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

/// Verbs of `basalt config`.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Write a NodeConfig from a kubeadm join command, a JoinConfiguration, a discovery file, a kubeconfig, or bootstrap data of
    /// Cluster API.
    ///
    /// The API server is asked for its certificate authority (ConfigMap cluster-info, whose signature by the token and
    /// whose pinned key are verified), for its version, and for the configuration of the cluster's kubelets. By a kubeconfig,
    /// a token is made last, when nothing else is wrong. The NodeConfig is written to standard output; it holds the token,
    /// which whoever has it can join the cluster with.
    ///
    /// A bootstrap kubeconfig and a discovery file are given by the command: `kubeadm join --discovery-file FILE`, with
    /// `--tls-bootstrap-token TOKEN` where the file has none. The text of either is also `cluster.kubeconfig` of a NodeConfig, without
    /// this verb.
    #[command(after_help = "\
Examples:
  kubeadm token create --print-join-command | basalt config from-join - > node.yaml
  basalt config from-join 'kubeadm join 10.0.0.1:6443 --token ... --discovery-token-ca-cert-hash sha256:...'
  basalt config from-join --config join.yaml --hostname worker-1
  basalt config from-join --hostname worker-1 kubeadm join --discovery-file bootstrap.kubeconfig
  basalt config from-join --kubeconfig admin.conf --hostname worker-1
  basalt config from-join --bootstrap-data user-data --hostname worker-1
  kubectl get secret NAME -o jsonpath='{.data.value}' | base64 -d | basalt config from-join --bootstrap-data - --hostname worker-1
  basalt config from-join --kubelet 1.36 - < join.txt    for an older control plane, and the image node-kubelet-1.36
docs/join/README.md says what is taken over, and what is refused.")]
    FromJoin(FromJoin),
}

/// Options of `config from-join`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["command", "config", "kubeconfig", "bootstrap_data"]))]
pub struct FromJoin {
    /// The command, in quotes or without, after all options; `-` reads it from standard input, where no list of processes shows
    /// it.
    pub command: Option<String>,
    /// Words of a command without quotes, after its first one.
    #[arg(hide = true, allow_hyphen_values = true, requires = "command")]
    pub words: Vec<String>,
    /// Read a JoinConfiguration, the file of `kubeadm join --config`; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub config: Option<Utf8PathBuf>,
    /// Make a token by this kubeconfig, which has to be one of an administrator. The token ends after a day.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<Utf8PathBuf>,
    /// Context of the kubeconfig; the current one unless given.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["command", "config", "bootstrap_data"])]
    pub context: Option<String>,
    /// Address of the API server for the node: https://HOST:PORT. By default, it is the one in cluster-info; of a cluster
    /// without it, that of the kubeconfig.
    #[arg(long, value_name = "URL", conflicts_with_all = ["command", "config", "bootstrap_data"])]
    pub endpoint: Option<String>,
    /// Read bootstrap data of Cluster API: the key `value` of the Secret that a KubeadmConfig names, decoded; `-` is standard
    /// input.
    #[arg(long, value_name = "FILE")]
    pub bootstrap_data: Option<Utf8PathBuf>,
    /// Name of the node. It counts before any other.
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Value of a variable in bootstrap data: `ds.meta_data.my_key=a`. A standard variable of cloud-init in one spelling gives
    /// all of them: `instance_id=i-1`. May be given more than once. `--hostname` gives the variables of the name.
    #[arg(long, value_name = "NAME=VALUE", requires = "bootstrap_data")]
    pub instance_data: Vec<String>,
    /// Ask nobody: the node finds the cluster's authority itself, by the token and the pins.
    #[arg(long, conflicts_with = "kubeconfig")]
    pub offline: bool,
    /// Version of the kubelet in the image, for the version skew policy and for fields that are newer: 1.36 for
    /// node-kubelet-1.36.
    #[arg(long, value_name = "VERSION", default_value = basalt_join::KUBELET)]
    pub kubelet: String,
    /// Time in seconds for which an API server that does not answer, answers without TLS, has a certificate that is not valid
    /// yet, or has not signed with the token yet, is asked again.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub patience: u64,
}
