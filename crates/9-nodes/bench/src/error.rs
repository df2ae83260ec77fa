//! Errors of measurements.

use std::time::Duration;

use basalt_build::BuildError;
use basalt_cluster::ClusterError;
use basalt_machine::MachineError;
use basalt_process::ProcessError;
use basalt_repodata::MetadataError;
use basalt_sandbox::SandboxError;
use basalt_schedule::Panic;
use basalt_store::{FileError, StoreError};
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

/// Failure of a measurement.
#[derive(Debug, Error, Diagnostic)]
pub enum BenchError {
    /// A file of the benchmark or of the synthetic distribution does not parse.
    #[error("{path} cannot be read: {message}")]
    #[diagnostic(code(bench::file), help("this is a bug in basalt"))]
    Definition {
        /// Path of the file.
        path: Utf8PathBuf,
        /// Message of the parser.
        message: String,
    },
    /// A machine did not reach a milestone in time.
    #[error("{system}: no {milestone} within {} s; the last lines of its console:{}", waited.as_secs(), lines(last))]
    #[diagnostic(code(bench::slow), help("the whole console: {console}"))]
    Slow {
        /// Name of the system.
        system: String,
        /// Name of the milestone.
        milestone: &'static str,
        /// Time-out of the milestone.
        waited: Duration,
        /// Last lines of the console.
        last: Vec<String>,
        /// Path of a copy of the console's log.
        console: Utf8PathBuf,
    },
    /// The journal of a node lacks the line of a milestone.
    #[error("{system}: its journal has no line with `{line}`")]
    #[diagnostic(
        code(bench::line),
        help(
            "another version of containerd or the kubelet may word it otherwise: see crates/9-nodes/bench/src/node_log.rs"
        )
    )]
    NoLine {
        /// Name of the system.
        system: String,
        /// Text that was looked for.
        line: &'static str,
    },
    /// Times of a journal that cannot be, next to those that were seen on the console and at the API server.
    #[error(
        "{system}: its journal has times of {told:.1?} s, not all between systemd's first line at {systemd:.1} s and Ready at \
         {ready:.1} s"
    )]
    #[diagnostic(
        code(bench::clocks),
        help("the machine's clock was set while it was measured: nothing may do that here")
    )]
    Clocks {
        /// Name of the system.
        system: String,
        /// Times from the journal, in seconds from power-on.
        told: Vec<f64>,
        /// Time of systemd's first line, in seconds from power-on.
        systemd: f64,
        /// Time at which the node was Ready, in seconds from power-on.
        ready: f64,
    },
    /// Statistics of a node without its memory.
    #[error("{system}: its kubelet does not tell the memory of the node")]
    #[diagnostic(
        code(bench::memory),
        help("see `kubectl get --raw /api/v1/nodes/NAME/proxy/stats/summary`")
    )]
    NoMemory {
        /// Name of the system.
        system: String,
    },
    /// The tree of reference tools lacks a tool.
    #[error("the tree of reference tools lacks `{tool}`, which is measured beside our code")]
    #[diagnostic(
        code(bench::tool),
        help(
            "name its package in distro/sdk/reference.toml, lock the tree (./basalt sdk lock reference) and make it \
             (./basalt sdk build reference)"
        )
    )]
    NoTool {
        /// Name of the program.
        tool: &'static str,
    },
    /// A tool of others has another result than our code.
    #[error("{tool} has another result: {what}")]
    #[diagnostic(
        code(bench::different),
        help("one of the two is wrong, so that their times say nothing")
    )]
    Different {
        /// Name of the program.
        tool: &'static str,
        /// The difference, as a clause.
        what: String,
    },
    /// Metadata could not be made or read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Metadata(#[from] MetadataError),
    /// The report of a sandbox could not be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sandbox(#[from] SandboxError),
    /// A distribution could not be planned.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Build(#[from] BuildError),
    /// A worker panicked.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Panic(#[from] Panic),
    /// The cluster failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Cluster(#[from] ClusterError),
    /// A machine failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Machine(#[from] MachineError),
    /// An operation on a file failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Io(#[from] FileError),
    /// The store failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    /// A program failed, or Ctrl-C.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
}

fn lines(last: &[String]) -> String {
    last.iter().fold(String::new(), |text, line| text + "\n  " + line)
}
