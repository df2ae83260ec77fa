//! Errors of local clusters.

use std::time::Duration;

use basalt_machine::MachineError;
use basalt_process::ProcessError;
use basalt_sandbox::SandboxError;
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

/// Failure to start, query or stop a cluster.
#[derive(Debug, Error, Diagnostic)]
pub enum ClusterError {
    /// A file could not be read or written.
    #[error("could not {action}")]
    #[diagnostic(code(cluster::file))]
    File {
        /// Operation that failed, as `read the cluster's plan`.
        action: String,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// A cluster is running already.
    #[error(
        "a cluster is running already (process {supervisor}){}",
        listed_differences(differences)
    )]
    #[diagnostic(
        code(cluster::running),
        help(
            "`./basalt status` shows it; `./basalt down` ends it, and then `./basalt up` makes the one you asked for"
        )
    )]
    Running {
        /// Process id of the supervisor.
        supervisor: String,
        /// Differences between the running and the requested cluster, in words; empty when they are alike.
        differences: Vec<String>,
    },
    /// Another process is starting or stopping the cluster.
    #[error("another `basalt` (process {holder}) is starting or stopping the cluster at this moment")]
    #[diagnostic(
        code(cluster::busy),
        help("wait for it to end, or stop it with Ctrl-C where it runs")
    )]
    Busy {
        /// Process id of the lock's holder.
        holder: String,
    },
    /// No cluster is running.
    #[error("no cluster is running")]
    #[diagnostic(code(cluster::stopped), help("`./basalt up` starts one"))]
    Stopped,
    /// The folder's path is too long for the addresses of sockets in it.
    #[error("the path of the cluster's folder is too long for the sockets in it: {path}")]
    #[diagnostic(
        code(cluster::path),
        help("keep the store somewhere shorter: set BASALT_STORE, for instance to /var/tmp/basalt")
    )]
    LongPath {
        /// Path of the cluster's folder.
        path: Utf8PathBuf,
    },
    /// Too many nodes were requested.
    #[error("a local cluster cannot have {asked} nodes")]
    #[diagnostic(code(cluster::nodes), help("choose from 1 to {most}"))]
    Nodes {
        /// Requested number of nodes.
        asked: u8,
        /// Greatest possible number of nodes.
        most: u8,
    },
    /// An input of the cluster does not exist.
    #[error("{what} is not there: {path}")]
    #[diagnostic(
        code(cluster::missing),
        help("it comes from Basalt's packages: `./basalt up` builds what is missing")
    )]
    Missing {
        /// Description of the input.
        what: String,
        /// Path of the input.
        path: Utf8PathBuf,
    },
    /// The network inside the namespace could not be set up.
    #[error("could not set up the cluster's network")]
    #[diagnostic(code(cluster::network))]
    Network {
        /// Failure of `ip`, with its output.
        source: Box<ProcessError>,
    },
    /// A key or certificate could not be made, read or verified.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Pki(#[from] crate::pki::PkiError),
    /// A manifest names an unknown variable.
    #[error("{file}:{line}: there is no variable `{name}`")]
    #[diagnostic(code(cluster::manifest), help("known are: {known}"))]
    Variable {
        /// Path of the manifest.
        file: Utf8PathBuf,
        /// Line number in the manifest, from 1.
        line: usize,
        /// Name of the unknown variable.
        name: String,
        /// Names of all variables, separated by commas.
        known: String,
    },
    /// The supervisor ended unexpectedly.
    #[error("the cluster's supervisor ended{}", indented(last))]
    #[diagnostic(code(cluster::supervisor), help("its log is {log}"))]
    Supervisor {
        /// Last lines of the supervisor's log.
        last: Vec<String>,
        /// Path of the supervisor's log.
        log: Utf8PathBuf,
    },
    /// The supervisor refused an order, or answered something else.
    #[error("the cluster's supervisor refused: {answer}")]
    #[diagnostic(code(cluster::refused))]
    Refused {
        /// Reason of the refusal, or the unexpected answer.
        answer: String,
    },
    /// A component of the control plane ended too often.
    #[error("{component} does not stay up ({status}){}", indented(last))]
    #[diagnostic(code(cluster::component), help("its log is {log}"))]
    Component {
        /// Name of the component.
        component: String,
        /// Exit status of the last run.
        status: String,
        /// Last lines of the component's log.
        last: Vec<String>,
        /// Path of the component's log.
        log: Utf8PathBuf,
    },
    /// A node's machine ended by itself, or failed to start.
    #[error("the machine of {node} ended: {reason}{}", indented(last))]
    #[diagnostic(code(cluster::node), help("its console is in {console}"))]
    Node {
        /// Name of the node.
        node: String,
        /// Reason of the end, as the supervisor reports it.
        reason: String,
        /// Last lines of the console.
        last: Vec<String>,
        /// Path of the console's log.
        console: Utf8PathBuf,
    },
    /// The machine of a node that was added or rebooted could not be started, or ended.
    #[error("the machine of {node} does not run: {reason}")]
    #[diagnostic(
        code(cluster::machine),
        help("`./basalt logs {node}` shows its console, if it had one")
    )]
    Start {
        /// Name of the node.
        node: String,
        /// Reason, as the supervisor reports it.
        reason: String,
    },
    /// The cluster has no node of that name.
    #[error("there is no node `{name}`")]
    #[diagnostic(code(cluster::no_node), help("there are: {known}"))]
    NoNode {
        /// Requested name.
        name: String,
        /// Names of all nodes, separated by commas.
        known: String,
    },
    /// A stage of the start made no progress for too long.
    #[error(
        "{stage}: no progress for {} s, {} s after the stage began: {seen}{}{}",
        idle.as_secs(), waited.as_secs(), still(unchanged), indented(last)
    )]
    #[diagnostic(code(cluster::slow), help("the logs are in {logs}"))]
    Slow {
        /// Title of the stage.
        stage: &'static str,
        /// Time without progress.
        idle: Duration,
        /// Time since the start of the stage.
        waited: Duration,
        /// Observed state of the stage, in words.
        seen: String,
        /// Names of the quantities that the stage waits for, each with the time since it grew.
        unchanged: Vec<(String, Duration)>,
        /// Last lines of the log that belongs to the stage, or the pods that are not ready.
        last: Vec<String>,
        /// Folder of the logs.
        logs: Utf8PathBuf,
    },
    /// A request to the API server failed.
    #[error("the API server did not answer: {doing}")]
    #[diagnostic(code(cluster::api))]
    Api {
        /// Method and URL of the request.
        doing: String,
        /// Error of the HTTP client.
        #[source]
        source: Box<ureq::Error>,
    },
    /// No log has the requested name.
    #[error("there is no log of `{name}`")]
    #[diagnostic(code(cluster::log), help("there are: {known}"))]
    NoLog {
        /// Requested name.
        name: String,
        /// Names of all logs, separated by commas.
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
    /// The kernel refused to make namespaces.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sandbox(#[from] SandboxError),
}

