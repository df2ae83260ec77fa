//! Errors of making a Debian system.

use basalt_process::{ProcessError, without_path};
use basalt_rpm::RpmError;
use basalt_sdk::SdkError;
use basalt_store::StoreError;
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

/// Failure of making a Debian system's disk.
#[derive(Debug, Error, Diagnostic)]
pub enum DebianError {
    /// The list of Debian's packages does not parse.
    #[error("{path} cannot be read: {message}")]
    #[diagnostic(
        code(debian::packages),
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
    #[diagnostic(code(debian::boot), help("see that {packages} names a package with it"))]
    Missing {
        /// Kind of the missing file: `kernel` or `initramfs`.
        what: &'static str,
        /// List of Debian's packages.
        packages: Utf8PathBuf,
    },
    /// Inputs of the Debian system whose paths collide.
    #[error("the inputs of the Debian system cannot be put together")]
    #[diagnostic(code(debian::inputs), help("this is a bug in basalt"))]
    Inputs {
        /// Path that cannot be in the input root.
        source: basalt_action::DirectoryError,
    },
    /// A file could not be read or written.
    #[error("{action} `{path}`")]
    #[diagnostic(code(debian::io))]
    Io {
        /// Operation that failed, as `cannot read`.
        action: &'static str,
        /// Path of the file.
        path: Utf8PathBuf,
        /// Error of the operation.
        source: std::io::Error,
    },
    /// A package of Basalt could not be unpacked.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Rpm(#[from] RpmError),
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

impl DebianError {
    pub(crate) fn io(action: &'static str, path: impl AsRef<Utf8Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io {
            source: without_path(source, &path),
            action,
            path,
        }
    }
}
