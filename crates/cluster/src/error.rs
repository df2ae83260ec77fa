//! What can go wrong with a cluster.

use std::time::Duration;

use basalt_machine::MachineError;
use basalt_process::ProcessError;
use basalt_sandbox::SandboxError;
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

/// A cluster could not be started, asked, or stopped.
#[derive(Debug, Error, Diagnostic)]
pub enum ClusterError {
    /// A file could not be read or written.
    #[error("could not {action}")]
    #[diagnostic(code(cluster::file))]
    File {
        /// What was being done.
        action: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is one already.
    #[error("a cluster is running already (process {supervisor}){}", unlike(differences))]
    #[diagnostic(
        code(cluster::running),
        help(
            "`./basalt status` shows it; `./basalt down` ends it, and then `./basalt up` makes the one you asked for"
        )
    )]
    Running {
        /// Its supervisor's process id.
        supervisor: String,
        /// In what it differs from the one that was asked for; nothing when they are alike.
        differences: Vec<String>,
    },
    /// Somebody is starting or stopping it at this moment.
    #[error("another `basalt` (process {holder}) is starting or stopping the cluster at this moment")]
    #[diagnostic(
        code(cluster::busy),
        help("wait for it to end, or stop it with Ctrl-C where it runs")
    )]
    Busy {
        /// Its process id.
        holder: String,
    },
    /// There is none.
    #[error("no cluster is running")]
    #[diagnostic(code(cluster::stopped), help("`./basalt up` starts one"))]
    Stopped,
    /// The folder's path does not leave room for sockets.
    #[error("the path of the cluster's folder is too long for the sockets in it: {path}")]
    #[diagnostic(
        code(cluster::path),
        help("keep the store somewhere shorter: set BASALT_STORE, for instance to /var/tmp/basalt")
    )]
    LongPath {
        /// The folder.
        path: Utf8PathBuf,
    },
    /// So many nodes cannot be had.
    #[error("a local cluster cannot have {asked} nodes")]
    #[diagnostic(code(cluster::nodes), help("choose from 1 to {most}"))]
    Nodes {
        /// How many were asked for.
        asked: u8,
        /// How many there can be.
        most: u8,
    },
    /// Something that the cluster is made of is not there.
    #[error("{what} is not there: {path}")]
    #[diagnostic(
        code(cluster::missing),
        help("it comes from Basalt's packages: `./basalt up` builds what is missing")
    )]
    Missing {
        /// What.
        what: String,
        /// Where it was expected.
        path: Utf8PathBuf,
    },
    /// The network inside the namespace could not be made.
    #[error("could not set up the cluster's network")]
    #[diagnostic(code(cluster::network))]
    Network {
        /// What `ip` said.
        source: Box<ProcessError>,
    },
    /// A certificate is not what it has to be.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Pki(#[from] crate::pki::PkiError),
    /// A manifest names a variable that nobody knows.
    #[error("{file}:{line}: there is no variable `{name}`")]
    #[diagnostic(code(cluster::manifest), help("known are: {known}"))]
    Variable {
        /// The file.
        file: Utf8PathBuf,
        /// The line in it.
        line: usize,
        /// The name.
        name: String,
        /// The names that could have been meant.
        known: String,
    },
    /// The supervisor ended while it was needed.
    #[error("the cluster's supervisor ended{}", words(last))]
    #[diagnostic(code(cluster::supervisor), help("its log is {log}"))]
    Supervisor {
        /// Its last words.
        last: Vec<String>,
        /// Its log.
        log: Utf8PathBuf,
    },
    /// The supervisor refused something.
    #[error("the cluster's supervisor refused: {answer}")]
    #[diagnostic(code(cluster::refused))]
    Refused {
        /// What it said.
        answer: String,
    },
    /// A part of the control plane does not stay up.
    #[error("{component} does not stay up ({status}){}", words(last))]
    #[diagnostic(code(cluster::component), help("its log is {log}"))]
    Component {
        /// Which.
        component: String,
        /// How it ended.
        status: String,
        /// Its last words.
        last: Vec<String>,
        /// Its log.
        log: Utf8PathBuf,
    },
    /// A node's machine ended by itself.
    #[error("the machine of {node} ended: {reason}{}", words(last))]
    #[diagnostic(code(cluster::node), help("its console is in {console}"))]
    Node {
        /// Which.
        node: String,
        /// What is known.
        reason: String,
        /// The last lines of its console.
        last: Vec<String>,
        /// The log of the console.
        console: Utf8PathBuf,
    },
    /// Something took too long.
    #[error("{stage} did not come about within {} s: {seen}{}", waited.as_secs(), words(last))]
    #[diagnostic(code(cluster::slow), help("the logs are in {logs}"))]
    Slow {
        /// What was waited for.
        stage: &'static str,
        /// How long.
        waited: Duration,
        /// How far it had come.
        seen: String,
        /// Last words of whatever is slow.
        last: Vec<String>,
        /// Where to look.
        logs: Utf8PathBuf,
    },
    /// The API server could not be asked.
    #[error("the API server did not answer: {doing}")]
    #[diagnostic(code(cluster::api))]
    Api {
        /// What was asked.
        doing: String,
        /// What went wrong.
        #[source]
        source: Box<ureq::Error>,
    },
    /// There is no log of that name.
    #[error("there is no log of `{name}`")]
    #[diagnostic(code(cluster::log), help("there are: {known}"))]
    NoLog {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A machine failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Machine(#[from] MachineError),
    /// A program failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
    /// The kernel gave us no namespaces.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sandbox(#[from] SandboxError),
}

impl ClusterError {
    /// For `map_err` on file operations.
    pub(crate) fn file(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::File { action, source }
    }

    /// Whether the end came from outside, by Ctrl-C or a signal to us.
    pub fn is_interrupt(&self) -> bool {
        match self {
            Self::Process(error) | Self::Machine(MachineError::Process(error)) => error.is_interrupt(),
            _ => false,
        }
    }
}

fn unlike(differences: &[String]) -> String {
    if differences.is_empty() {
        return String::new();
    }
    format!(
        ", and differs from the one that was asked for: {}",
        differences.join("; ")
    )
}

fn words(last: &[String]) -> String {
    last.iter().fold(String::new(), |text, line| text + "\n  " + line)
}
