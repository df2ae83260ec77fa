//! Options of `migrate`.

use std::path::PathBuf;
use std::time::Duration;

use basalt_migrate::options::{parse_duration, parse_selector};
use clap::{ArgGroup, Args};

/// Move the workloads of a cluster's nodes to other nodes, one node after the other.
///
/// Any cluster of a kubeconfig will do. First comes a plan: where each pod could go, what the API server answers to a dry
/// run of its eviction, what stands in the way. Then each node is cordoned; its replacement is waited for and probed with
/// a small pod; its pods are evicted, of each workload one at a time; the moved workloads have to be as ready as before,
/// and stay so for a while. A node that does not get on stops at its deadline, with the reason, and is un-cordoned.
///
/// All that is remembered stands in annotations of the nodes. After an interruption or a kill, the same command goes on.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("work").required(true).multiple(true).args(["nodes", "selector", "undo"])), after_help = "\
Examples:
  basalt migrate worker-1 worker-2 --ignore-daemonsets --plan-only   the plan; nothing is changed
  basalt migrate worker-1 worker-2 --ignore-daemonsets               waits for nodes that you join by hand
  basalt migrate -l pool=old -n 2 --ignore-daemonsets --machine-deployment default/basalt-workers
  basalt migrate worker-1 --ignore-daemonsets --retire-machines      also has Cluster API delete the old machine
  basalt migrate --undo                                              un-cordons what migrations cordoned
Installed under the name kubectl-basalt, it is the plug-in `kubectl basalt migrate`. docs/migrate leads through all of it.
Exit codes: 0 every node is done; 1 a node stopped, or an obstacle stands in the way; 2 the arguments are wrong.")]
pub struct Migrate {
    /// Nodes to migrate, in this order.
    #[arg(value_name = "NODE")]
    pub nodes: Vec<String>,
    /// Migrate the nodes with these labels, in kubectl's syntax, by name; those that are named come before.
    #[arg(long, short = 'l', value_name = "LABELS", value_parser = parse_selector)]
    pub selector: Option<String>,
    /// Show the plan and change nothing. The exit code is 1 if obstacles stand in the way.
    #[arg(long, conflicts_with_all = ["yes", "undo"])]
    pub plan_only: bool,
    /// Begin without asking.
    #[arg(long, short)]
    pub yes: bool,
    /// Take back what migrations did to the nodes (to all that are not done, if none is named): cordons of their own,
    /// probe pods, annotations. Pods stay where they are.
    #[arg(long)]
    pub undo: bool,
    /// Nodes that are migrated at the same time.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub at_once: u16,
    /// Longest time in one phase of a node: 90s, 30m, 1h30m. After it the node's migration stops.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = parse_duration)]
    pub deadline: Duration,
    /// Time for which moved workloads have to stay Ready before the next node begins.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_duration)]
    pub soak: Duration,
    /// Leave a node cordoned whose migration stops; otherwise it is un-cordoned, if the migration cordoned it.
    #[arg(long)]
    pub keep_cordoned: bool,
    /// Origin of the nodes that take the place.
    #[command(flatten)]
    pub replacement: Replacement,
    /// Pods that may go.
    #[command(flatten)]
    pub drain: Drain,
    /// End of the machines of nodes that are done.
    #[command(flatten)]
    pub retirement: Retirement,
    /// Cluster.
    #[command(flatten)]
    pub cluster: ClusterPlaces,
}

