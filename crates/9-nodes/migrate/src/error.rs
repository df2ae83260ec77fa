//! Errors of a migration.

use std::path::PathBuf;
use std::time::Duration;

use basalt_process::ProcessError;
use kube::config::{KubeconfigError, LoadDataError};
use miette::Diagnostic;
use thiserror::Error;

use crate::failure::RequestFailure;

/// Failure to plan, run or undo a migration.
#[derive(Debug, Error, Diagnostic)]
pub enum MigrateError {
    /// The kubeconfig names no cluster, or cannot be understood. The text of the error has its causes.
    #[error("cannot use the kubeconfig: {0}")]
    #[diagnostic(
        code(migrate::kubeconfig),
        help("name one with --kubeconfig and --context, or in the environment variable KUBECONFIG")
    )]
    Kubeconfig(Box<KubeconfigError>),
    /// The kubeconfig, or a file that it names, cannot be read.
    #[error("cannot read {what} `{}`", path.display())]
    #[diagnostic(
        code(migrate::kubeconfig),
        help("name a kubeconfig with --kubeconfig, or in the environment variable KUBECONFIG")
    )]
    KubeconfigFile {
        /// Purpose of the file: `the kubeconfig`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Cause, from the system.
        source: std::io::Error,
    },
    /// The kubeconfig does not have the context that was named.
    #[error("the kubeconfig has no context `{name}`")]
    #[diagnostic(code(migrate::context), help("its contexts are: {known}"))]
    UnknownContext {
        /// Name that was given.
        name: String,
        /// Contexts of the kubeconfig.
        known: String,
    },
    /// A request failed, and will again.
    #[error("cannot {action}")]
    #[diagnostic(code(migrate::request), help("{help}"))]
    Request {
        /// Request, a verb and its object: `list pods`.
        action: String,
        /// Advice by the kind of failure.
        help: &'static str,
        /// Answer of the API server, or failure of the connection.
        source: Box<RequestFailure>,
    },
    /// The API server has not answered for long.
    #[error("the API server has not answered for {} s", outage.as_secs())]
    #[diagnostic(
        code(migrate::unavailable),
        help("what was done is recorded on the nodes: run the same command again when the API server is back")
    )]
    Unavailable {
        /// Time since its last answer.
        outage: Duration,
        /// Last failure.
        source: Box<RequestFailure>,
    },
    /// Another run holds the Lease.
    #[error("another migration is running: {holder}")]
    #[diagnostic(
        code(migrate::lease),
        help("wait until it ends; `kubectl get lease {lease} --namespace {namespace}` shows who holds it")
    )]
    Held {
        /// User, machine and process that hold it.
        holder: String,
        /// Name of the Lease.
        lease: String,
        /// Namespace of the Lease.
        namespace: String,
    },
    /// Another run took the Lease, because this one could not renew it in time.
    #[error("another migration took over: {holder}")]
    #[diagnostic(
        code(migrate::lease_lost),
        help("this run could not renew its Lease in time; nothing is lost, the other run goes on")
    )]
    LeaseLost {
        /// User, machine and process that hold it now.
        holder: String,
    },
    /// The Lease could not be renewed in time. Nobody is known to have taken it.
    #[error("the Lease of this run was not renewed for {} s", since.as_secs())]
    #[diagnostic(
        code(migrate::lease_lapsed),
        help(
            "nothing is changed while another run may take over; what was done is recorded on the nodes: run the same \
             command again when the API server accepts updates of leases"
        )
    )]
    LeaseLapsed {
        /// Time since the last renewal.
        since: Duration,
    },
    /// An annotation has a value that no migration writes.
    #[error("the annotation {key} of node {node} is `{value}`, which no migration writes")]
    #[diagnostic(
        code(migrate::annotation),
        help("`basalt migrate --undo {node}` removes all annotations of a migration from the node")
    )]
    Annotation {
        /// Name of the node.
        node: String,
        /// Annotation.
        key: &'static str,
        /// Value.
        value: String,
    },
    /// No node was named.
    #[error("no node is named")]
    #[diagnostic(
        code(migrate::no_nodes),
        help("name nodes, or select them with --selector; {candidates}")
    )]
    NoNodes {
        /// Nodes that could be meant.
        candidates: String,
    },
    /// The selector matches no node.
    #[error("no node has the labels `{selector}`")]
    #[diagnostic(
        code(migrate::none_selected),
        help("`kubectl get nodes --show-labels` shows those that there are; {candidates}")
    )]
    NoneSelected {
        /// Selector that was given.
        selector: String,
        /// Nodes that could be meant.
        candidates: String,
    },
    /// Named nodes do not exist.
    #[error("there is no node `{name}`")]
    #[diagnostic(code(migrate::unknown_node), help("the nodes are: {known}"))]
    UnknownNode {
        /// Name that was given.
        name: String,
        /// Nodes of the cluster.
        known: String,
    },
    /// A control-plane node was named.
    #[error("node {name} belongs to the control plane")]
    #[diagnostic(
        code(migrate::control_plane),
        help("only workers are migrated: static pods and etcd do not move by eviction")
    )]
    ControlPlane {
        /// Name of the node.
        name: String,
    },
    /// The plan has obstacles that nobody agreed to.
    #[error("{}, and nothing was changed", obstacles(*count))]
    #[diagnostic(
        code(migrate::obstacles),
        help("the plan names each, with the flag that agrees to it; `basalt migrate --plan-only` shows it again")
    )]
    Obstacles {
        /// Number of obstacles.
        count: usize,
    },
    /// Somebody else sets the replicas of the MachineDeployment that is to be scaled up.
    #[error("MachineDeployment {name} cannot be scaled up: its replicas are set by {owner}, which would set them back")]
    #[diagnostic(code(migrate::fixed_replicas), help("{help}"))]
    FixedReplicas {
        /// Namespace and name.
        name: String,
        /// Object or program that sets them: `the topology of Cluster clusters/prod`.
        owner: String,
        /// Place to change them at.
        help: String,
    },
    /// Ctrl-C, or a problem with a program that was run.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
    /// The asynchronous runtime cannot be started.
    #[error("cannot start the runtime of the Kubernetes client")]
    #[diagnostic(code(migrate::runtime))]
    Runtime(#[source] std::io::Error),
}