impl ClusterError {
    /// Wraps the error of a file operation; for `map_err`.
    pub(crate) fn file(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::File { action, source }
    }

    /// Checks for an end by Ctrl-C or a signal to this process.
    pub fn is_interrupt(&self) -> bool {
        match self {
            Self::Process(error) | Self::Machine(MachineError::Process(error)) => error.is_interrupt(),
            _ => false,
        }
    }
}

fn listed_differences(differences: &[String]) -> String {
    if differences.is_empty() {
        return String::new();
    }
    format!(
        ", and differs from the one that was asked for: {}",
        differences.join("; ")
    )
}

fn still(unchanged: &[(String, Duration)]) -> String {
    let items = unchanged.iter();
    let items: Vec<_> = items
        .map(|(name, time)| format!("{name} for {} s", time.as_secs()))
        .collect();
    if items.is_empty() {
        return String::new();
    }
    format!(" (unchanged: {})", items.join(", "))
}

fn indented(last: &[String]) -> String {
    last.iter().fold(String::new(), |text, line| text + "\n  " + line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_names_what_does_not_change() {
        let seconds = Duration::from_secs;
        let error = ClusterError::Slow {
            stage: "nodes Ready",
            idle: seconds(400),
            waited: seconds(700),
            seen: "0 of 1: none has registered".to_owned(),
            unchanged: vec![
                ("console of node-1".to_owned(), seconds(690)),
                ("disk of node-1".to_owned(), seconds(400)),
            ],
            last: vec!["the last line".to_owned()],
            logs: "/logs".into(),
        };
        let expected = "nodes Ready: no progress for 400 s, 700 s after the stage began: 0 of 1: none has registered \
                        (unchanged: console of node-1 for 690 s, disk of node-1 for 400 s)\n  the last line";
        assert_eq!(error.to_string(), expected);
    }
}