/// Origin of the nodes that take the place.
#[derive(Debug, Args)]
#[command(next_help_heading = "Replacements (by hand, unless one of these is given)")]
pub struct Replacement {
    /// Nodes that are there already take the pods of all; no new node is waited for.
    #[arg(long, group = "source")]
    pub existing_replacements: bool,
    /// Run `sh -c COMMAND` for each node, with BASALT_MIGRATE_NODE and BASALT_MIGRATE_PROVIDER_ID in its environment. After
    /// an interruption it may run once more for the same node.
    #[arg(long, value_name = "COMMAND", group = "source")]
    pub replace_command: Option<String>,
    /// Scale this MachineDeployment of Cluster API up by one for each node.
    #[arg(long, value_name = "NAMESPACE/NAME", group = "source", value_parser = namespaced_name)]
    pub machine_deployment: Option<basalt_migrate::model::NamespacedName>,
    /// Labels of replacements, in kubectl's syntax; nodes that run Basalt Linux unless given.
    #[arg(long, value_name = "LABELS", value_parser = parse_selector)]
    pub replacement_selector: Option<String>,
    /// Evict before the replacement is there: for a machine that is itself installed anew.
    #[arg(long)]
    pub replace_after_eviction: bool,
    /// Image of the pod that probes a replacement.
    #[arg(long, value_name = "IMAGE", default_value = "registry.k8s.io/pause:3.10")]
    pub probe_image: String,
}

/// Pods that may go. The names are those of `kubectl drain`, where it has the option.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pods")]
pub struct Drain {
    /// Leave the pods of DaemonSets where they are.
    #[arg(long)]
    pub ignore_daemonsets: bool,
    /// Evict pods with an emptyDir, whose content is deleted.
    #[arg(long)]
    pub delete_emptydir_data: bool,
    /// Evict pods without a controller, which nobody makes anew.
    #[arg(long)]
    pub force: bool,
    /// Evict pods with a volume that only their node reaches; they stay Pending elsewhere.
    #[arg(long)]
    pub abandon_local_volumes: bool,
    /// Grace period of evicted pods in seconds; their own unless given.
    #[arg(long, value_name = "SECONDS")]
    pub grace_period: Option<u32>,
    /// Wait no longer for pods that were to be gone this long ago: 60s. On a node that is unreachable they may still run.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub skip_wait_for_delete_timeout: Option<Duration>,
    /// Delete pods that eviction still refuses at the deadline. Their disruption budgets are broken.
    #[arg(long)]
    pub delete_pods_that_refuse_eviction: bool,
}

/// End of the machines of nodes that are done.
#[derive(Debug, Args)]
#[command(next_help_heading = "Old machines (they stay, empty and cordoned, unless one of these is given)")]
pub struct Retirement {
    /// Have Cluster API end the machine of a node after its soak: its Machine is marked, and what owns that is scaled down by
    /// one. The machine is deleted with its disks, and --undo cannot bring it back. Also for nodes that an earlier run left.
    #[arg(long, group = "end")]
    pub retire_machines: bool,
    /// Run `sh -c COMMAND` for each node after its soak, to end its machine, with BASALT_MIGRATE_NODE and
    /// BASALT_MIGRATE_PROVIDER_ID in its environment. After an interruption it may run once more for the same node.
    #[arg(long, value_name = "COMMAND", group = "end")]
    pub retire_command: Option<String>,
    /// Delete the Node object when its kubelet is not heard of any more; alone, it waits for somebody to switch the machine
    /// off. Pods of DaemonSets go with it, and a machine that runs on after all has to be started again to be a node.
    #[arg(long)]
    pub delete_node_objects: bool,
}

/// Cluster, and places in it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterPlaces {
    /// Kubeconfig; the files of KUBECONFIG or ~/.kube/config unless given.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; its current one unless given.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Kubeconfig of the cluster that has the objects of Cluster API; the cluster itself unless given.
    #[arg(long, value_name = "FILE", requires = "machine_deployment")]
    pub management_kubeconfig: Option<PathBuf>,
    /// Context of the management cluster.
    #[arg(long, value_name = "NAME", requires = "machine_deployment")]
    pub management_context: Option<String>,
    /// Namespace of the Lease, the journal and the probe pods.
    #[arg(long, value_name = "NAMESPACE", default_value = "kube-system")]
    pub namespace: String,
}

/// Parses a namespace and a name.
fn namespaced_name(text: &str) -> Result<basalt_migrate::model::NamespacedName, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(basalt_migrate::model::NamespacedName::new(namespace, name))
        }
        _ => Err("it is written NAMESPACE/NAME".to_owned()),
    }
}
