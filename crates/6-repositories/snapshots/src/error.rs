//! Errors of publishing, verifying and serving repositories.

use basalt_process::ProcessError;
use basalt_repodata::MetadataError;
use basalt_rpm::RpmError;
use basalt_signing::{KeyError, VerifyError};
use basalt_store::{FileError, StoreError};
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

/// A repository could not be published, read or served.
#[derive(Debug, Error, Diagnostic)]
pub enum SnapshotError {
    /// No environment variable names a folder for repositories.
    #[error("cannot tell where repositories are kept: neither BASALT_REPOSITORIES, XDG_DATA_HOME nor HOME is set")]
    #[diagnostic(
        code(snapshots::place),
        help("set BASALT_REPOSITORIES to a folder on a disk with some GB free")
    )]
    NoPlace,
    /// A name that is not plain: it could be a path, or would have to be escaped in a URL.
    #[error("`{name}` cannot be the name of a {what}")]
    #[diagnostic(
        code(snapshots::name),
        help(
            "names are made of lower-case letters, digits, `.`, `_` and `-`, begin with a letter or digit, and have at most \
              64 characters"
        )
    )]
    Name {
        /// The name.
        name: String,
        /// Kind of the thing that cannot have the name: `repository`, `snapshot`.
        what: &'static str,
    },
    /// A snapshot of that name exists with other content; snapshots never change.
    #[error("the repository `{repository}` already has a snapshot `{name}`, and with other packages")]
    #[diagnostic(
        code(snapshots::exists),
        help("snapshots never change: choose another name, or none, and the time of publishing is its name")
    )]
    Exists {
        /// Name of the repository.
        repository: String,
        /// Name of the snapshot.
        name: String,
    },
    /// There is no snapshot of that name.
    #[error("the repository `{repository}` has no snapshot `{name}`")]
    #[diagnostic(code(snapshots::unknown), help("{help}"))]
    Unknown {
        /// Name of the repository.
        repository: String,
        /// The requested name.
        name: String,
        /// Suggestion: the names that exist, or the one that is nearly the same.
        help: String,
    },
    /// No snapshot was published yet.
    #[error("nothing is published in the repository `{repository}`")]
    #[diagnostic(code(snapshots::empty), help("publish something: ./basalt repo publish node"))]
    Empty {
        /// Name of the repository.
        repository: String,
    },
    /// No draft needs signatures.
    #[error("nothing in the repository `{repository}` waits for signatures")]
    #[diagnostic(
        code(snapshots::no_draft),
        help(
            "`./basalt repo publish` with a key whose secret half is elsewhere prepares what is to be signed: \
             ./basalt repo keys import release.asc, then ./basalt repo publish --key <its fingerprint>"
        )
    )]
    NoDraft {
        /// Name of the repository.
        repository: String,
    },
    /// Signatures are missing.
    #[error("{} of {total} signatures are not in {folder}: {}", missing.len(), first(missing))]
    #[diagnostic(
        code(snapshots::unsigned),
        help(
            "sign each file where the key is (`gpg --detach-sign FILE` makes FILE.sig), bring the signatures back into that \
              folder, and run the same command again. Nothing was changed"
        )
    )]
    Unsigned {
        /// Folder in which they were looked for.
        folder: Utf8PathBuf,
        /// Names of the files whose signatures are missing.
        missing: Vec<String>,
        /// Number of signatures that are expected.
        total: usize,
    },
    /// A signature that is not accepted.
    #[error("the signature of {what} is not accepted")]
    #[diagnostic(code(snapshots::signature), help("nothing was published"))]
    Signature {
        /// Name of the signed file.
        what: String,
        /// Reason of the refusal.
        #[source]
        #[diagnostic_source]
        source: VerifyError,
    },
    /// Two different RPMs have the same file name.
    #[error("two different RPMs have the name {file}")]
    #[diagnostic(
        code(snapshots::twice),
        help(
            "raise the Release in the spec of the newer one: clients tell packages apart by name, version and release"
        )
    )]
    Twice {
        /// The file name.
        file: String,
    },
    /// An RPM that cannot be signed.
    #[error("cannot sign {path}")]
    #[diagnostic(
        code(snapshots::rpm),
        help("the file is damaged or not an RPM: build its package again")
    )]
    Rpm {
        /// Path of the RPM.
        path: Utf8PathBuf,
        /// Cause, from the `rpm` crate.
        source: Box<rpm::Error>,
    },
    /// A file of the repository that differs from what was written.
    #[error("{path} is damaged: {why}")]
    #[diagnostic(code(snapshots::damaged), help("{help}"))]
    Damaged {
        /// Path of the file.
        path: Utf8PathBuf,
        /// The fault, as a clause.
        why: String,
        /// Advice for the user.
        help: &'static str,
    },
    /// The address is in use, or may not be used.
    #[error("cannot listen on {address}: {why}")]
    #[diagnostic(
        code(snapshots::listen),
        help("choose another port: ./basalt repo serve --port 0 takes any that is free")
    )]
    Listen {
        /// The address, with the port.
        address: String,
        /// Cause, from the system.
        why: String,
    },
    /// Error of repository metadata.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Metadata(#[from] MetadataError),
    /// Error of an RPM.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Package(#[from] RpmError),
    /// Error of a signing key.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Key(#[from] KeyError),
    /// An operation on a file failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Io(#[from] FileError),
    /// Error of a file operation or of a lock.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    /// Interrupt, or failure of a child process.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
    /// Panic of a worker, which is a bug of basalt.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Panic(#[from] basalt_schedule::Panic),
}

impl SnapshotError {
    pub(crate) fn rpm(path: &Utf8Path) -> impl FnOnce(rpm::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Rpm {
            path,
            source: Box::new(source),
        }
    }
}

/// Joins the first three of many names.
fn first(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    format!("{}{more}", names.get(..SHOWN).unwrap_or(names).join(", "))
}
