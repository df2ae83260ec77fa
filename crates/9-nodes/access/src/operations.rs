//! Operations on nodes.

mod bundle;
mod files;
mod restart;

use std::process::ExitStatus;
use std::time::Duration;

use basalt_process::{Command, ProcessError};
use basalt_progress::Reporter;

use crate::AccessError;
use crate::image::{self, DebugImage, ProgramNeed};
use crate::kubectl::{Kubectl, is_not_found};
use crate::logs::{LogAnswer, LogQuery};
use crate::node::{NodeInfo, NodeName, list};
use crate::pod::{DebugPod, HOST_ROOT, PodSpec};
use crate::processes::{self, ProcessInfo};
use crate::usage::NodeUsage;

pub use restart::RestartOptions;

/// Life of a pod for an operation that ends by itself.
const OPERATION: Duration = Duration::from_secs(15 * 60);
/// Life of a pod for a shell and for logs that are followed.
const SESSION: Duration = Duration::from_secs(8 * 3600);
/// Time limit of a query of logs in a pod.
const QUERY: Duration = Duration::from_secs(120);

/// Choices for debug pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessOptions {
    /// Namespace of the pods. Its Pod Security level has to be `privileged`, and quotas have to admit
    /// `system-node-critical`: `kube-system` has both on every cluster.
    pub namespace: String,
    /// Image that the user asks for, with a shell, tar and nsenter.
    pub image: Option<String>,
    /// Such an image that the cluster is known to serve.
    pub served_image: Option<String>,
}

/// Access to the nodes of one cluster.
pub struct NodeAccess<'r> {
    kubectl: Kubectl,
    options: AccessOptions,
    reporter: &'r dyn Reporter,
}

impl<'r> NodeAccess<'r> {
    /// Access by kubectl.
    pub fn new(kubectl: Kubectl, options: AccessOptions, reporter: &'r dyn Reporter) -> Self {
        Self {
            kubectl,
            options,
            reporter,
        }
    }

    /// Reads a node.
    ///
    /// # Errors
    /// [`AccessError::NoNode`] when the cluster does not have it.
    pub fn node(&self, name: &NodeName) -> Result<NodeInfo, AccessError> {
        let read = self
            .kubectl
            .json(format!("reading node {name}"), ["get", "node", name.as_str()]);
        match read {
            Ok(node) => NodeInfo::parse(&node),
            Err(error) if is_not_found(&error) => Err(AccessError::NoNode { name: name.to_string() }),
            Err(error) => Err(error),
        }
    }

