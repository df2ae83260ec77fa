//! Failures of locking and fetching sources.

use crate::source_lock::LockError;
use basalt_archive::ArchiveError;
use basalt_digest::Digest;
use basalt_process::ProcessError;
use basalt_sdk::SdkError;
use basalt_store::{FileError, StoreError};
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

use crate::download::DownloadError;

/// A source could not be had.
#[derive(Debug, Error, Diagnostic)]
pub enum SourcesError {
    /// The lock is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Lock(#[from] Box<LockError>),
    /// A fetched file does not match the lock.
    #[error("{file} from {place} is not what {lock} says: {what}")]
    #[diagnostic(
        code(sources::digest),
        help(
            "{blame}. Nothing of it was kept. To lock what is there now, once you know why it differs: ./basalt sources lock {package}"
        )
    )]
    Digest {
        /// The package.
        package: String,
        /// The file.
        file: String,
        /// Place that the file came from: a URL or an alternative of the lock.
        place: String,
        /// Path of the lock.
        lock: Utf8PathBuf,
        /// The difference.
        what: SourceMismatch,
        /// Most likely cause and advice, as a sentence without a full stop.
        blame: String,
    },
    /// Two sources with the same name, or one that no input may have.
    #[error("the sources of {package} cannot be put together")]
    #[diagnostic(code(sources::inputs))]
    Inputs {
        /// The package.
        package: String,
        /// Path that two sources have, or that no input may have.
        source: basalt_action::DirectoryError,
    },
    /// A folder that cannot be an input.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Snapshot(#[from] basalt_store::FolderSnapshotError),
    /// No place had it.
    #[error(
        "{file}, a source of {package} ({lock}), cannot be had from any of its places:{}",
        listed(attempts)
    )]
    #[diagnostic(
        code(sources::fetch),
        help(
            "see that this machine reaches its package registries; what is fetched already is kept, and the same command goes on from there"
        )
    )]
    Nowhere {
        /// The package.
        package: String,
        /// The file.
        file: String,
        /// The lock that names it.
        lock: Utf8PathBuf,
        /// Each place with what went wrong there.
        attempts: Vec<(String, String)>,
    },
    /// A transfer failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Download(Box<DownloadError>),
    /// The Python package index does not have it, or is none.
    #[error("the Python package index {index}: {reason}")]
    #[diagnostic(
        code(sources::pypi),
        help("the index is the one of pip's configuration: PIP_INDEX_URL, else `index-url` in pip.conf")
    )]
    Index {
        /// URL of the index.
        index: String,
        /// Reason why the answer cannot be used.
        reason: String,
    },
    /// A lock that cannot be written anew, as it cannot be read.
    #[error("{path} cannot be read: {message}")]
    #[diagnostic(code(sources::relock), help("CONTRIBUTING.md describes the format"))]
    Unreadable {
        /// The lock.
        path: Utf8PathBuf,
        /// Message of the TOML parser, with line and column.
        message: String,
    },
    /// The name of a package's folder is none that a package may have.
    #[error("the folder {folder} cannot be a package: {message}")]
    #[diagnostic(code(sources::name), help("rename the folder"))]
    PackageName {
        /// The folder.
        folder: Utf8PathBuf,
        /// The rule that it breaks.
        message: String,
    },
    /// A Cargo.lock that cannot be used.
    #[error("{lock}: {message}")]
    #[diagnostic(
        code(sources::cargo_lock),
        help(
            "only crates of registries can be locked: each has a `checksum` in Cargo.lock. `cargo update --workspace` writes it anew"
        )
    )]
    CargoLock {
        /// The Cargo.lock.
        lock: Utf8PathBuf,
        /// Reason why the Cargo.lock cannot be used.
        message: String,
    },
    /// Cargo did not fetch a crate that its lock names.
    #[error("cargo fetched the crates of {package}, and {file} with the digest {sha256} is not among them ({seen})")]
    #[diagnostic(
        code(sources::crate_file),
        help(
            "the registry that cargo is set up with has other bytes, or keeps its crates elsewhere (a `directory` source)"
        )
    )]
    CrateFile {
        /// The package.
        package: String,
        /// The archive's name.
        file: String,
        /// SHA-256 of the archive in Cargo.lock.
        sha256: Digest,
        /// Text on what was found instead: another digest under that name, or none.
        seen: String,
    },
    /// An archive that must not be unpacked.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Archive(Box<ArchiveError>),
    /// A file of the repository is not any more what was read.
    #[error("{path} changed while it was used: it is not any more what the package's key was made from")]
    #[diagnostic(
        code(sources::changed),
        help("run the same command again; it begins with the file as it is now")
    )]
    Changed {
        /// The file.
        path: Utf8PathBuf,
    },
    /// A link, pipe or device among the files of the repository.
    #[error("{lock} names `{path}`, which is neither a file nor a folder")]
    #[diagnostic(
        code(sources::not_plain),
        help("sources of this repository are plain files: a link may lead anywhere, and to something else tomorrow")
    )]
    NotPlain {
        /// The lock.
        lock: Utf8PathBuf,
        /// Path that the lock names, or one below it.
        path: Utf8PathBuf,
    },
    /// Modules or crates could not be fetched.
    #[error("the {what} of {package} cannot be fetched")]
    #[diagnostic(code(sources::modules), help("{}", modules_help(source)))]
    Modules {
        /// Kind of the sources: `Go modules` or `crates`.
        what: &'static str,
        /// The package.
        package: String,
        /// Failure of the client.
        source: Box<ProcessError>,
    },
    /// The lock names a file of this repository that is not there.
    #[error("{lock} names `{path}`, which is not there")]
    #[diagnostic(code(sources::path), help("mend the path, or add the file"))]
    NoSuchFile {
        /// The lock.
        lock: Utf8PathBuf,
        /// Path that the lock names.
        path: Utf8PathBuf,
    },
    /// The SDK failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sdk(#[from] SdkError),
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

