//! Errors of graphs, runs and the jobserver.

use basalt_process::ProcessError;
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

use crate::{JobId, Panic};

/// Jobs that cannot be planned.
#[derive(Debug, Error, Diagnostic, Clone, PartialEq, Eq)]
pub enum JobGraphError {
    /// Jobs need one another in a circle.
    #[error("jobs need one another in a cycle: {}", names.join(" → "))]
    #[diagnostic(
        code(schedule::cycle),
        help("take one of these dependencies away, or split a package in two")
    )]
    Cycle {
        /// Names along the cycle, each needing the next; the first is repeated at the end.
        names: Vec<String>,
    },
    /// A job needs one that does not exist.
    #[error("job `{job}` needs job number {index}, and there are only {count}: a bug of basalt")]
    #[diagnostic(code(schedule::unknown_job))]
    UnknownJob {
        /// Name of the job that needs it.
        job: String,
        /// Position that was asked for.
        index: usize,
        /// Number of jobs in the graph.
        count: usize,
    },
}

/// End of a job that did not succeed.
#[derive(Debug)]
pub enum JobError<E> {
    /// The job returned an error.
    Failed(E),
    /// The job panicked: a bug.
    Panicked(Panic),
}

/// A job that did not succeed, with its name.
#[derive(Debug)]
pub struct Failure<E> {
    /// The job.
    pub job: JobId,
    /// Name of the job.
    pub name: String,
    /// Cause.
    pub error: JobError<E>,
}

/// A run that did not succeed as a whole.
#[derive(Debug)]
pub enum RunError<E> {
    /// Ctrl-C or a signal ended it; failures that came with that are left out.
    Interrupted,
    /// Jobs failed or panicked.
    Failed {
        /// The failure that came first.
        first: Failure<E>,
        /// Failures after it, in the order of their ends.
        others: Vec<Failure<E>>,
    },
}

impl<E: From<Panic>> JobError<E> {
    /// The error in the caller's terms.
    pub fn into_error(self) -> E {
        match self {
            Self::Failed(error) => error,
            Self::Panicked(panic) => panic.into(),
        }
    }
}

impl<E: From<Panic> + From<ProcessError>> RunError<E> {
    /// The interruption or the first failure, in the caller's terms.
    pub fn into_first(self) -> E {
        match self {
            Self::Interrupted => ProcessError::Interrupted.into(),
            Self::Failed { first, .. } => first.error.into_error(),
        }
    }
}

/// The jobserver cannot be set up or used.
#[derive(Debug, Error, Diagnostic)]
#[error("cannot {action} the jobserver's FIFO {path}")]
#[diagnostic(
    code(schedule::jobserver),
    help("the folder must be writable and on a file system that has FIFOs; is the disk full?")
)]
pub struct JobserverError {
    /// Operation in words: `create`, `open`, `watch`.
    pub action: &'static str,
    /// Path on the host; that of the folder, where all FIFOs are meant.
    pub path: Utf8PathBuf,
    /// Error of the system.
    pub source: std::io::Error,
}