    /// Reads all nodes.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub fn nodes(&self) -> Result<Vec<NodeInfo>, AccessError> {
        let nodes = self.kubectl.json("reading the nodes", ["get", "nodes"])?;
        list(&nodes, "/items").map(NodeInfo::parse).collect()
    }

    /// Runs a program in a debug pod on this terminal: a shell, if `command` is empty. The node's root is at `/host`. The pod
    /// is deleted afterwards. Returns the exit status of kubectl, which is the program's.
    ///
    /// # Errors
    /// When the pod does not start.
    pub fn shell(&self, name: &NodeName, tty: bool, command: &[String]) -> Result<ExitStatus, AccessError> {
        let node = self.node(name)?;
        let pod = self.pod(&node, ProgramNeed::Tools, SESSION)?;
        if command.is_empty() {
            self.reporter.note(&format!(
                "the node's root is at {HOST_ROOT}; a program of the node: nsenter -t 1 -m -- journalctl -b"
            ));
            return interactive(&pod.exec_interactive(tty, ["sh", "-l"]));
        }
        let words = ["sh", "-c", "\"$@\"", "sh"].map(str::to_owned);
        interactive(&pod.exec_interactive(tty, words.iter().chain(command)))
    }

    /// Reads logs: from the kubelet if it answers such queries, else by journalctl in a debug pod.
    ///
    /// # Errors
    /// When neither works, or the journal has nothing of the units.
    pub fn logs(&self, name: &NodeName, query: &LogQuery) -> Result<String, AccessError> {
        if let Some(text) = self.kubelet_logs(name, query)? {
            return Ok(text);
        }
        let node = self.node(name)?;
        let pod = self.pod(&node, ProgramNeed::Node, OPERATION)?;
        let command = pod.exec_on_node(query.journalctl(false)).time_limit(QUERY);
        let bytes = pod.output(format!("reading the journal of {name}"), &command)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Logs from the kubelet; `None` when they have to be had in another way.
    fn kubelet_logs(&self, name: &NodeName, query: &LogQuery) -> Result<Option<String>, AccessError> {
        let Some(path) = query.kubelet_path(name) else {
            return Ok(None);
        };
        let reason = match self
            .kubectl
            .raw(format!("asking the kubelet of {name} for logs"), &path)
        {
            Ok(bytes) => match LogAnswer::parse(&bytes) {
                LogAnswer::Text(text) => return Ok(Some(text)),
                LogAnswer::NoUnits(units) => {
                    return Err(AccessError::NoLog {
                        node: name.to_string(),
                        units,
                    });
                }
                LogAnswer::NotSupported => "it does not answer queries (enableSystemLogQuery)".to_owned(),
            },
            Err(AccessError::Kubectl {
                source: ProcessError::Failed { tail, .. },
                ..
            }) => tail.last().cloned().unwrap_or_default(),
            Err(error) => return Err(error),
        };
        self.reporter
            .note(&format!("the kubelet gives no logs: {reason}; trying a debug pod"));
        Ok(None)
    }

    /// Gives logs line by line as they come, until Ctrl-C or the end of the pod.
    ///
    /// # Errors
    /// When the pod does not start, or the connection breaks.
    pub fn follow_logs(&self, name: &NodeName, query: &LogQuery, line: impl FnMut(&str)) -> Result<(), AccessError> {
        let node = self.node(name)?;
        let pod = self.pod(&node, ProgramNeed::Node, SESSION)?;
        match pod.exec_on_node(query.journalctl(true)).lines(line) {
            Ok(()) | Err(ProcessError::Interrupted) => Ok(()),
            Err(error) => Err(AccessError::kubectl(format!("following the journal of {name}"))(error)),
        }
    }

    /// Reads the usage of processors, memory and disk, from the kubelet.
    ///
    /// # Errors
    /// When the kubelet does not answer.
    pub fn usage(&self, name: &NodeName) -> Result<NodeUsage, AccessError> {
        let doing = format!("asking the kubelet of {name} for usage");
        NodeUsage::parse(&self.kubectl.raw(doing, &NodeUsage::path(name))?)
    }

    /// Lists the processes, each with its unit or pod.
    ///
    /// # Errors
    /// When the pod does not start.
    pub fn processes(&self, name: &NodeName) -> Result<Vec<ProcessInfo>, AccessError> {
        let node = self.node(name)?;
        let pod = self.pod(&node, ProgramNeed::Tools, OPERATION)?;
        let command = pod.exec(["sh", "-c", processes::SCRIPT]).time_limit(QUERY);
        let bytes = pod.output(format!("reading the processes of {name}"), &command)?;
        // Without their names, pods have their UIDs: who may read nodes may not read all pods everywhere.
        let selector = format!("--field-selector=spec.nodeName={name}");
        let pods = self
            .kubectl
            .json("reading pods", ["get", "pods", "--all-namespaces", &selector]);
        let names = match pods {
            Ok(pods) => processes::pod_names(&pods),
            Err(error) if error.is_interrupt() => return Err(error),
            Err(_) => Default::default(),
        };
        Ok(processes::parse(&String::from_utf8_lossy(&bytes), &names))
    }

    /// Starts a debug pod with the first image that the node can get.
    fn pod(&self, node: &NodeInfo, need: ProgramNeed, deadline: Duration) -> Result<DebugPod, AccessError> {
        let options = &self.options;
        let (asked, served) = (options.image.as_deref(), options.served_image.as_deref());
        self.pod_of(node, &image::candidates(asked, served, node, need)?, deadline)
    }

    fn pod_of(&self, node: &NodeInfo, images: &[DebugImage], deadline: Duration) -> Result<DebugPod, AccessError> {
        let mut failure = None;
        for image in images {
            let spec = PodSpec::new(node, &self.options.namespace, image.clone(), deadline);
            match DebugPod::start(&self.kubectl, spec, node, self.reporter) {
                Err(error @ (AccessError::Image { .. } | AccessError::Pod { .. })) => {
                    self.reporter.note(&error.to_string());
                    failure = Some(error);
                }
                other => return other,
            }
        }
        Err(failure.unwrap_or_else(|| AccessError::NoImage {
            node: node.name.clone(),
            without: "",
        }))
    }
}

fn interactive(command: &Command) -> Result<ExitStatus, AccessError> {
    command.interactive().map_err(AccessError::kubectl("running a shell"))
}