impl From<DownloadError> for SourcesError {
    fn from(error: DownloadError) -> Self {
        match error {
            DownloadError::Io(error) => error.into(),
            DownloadError::Interrupted(error) => error.into(),
            error => Self::Download(Box::new(error)),
        }
    }
}

/// Difference between what came and what is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceMismatch {
    /// Another length.
    Size {
        /// Locked size in bytes.
        expected: u64,
        /// Message of the transfer's error.
        message: String,
    },
    /// Another SHA-256.
    Digest {
        /// Locked SHA-256.
        expected: Digest,
        /// SHA-256 of the received content.
        actual: Digest,
        /// `true` if the server declared the content as HTML.
        page: bool,
    },
}

impl std::fmt::Display for SourceMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Size { message, .. } => f.write_str(message),
            Self::Digest { expected, actual, .. } => write!(f, "its digest is {actual}, {expected} was expected"),
        }
    }
}

fn listed(attempts: &[(String, String)]) -> String {
    attempts
        .iter()
        .map(|(place, reason)| format!("\n  {place}: {reason}"))
        .collect()
}

/// Advice on a client of a package registry that failed. Go without a module proxy clones repositories with git.
fn modules_help(source: &ProcessError) -> &'static str {
    let lines: &[String] = match source {
        ProcessError::Failed { tail, .. } => tail,
        _ => &[],
    };
    let says = |words: &str| lines.iter().any(|line| line.contains(words));
    if says("\"git\": executable file not found") {
        "GOPROXY says `direct`, in the environment or in `go env`; Go needs git for that, which the tree of build tools \
         does not have: set GOPROXY to a module proxy"
    } else if says("disabled by GOPROXY=off") {
        "GOPROXY is `off`, in the environment or in `go env`: set it to a module proxy"
    } else {
        "see that this machine reaches its package registries, and run the same command again"
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use miette::Diagnostic as _;

    use super::*;

    #[test]
    fn a_proxy_that_cannot_work_is_named() {
        for (line, expected) in [
            (
                "go: git init --bare in /cache/vcs/1: exec: \"git\": executable file not found in $PATH",
                "needs git",
            ),
            (
                "go: example.org/a@v1.0.0: module lookup disabled by GOPROXY=off",
                "GOPROXY is `off`",
            ),
            (
                "dial tcp: lookup proxy.example.org: no such host",
                "reaches its package registries",
            ),
        ] {
            let error = SourcesError::Modules {
                what: "Go modules",
                package: "runc".to_owned(),
                source: Box::new(ProcessError::Failed {
                    program: "go".to_owned(),
                    command: "go mod download".to_owned(),
                    status: ExitStatus::from_raw(1 << 8),
                    tail: vec![line.to_owned()],
                }),
            };
            let help = error.help().expect("help").to_string();
            assert!(help.contains(expected), "{help}");
        }
    }
}
