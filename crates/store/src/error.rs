//! How the store goes wrong.

use std::io;

use basalt_process::ProcessError;
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

/// The store could not do what was asked.
#[derive(Debug, Error, Diagnostic)]
pub enum StoreError {
    /// There is no place for it.
    #[error("cannot tell where the store is: neither BASALT_STORE, XDG_CACHE_HOME nor HOME is set")]
    #[diagnostic(code(store::place), help("set BASALT_STORE to a folder on a disk with 40 GB free"))]
    NoPlace,
    /// A file operation failed.
    #[error("{what} `{path}`")]
    #[diagnostic(code(store::io))]
    Io {
        /// What was being done.
        what: &'static str,
        /// To what.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
        /// What the user can do.
        #[help]
        remedy: Option<String>,
    },
    /// Content that is not what its name says.
    #[error("`{path}` is damaged: its content has the digest {actual}")]
    #[diagnostic(code(store::damaged), help("delete the file; it is fetched or built again"))]
    Damaged {
        /// The object.
        path: Utf8PathBuf,
        /// What its bytes add up to.
        actual: basalt_model::digest::Digest,
    },
    /// Ctrl-C while waiting.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Interrupted(#[from] ProcessError),
}

impl StoreError {
    /// For `map_err`: a failed file operation on a path.
    pub fn io(what: &'static str, path: &Utf8Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| {
            let remedy = remedy(&source);
            Self::Io {
                what,
                path,
                source,
                remedy,
            }
        }
    }
}

/// What a person can do about an error of the file system, where there is something.
pub fn remedy(error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(
            "the disk is full: free some space (`./basalt clean` takes away what is no longer used), or point \
             BASALT_STORE to a larger disk; what is finished is kept, and the same command goes on from there"
                .to_owned(),
        ),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            Some("point BASALT_STORE to a folder that you may write to".to_owned())
        }
        _ => None,
    }
}
