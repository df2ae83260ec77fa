//! How fetching goes wrong.

use basalt_model::digest::Digest;
use basalt_model::source_lock::LockError;
use basalt_process::ProcessError;
use basalt_sdk::SdkError;
use basalt_store::StoreError;
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

/// A source could not be had.
#[derive(Debug, Error, Diagnostic)]
pub enum SourcesError {
    /// The lock is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Lock(#[from] Box<LockError>),
    /// What was fetched is not what is locked.
    #[error("{file} from {place} is not what {lock} says: {what}")]
    #[diagnostic(
        code(sources::digest),
        help(
            "nothing of it was kept. If upstream replaced the release on purpose, look at what changed, then: \
             ./basalt sources lock {package}"
        )
    )]
    Digest {
        /// The package.
        package: String,
        /// The file.
        file: String,
        /// Where it came from.
        place: String,
        /// The lock.
        lock: Utf8PathBuf,
        /// The difference.
        what: Mismatch,
    },
    /// Inputs that are in each other's way.
    #[error("the sources of {package} cannot be put together")]
    #[diagnostic(code(sources::inputs))]
    Inputs {
        /// The package.
        package: String,
        /// Which.
        source: basalt_action::DirectoryError,
    },
    /// A folder that cannot be an input.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Snapshot(#[from] basalt_store::SnapshotError),
    /// No place had it.
    #[error(
        "{file}, a source of {package}, cannot be had from any of its places:{}",
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
        /// Each place with what went wrong there.
        attempts: Vec<(String, String)>,
    },
    /// A place answered with something that is not a file.
    #[error("{0}")]
    Place(String),
    /// Modules or crates could not be fetched.
    #[error("the {what} of {package} cannot be fetched")]
    #[diagnostic(
        code(sources::modules),
        help("see that this machine reaches its package registries, and run the same command again")
    )]
    Modules {
        /// What: Go modules or crates.
        what: &'static str,
        /// The package.
        package: String,
        /// What the client said.
        source: Box<ProcessError>,
    },
    /// The lock names a file of this repository that is not there.
    #[error("{lock} names `{path}`, which is not there")]
    #[diagnostic(code(sources::path), help("mend the path, or add the file"))]
    NoSuchFile {
        /// The lock.
        lock: Utf8PathBuf,
        /// What it names.
        path: Utf8PathBuf,
    },
    /// The SDK failed.
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

/// How content differs from what is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// Another length, in bytes: cut short, or something else altogether.
    Size {
        /// What is locked.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// Another SHA-256.
    Digest {
        /// What is locked.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Size { expected, actual } if actual < expected => {
                write!(f, "it was cut short at {actual} of {expected} bytes")
            }
            Self::Size { expected, actual } => write!(f, "it has {actual} bytes, {expected} were expected"),
            Self::Digest { expected, actual } => write!(f, "its digest is {actual}, {expected} was expected"),
        }
    }
}

fn listed(attempts: &[(String, String)]) -> String {
    attempts
        .iter()
        .map(|(place, reason)| format!("\n  {place}: {reason}"))
        .collect()
}
