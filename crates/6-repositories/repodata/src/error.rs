//! Errors of writing and reading repository metadata.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

use basalt_process::{ProcessError, without_path};
use basalt_rpm::RpmError;
use basalt_schedule::Panic;

/// A repository's metadata could not be made or read.
#[derive(Debug, Error, Diagnostic)]
pub enum MetadataError {
    /// The file is not XML of the expected form, or has values that are not valid.
    #[error("{file} is not what it should be: {why}")]
    #[diagnostic(
        code(repo::metadata),
        help("the repository is damaged, or was made by somebody who means harm")
    )]
    Malformed {
        /// Name of the file.
        file: String,
        /// The violation, as a clause.
        why: String,
    },
    /// The bytes of a file differ from those that the signed index names.
    #[error("{file} is not the file that the repository's index names: {why}")]
    #[diagnostic(
        code(repo::digest),
        help("it was changed, or its transfer ended early. A published snapshot never changes: publish another")
    )]
    Changed {
        /// Path of the file, relative to the repository's folder.
        file: String,
        /// The difference, as a clause.
        why: String,
    },
    /// A value cannot be written as XML, or its file cannot be compressed.
    #[error("{file} cannot be written: {why}")]
    #[diagnostic(code(repo::metadata))]
    Unwritable {
        /// Name of the file.
        file: String,
        /// Cause, from the XML writer or the compressor.
        why: String,
    },
    /// A file could not be read.
    #[error("cannot read {path}")]
    #[diagnostic(code(repo::io))]
    Io {
        /// Path of the file.
        path: Utf8PathBuf,
        /// Cause, from the system.
        source: std::io::Error,
    },
    /// An RPM could not be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Rpm(#[from] RpmError),
    /// Ctrl-C.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
    /// Panic of a worker, which is a bug of basalt.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Panic(#[from] Panic),
}

impl MetadataError {
    /// Error of the system about a file or folder.
    pub(crate) fn io(path: &Utf8Path) -> impl Fn(io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source: without_path(source, path),
        }
    }

    pub(crate) fn malformed(file: &str, why: impl Into<String>) -> Self {
        Self::Malformed {
            file: file.to_owned(),
            why: why.into(),
        }
    }

    pub(crate) fn changed(file: &str, why: impl Into<String>) -> Self {
        Self::Changed {
            file: file.to_owned(),
            why: why.into(),
        }
    }
}
