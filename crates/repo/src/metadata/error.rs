//! How metadata goes wrong.

use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

use crate::RepoError;

/// A repository's metadata could not be made or read.
#[derive(Debug, Error, Diagnostic)]
pub enum MetadataError {
    /// Not the XML that is expected.
    #[error("{file} is not what it should be: {why}")]
    #[diagnostic(
        code(repo::metadata),
        help("the repository is damaged, or was made by somebody who means harm")
    )]
    Malformed {
        /// Which file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// Its bytes are others than those that were signed for.
    #[error("{file} is not the file that the repository's index names: {why}")]
    #[diagnostic(
        code(repo::digest),
        help("it was changed, or its transfer ended early. A published snapshot never changes: publish another")
    )]
    Changed {
        /// Which file.
        file: String,
        /// The difference.
        why: String,
    },
    /// Something cannot be written as XML.
    #[error("{file} cannot be written: {why}")]
    #[diagnostic(code(repo::metadata))]
    Unwritable {
        /// Which file.
        file: String,
        /// What the library said.
        why: String,
    },
    /// A file could not be read.
    #[error("cannot read {path}")]
    #[diagnostic(code(repo::io))]
    Io {
        /// Which.
        path: Utf8PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An RPM could not be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Rpm(#[from] RepoError),
}

impl MetadataError {
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
