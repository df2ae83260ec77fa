//! Errors of the access to nodes.

use std::time::Duration;

use basalt_archive::ArchiveError;
use basalt_process::ProcessError;
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

/// Failure of an operation on a node.
#[derive(Debug, Error, Diagnostic)]
pub enum AccessError {
    /// The name cannot be that of a node.
    #[error("`{name}` cannot be the name of a node")]
    #[diagnostic(
        code(access::name),
        help(
            "names have lower-case letters, digits, `-` and `.`, at most 253; `kubectl get nodes` lists those of the cluster"
        )
    )]
    Name {
        /// Name as it was given.
        name: String,
    },
    /// The cluster has no such node.
    #[error("the cluster has no node `{name}`")]
    #[diagnostic(code(access::no_node), help("`basalt node list` shows those that it has"))]
    NoNode {
        /// Name of the node.
        name: String,
    },
    /// A value of an option is not understood.
    #[error("`{value}` is no {what}")]
    #[diagnostic(code(access::value), help("{help}"))]
    Value {
        /// Kind of the value: `point in time`.
        what: &'static str,
        /// Value as it was given.
        value: String,
        /// Accepted forms, with examples.
        help: &'static str,
    },
    /// kubectl failed.
    #[error("{doing} failed")]
    #[diagnostic(
        code(access::kubectl),
        help(
            "kubectl's own words are above; `kubectl auth can-i --list` shows what this kubeconfig may do, and docs/node/access.md what each operation needs"
        )
    )]
    Kubectl {
        /// Operation that failed, as `reading node node-1`.
        doing: String,
        /// Failure of the program.
        #[diagnostic_source]
        source: ProcessError,
    },
    /// An answer of the API server or the kubelet is not what their documentation says.
    #[error("{what} could not be understood: {reason}")]
    #[diagnostic(
        code(access::answer),
        help(
            "this is a mistake of basalt, or the server is not a kubelet or an API server of Kubernetes: please report it"
        )
    )]
    Answer {
        /// Answer, as `the kubelet's stats/summary`.
        what: &'static str,
        /// Reason, with the place in it.
        reason: String,
    },
    /// No image is known that a debug pod could be made from.
    #[error("there is no image for a debug pod on `{node}`, which this operation needs")]
    #[diagnostic(
        code(access::no_image),
        help(
            "name one that the node can pull and that has a shell, tar and nsenter: `--image docker.io/library/busybox:1.37`. The local cluster serves the image `debug` of distro/images; `basalt build debug` makes it for your own registry. {without}"
        )
    )]
    NoImage {
        /// Name of the node.
        node: String,
        /// Operations that do without, in a sentence.
        without: &'static str,
    },
    /// The node could not get the image of the debug pod.
    #[error("node `{node}` cannot start the image `{image}`: {reason}")]
    #[diagnostic(
        code(access::image),
        help("is it in a registry that the node reaches, under this name? `--image` names another one")
    )]
    Image {
        /// Name of the node.
        node: String,
        /// Reference of the image.
        image: String,
        /// Reason and message of the kubelet.
        reason: String,
    },
    /// The kubelet refused or ended the debug pod.
    #[error("the debug pod on `{node}` ended: {reason}")]
    #[diagnostic(
        code(access::pod),
        help("`kubectl describe node {node}` shows pressure on memory, disk and process ids")
    )]
    Pod {
        /// Name of the node.
        node: String,
        /// Reason and message of the kubelet.
        reason: String,
    },
    /// The debug pod did not start in time.
    #[error("the debug pod on `{node}` did not start within {} s: {state}", waited.as_secs())]
    #[diagnostic(
        code(access::no_start),
        help("{}", unreachable(*.ready))
    )]
    NoStart {
        /// Name of the node.
        node: String,
        /// Time since the pod was created.
        waited: Duration,
        /// Last state of the pod.
        state: String,
        /// Condition Ready of the node; `None` when it is unknown.
        ready: Option<bool>,
    },
    /// The journal of the node has no entry of a unit.
    #[error("node `{node}` has no log of {}", units.join(", "))]
    #[diagnostic(
        code(access::no_log),
        help(
            "the journal has entries of units that have run: `basalt node ps {node}` shows those that do; without --unit, those that make a node"
        )
    )]
    NoLog {
        /// Name of the node.
        node: String,
        /// Units without a log.
        units: Vec<String>,
    },
    /// A path on the node is not absolute, or cannot be transferred.
    #[error("`{path}` cannot be a path on a node")]
    #[diagnostic(
        code(access::path),
        help("give an absolute path as the node sees it, without a line break: /var/log/pods")
    )]
    Path {
        /// Path as it was given.
        path: String,
    },
    /// A file of this machine could not be read or written.
    #[error("could not {action}")]
    #[diagnostic(code(access::file))]
    File {
        /// Operation that failed, as `write bundle.tar.gz`.
        action: String,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// A file of this machine could not be written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] basalt_store::StoreError),
    /// There is something under the name already.
    #[error("`{path}` exists already")]
    #[diagnostic(code(access::exists), help("name another one; nothing is overwritten"))]
    Exists {
        /// Path on this machine.
        path: Utf8PathBuf,
    },
    /// The archive that came from the node is damaged or not harmless.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Archive(#[from] ArchiveError),
    /// The node did not come back after a restart.
    #[error("`{node}` was told to start again, and is not back after {} s: {state}", waited.as_secs())]
    #[diagnostic(code(access::not_back), help("{}", unreachable(Some(false))))]
    NotBack {
        /// Name of the node.
        node: String,
        /// Time since the order.
        waited: Duration,
        /// Last state of the node.
        state: String,
    },
    /// The node is not one of this distribution, or an old one.
    #[error("`{node}` runs {os}, which basalt cannot reset")]
    #[diagnostic(
        code(access::not_basalt),
        help("resetting is an operation of Basalt's own agent; take the node out of the cluster and install it anew")
    )]
    NotBasalt {
        /// Name of the node.
        node: String,
        /// Operating system that the node reports.
        os: String,
    },
    /// The user pressed Ctrl-C, or the process was asked to end.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Interrupted(ProcessError),
}

impl AccessError {
    /// Wraps a failure of kubectl; an interruption stays one.
    pub(crate) fn kubectl(doing: impl Into<String>) -> impl FnOnce(ProcessError) -> Self {
        let doing = doing.into();
        move |source| match source {
            ProcessError::Interrupted => Self::Interrupted(source),
            source => Self::Kubectl { doing, source },
        }
    }

    /// Wraps an error of the operating system.
    pub(crate) fn file(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::File { action, source }
    }

    /// Returns `true` for an end from outside: Ctrl-C or a signal to this process.
    pub fn is_interrupt(&self) -> bool {
        matches!(self, Self::Interrupted(_))
    }
}

/// Interruption, for waits whose error has to convert from it.
impl From<ProcessError> for AccessError {
    fn from(source: ProcessError) -> Self {
        match source {
            ProcessError::Interrupted => Self::Interrupted(source),
            source => Self::Kubectl {
                doing: "kubectl".to_owned(),
                source,
            },
        }
    }
}

/// Advice for a node that does not answer, by its condition Ready.
fn unreachable(ready: Option<bool>) -> &'static str {
    match ready {
        Some(true) => {
            "the API server holds the node Ready: its registry may be slow, or its container runtime stuck; \
             `basalt node logs` works without a pod"
        }
        _ => {
            "the node is not Ready, so that its kubelet may not be reached at all: its console (VGA, or the provider's \
             screenshot) shows its addresses, its last errors and what to do"
        }
    }
}
