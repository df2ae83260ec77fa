//! Errors of measurements.

use std::time::Duration;

use basalt_build::BuildError;
use basalt_cluster::ClusterError;
use basalt_machine::MachineError;
use basalt_process::{ProcessError, without_path};
use basalt_rpm::RpmError;
use basalt_schedule::Panic;
use basalt_sdk::SdkError;
use basalt_store::StoreError;
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

/// Failure of a measurement.
#[derive(Debug, Error, Diagnostic)]
pub enum BenchError {
    /// A file of the benchmark or of the synthetic distribution does not parse.
    #[error("{path} cannot be read: {message}")]
    #[diagnostic(
        code(bench::file),
        help("it holds a list `suites` and a table `packages` of lists, as distro/sdk/sdk.toml does")
    )]
    Definition {
        /// Path of the file.
        path: Utf8PathBuf,
        /// Message of the parser.
        message: String,
    },
    /// The Debian system lacks a file to boot from.
    #[error("the Debian system has no {what}")]
    #[diagnostic(
        code(bench::debian),
        help("see that bench/debian/packages.toml names a package with it")
    )]
    Missing {
        /// Kind of the missing file: `kernel` or `initramfs`.
        what: &'static str,
    },
    /// Inputs of the Debian system whose paths collide.
    #[error("the inputs of the Debian system cannot be put together")]
    #[diagnostic(code(bench::inputs), help("this is a bug in basalt"))]
    Inputs {
        /// Path that cannot be in the input root.
        source: basalt_action::DirectoryError,
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
    /// A file could not be read or written.
    #[error("{action} `{path}`")]
    #[diagnostic(code(bench::io))]
    Io {
        /// Operation that failed, as `cannot read`.
        action: &'static str,
        /// Path of the file.
        path: Utf8PathBuf,
        /// Error of the operation.
        source: std::io::Error,
    },
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
    /// A package could not be unpacked.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Repo(#[from] RpmError),
    /// Debian's packages could not be resolved, fetched or installed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sdk(#[from] SdkError),
    /// The store failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    /// A program failed, or Ctrl-C.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
}

impl BenchError {
    pub(crate) fn io(action: &'static str, path: impl AsRef<Utf8Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io {
            source: without_path(source, &path),
            action,
            path,
        }
    }
}

fn lines(last: &[String]) -> String {
    last.iter().fold(String::new(), |text, line| text + "\n  " + line)
}
