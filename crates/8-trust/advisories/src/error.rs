//! Errors of an audit.

use basalt_document::problem::Problems;
use basalt_process::ProcessError;
use basalt_store::{FileError, StoreError};
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

/// An audit could not be made.
#[derive(Debug, Error, Diagnostic)]
pub enum AuditError {
    /// A database that cannot be read at all.
    #[error("`{path}` cannot be read as a database of OSV records")]
    #[diagnostic(
        code(advisories::database),
        help(
            "a folder of .json files, or a .zip, .tar, .tar.gz or .tar.zst of them is expected: see docs/trust/audit.md"
        )
    )]
    Database {
        /// The folder or archive.
        path: Utf8PathBuf,
        /// Cause of the failure.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A database without records.
    #[error("`{path}` has no OSV record in it")]
    #[diagnostic(
        code(advisories::empty),
        help("is it the right file? An audit against nothing would say that all is well")
    )]
    Empty {
        /// The folder or archive.
        path: Utf8PathBuf,
    },
    /// A data file of the distribution is malformed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Data(Box<Problems>),
    /// An operation on a file failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Io(#[from] FileError),
    /// The store failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    /// The user interrupted the run (Ctrl-C).
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
}

impl From<Problems> for AuditError {
    fn from(problems: Problems) -> Self {
        Self::Data(Box::new(problems))
    }
}