fn obstacles(count: usize) -> String {
    match count {
        1 => "one obstacle stands in the way".to_owned(),
        _ => format!("{count} obstacles stand in the way"),
    }
}

impl MigrateError {
    /// Adds the URL of the API server to a failed request.
    #[must_use]
    pub(crate) fn of_server(mut self, server: &str) -> Self {
        if let Self::Request { action, .. } = &mut self {
            *action = format!("{action} of the API server {server}");
        }
        self
    }

    /// Takes an error of the Kubernetes client apart: where a file cannot be read, it is named once, with its cause.
    pub(crate) fn kubeconfig(error: KubeconfigError) -> Self {
        let file = |what, path, source| Self::KubeconfigFile { what, path, source };
        match error {
            KubeconfigError::ReadConfig(source, path) => file("the kubeconfig", path, source),
            KubeconfigError::LoadCertificateAuthority(LoadDataError::ReadFile(source, path)) => {
                file("the kubeconfig's certificate authority", path, source)
            }
            KubeconfigError::LoadClientCertificate(LoadDataError::ReadFile(source, path)) => {
                file("the kubeconfig's client certificate", path, source)
            }
            KubeconfigError::LoadClientKey(LoadDataError::ReadFile(source, path)) => {
                file("the kubeconfig's client key", path, source)
            }
            other => Self::Kubeconfig(Box::new(other)),
        }
    }

    /// Returns `true` if the arguments name what is not there, or what is not migrated.
    pub fn is_wrong_argument(&self) -> bool {
        matches!(
            self,
            Self::UnknownContext { .. }
                | Self::NoNodes { .. }
                | Self::NoneSelected { .. }
                | Self::UnknownNode { .. }
                | Self::ControlPlane { .. }
        )
    }

    /// Returns `true` if the API server answered with one of some HTTP statuses.
    pub fn is_code(&self, codes: &[u16]) -> bool {
        let Self::Request { source, .. } = self else {
            return false;
        };
        matches!(source.inner(), kube::Error::Api(status) if codes.contains(&status.code))
    }

    /// Turns the failure of a request into the end of a run that waited for the API server.
    pub(crate) fn into_unavailable(self, outage: Duration) -> Self {
        match self {
            Self::Request { source, .. } => Self::Unavailable { outage, source },
            other => other,
        }
    }

    /// Returns `true` if somebody else wrote the object at the same time.
    pub fn is_conflict(&self) -> bool {
        self.is_code(&[409])
    }

    /// Returns `true` if the same request may succeed a little later: the API server is away, busy or failing, or the Lease is
    /// to be renewed first.
    pub fn is_transient(&self) -> bool {
        if matches!(self, Self::LeaseLapsed { .. }) {
            return true;
        }
        let Self::Request { source, .. } = self else {
            return false;
        };
        match source.inner() {
            kube::Error::Api(status) => matches!(status.code, 408 | 429 | 500 | 502 | 503 | 504),
            kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => true,
            _ => false,
        }
    }
}
