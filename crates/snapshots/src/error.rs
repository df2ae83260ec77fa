//! How repositories go wrong.

use basalt_process::ProcessError;
use basalt_repo::RepoError;
use basalt_repo::metadata::MetadataError;
use basalt_signing::{KeyError, VerifyError};
use basalt_store::StoreError;
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

/// A repository could not be published, read or served.
#[derive(Debug, Error, Diagnostic)]
pub enum SnapshotError {
    /// There is no place for repositories.
    #[error("cannot tell where repositories are kept: neither BASALT_REPOSITORIES, XDG_DATA_HOME nor HOME is set")]
    #[diagnostic(
        code(snapshots::place),
        help("set BASALT_REPOSITORIES to a folder on a disk with some GB free")
    )]
    NoPlace,
    /// A name that could be a path, or that a URL would have to escape.
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
        /// Of what.
        what: &'static str,
    },
    /// Snapshots never change.
    #[error("the repository `{repository}` already has a snapshot `{name}`, and with other packages")]
    #[diagnostic(
        code(snapshots::exists),
        help("snapshots never change: choose another name, or none, and the time of publishing is its name")
    )]
    Exists {
        /// The repository.
        repository: String,
        /// The snapshot.
        name: String,
    },
    /// No such snapshot.
    #[error("the repository `{repository}` has no snapshot `{name}`")]
    #[diagnostic(code(snapshots::unknown), help("{help}"))]
    Unknown {
        /// The repository.
        repository: String,
        /// What was asked for.
        name: String,
        /// What there is.
        help: String,
    },
    /// Nothing was published yet.
    #[error("nothing is published in the repository `{repository}`")]
    #[diagnostic(code(snapshots::empty), help("publish something: ./basalt repo publish node"))]
    Empty {
        /// The repository.
        repository: String,
    },
    /// Nothing waits for signatures.
    #[error("nothing in the repository `{repository}` waits for signatures")]
    #[diagnostic(
        code(snapshots::no_draft),
        help(
            "`./basalt repo publish` with a key whose secret half is elsewhere prepares what is to be signed: \
             ./basalt repo keys import release.asc, then ./basalt repo publish --key <its fingerprint>"
        )
    )]
    NoDraft {
        /// The repository.
        repository: String,
    },
    /// Some of the signatures are missing.
    #[error("{} of {total} signatures are not in {folder}: {}", missing.len(), first(missing))]
    #[diagnostic(
        code(snapshots::unsigned),
        help(
            "sign each file where the key is (`gpg --detach-sign FILE` makes FILE.sig), bring the signatures back into that \
              folder, and run the same command again. Nothing was changed"
        )
    )]
    Unsigned {
        /// The folder.
        folder: Utf8PathBuf,
        /// Which.
        missing: Vec<String>,
        /// How many are expected.
        total: usize,
    },
    /// A signature that is not accepted.
    #[error("the signature of {what} is not accepted")]
    #[diagnostic(code(snapshots::signature), help("nothing was published"))]
    Signature {
        /// Of what.
        what: String,
        /// Why.
        #[source]
        #[diagnostic_source]
        source: VerifyError,
    },
    /// Two RPMs would lie at the same place.
    #[error("two different RPMs have the name {file}")]
    #[diagnostic(
        code(snapshots::twice),
        help(
            "raise the Release in the spec of the newer one: clients tell packages apart by name, version and release"
        )
    )]
    Twice {
        /// The name.
        file: String,
    },
    /// An RPM that cannot be signed.
    #[error("cannot sign {path}")]
    #[diagnostic(
        code(snapshots::rpm),
        help("the file is damaged or not an RPM: build its package again")
    )]
    Rpm {
        /// The RPM.
        path: Utf8PathBuf,
        /// What the library said.
        source: Box<rpm::Error>,
    },
    /// A file of ours that is not as we wrote it.
    #[error("{path} is damaged: {why}")]
    #[diagnostic(code(snapshots::damaged), help("{help}"))]
    Damaged {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong.
        why: String,
        /// What to do.
        help: &'static str,
    },
    /// The port is taken, or may not be used.
    #[error("cannot listen on {address}: {why}")]
    #[diagnostic(
        code(snapshots::listen),
        help("choose another port: ./basalt repo serve --port 0 takes any that is free")
    )]
    Listen {
        /// Where.
        address: String,
        /// What the system said.
        why: String,
    },
    /// The metadata is not right.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Metadata(#[from] MetadataError),
    /// An RPM is not right.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Package(#[from] RepoError),
    /// The key is not right.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Key(#[from] KeyError),
    /// Files are not right.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    /// Ctrl-C.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
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

/// The first few of many names.
fn first(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}
