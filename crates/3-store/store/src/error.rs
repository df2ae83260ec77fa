//! Errors of the store, and of plain file operations.

use std::io;
use std::os::unix::fs::MetadataExt as _;

use basalt_process::{ProcessError, without_path};
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

/// Failed operation on one file or folder.
#[derive(Debug, Error, Diagnostic)]
#[error("{what} `{path}`")]
#[diagnostic(code(file::io))]
pub struct FileError {
    /// The operation, as the beginning of a sentence: "cannot read".
    pub what: &'static str,
    /// The file or folder.
    pub path: Utf8PathBuf,
    /// The system's error.
    pub source: io::Error,
    /// Advice for the user, for errors that have one.
    #[help]
    pub help: Option<String>,
}

impl FileError {
    /// For `map_err`: turns the error of a file operation on `path` into a [`FileError`].
    pub fn new(what: &'static str, path: &Utf8Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| {
            let source = without_path(source, &path);
            let help = ownership_help(&source, &path).or_else(|| help_for(&source));
            Self {
                what,
                path,
                source,
                help,
            }
        }
    }
}

/// Failed operation of the store.
#[derive(Debug, Error, Diagnostic)]
pub enum StoreError {
    /// No environment variable names a folder for the store.
    #[error("cannot tell where the store is: neither BASALT_STORE, XDG_CACHE_HOME nor HOME is set")]
    #[diagnostic(code(store::place), help("set BASALT_STORE to a folder on a disk with 20 GB free"))]
    NoPlace,
    /// Environment variable that does not name a usable path.
    #[error("{variable} is `{value}`, {why}")]
    #[diagnostic(code(store::variable))]
    Variable {
        /// Name of the variable.
        variable: &'static str,
        /// Value, with bytes that are not UTF-8 replaced.
        value: String,
        /// The reason.
        why: &'static str,
        /// Advice for the user.
        #[help]
        help: String,
    },
    /// Folder that is not empty and no store.
    #[error("`{root}` is not a store: it holds `{name}`, and no file `basalt-store` marks it as one")]
    #[diagnostic(
        code(store::foreign),
        help(
            "BASALT_STORE has to name a store, an empty folder, or one that does not exist yet, such as \
             `{root}/basalt` (a store of a version that wrote no such file is taken over when it holds nothing else); \
             nothing was changed in `{root}`"
        )
    )]
    Foreign {
        /// The folder.
        root: Utf8PathBuf,
        /// One of the entries that do not belong to a store, relative to the folder.
        name: Utf8PathBuf,
    },
    /// Store of a format that this version does not know.
    #[error("the store `{root}` has the format {found}; this version knows formats up to {known}")]
    #[diagnostic(
        code(store::format),
        help("use the newer basalt that made it, or another folder as BASALT_STORE; nothing was changed")
    )]
    Format {
        /// The store.
        root: Utf8PathBuf,
        /// Format that its marker names; `?` when the marker cannot be understood.
        found: String,
        /// Newest known format.
        known: u32,
    },
    /// Store that belongs, wholly or in part, to another user.
    #[error("`{path}` belongs to the user {owner}, and the store is used as the user {user}")]
    #[diagnostic(code(store::owner))]
    Owner {
        /// The folder.
        path: Utf8PathBuf,
        /// Numeric id of its owner.
        owner: u32,
        /// The effective user id of this process.
        user: u32,
        /// Advice for the user.
        #[help]
        help: String,
    },
    /// Write access to a store that can only be read.
    #[error("the store `{root}` can only be read, and this has to be written: {what}")]
    #[diagnostic(
        code(store::read_only),
        help("make `{root}` writable, or point BASALT_STORE to a folder that you may write to")
    )]
    ReadOnly {
        /// The store.
        root: Utf8PathBuf,
        /// The operation or file that needs write access.
        what: &'static str,
    },
    /// File system on which locks do not exclude others.
    #[error("file locks do not work in `{root}`: {why}")]
    #[diagnostic(
        code(store::locks),
        help("use a local disk, or a network file system with locks (NFS 4, or NFS 3 with lockd), as BASALT_STORE")
    )]
    NoLocks {
        /// The store.
        root: Utf8PathBuf,
        /// The evidence.
        why: String,
    },
    /// Collection while a process uses the store without a record of its use.
    #[error(
        "the store `{root}` is in use by an earlier version of basalt, or by one that can only read it: nothing was removed"
    )]
    #[diagnostic(
        code(store::in_use),
        help("wait for it to end; if an earlier version runs a cluster: ./basalt down")
    )]
    InUse {
        /// The store.
        root: Utf8PathBuf,
    },
    /// Collection by age that would remove everything.
    #[error("everything in the store seems to be unused for {days} days or more: nothing was removed")]
    #[diagnostic(
        code(store::clock),
        help("if the clock of this machine is right, and this is what you want: ./basalt clean --all")
    )]
    AllIdle {
        /// Days since the most recent use of any entry.
        days: u64,
    },
    /// Failed file operation.
    #[error(transparent)]
    #[diagnostic(transparent)]
    File(#[from] FileError),
    /// Content that differs from the digest in its name.
    #[error("`{path}` is damaged: its content has the digest {actual}")]
    #[diagnostic(code(store::damaged), help("delete the file; it is fetched or built again"))]
    Damaged {
        /// The object.
        path: Utf8PathBuf,
        /// Digest of its bytes.
        actual: basalt_digest::Digest,
    },
    /// Ctrl-C while waiting.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Interrupted(#[from] ProcessError),
}

impl StoreError {
    /// For `map_err`: a failed operation on the file or folder `path`.
    pub fn io(what: &'static str, path: &Utf8Path) -> impl FnOnce(io::Error) -> Self {
        let wrap = FileError::new(what, path);
        move |source| Self::File(wrap(source))
    }

    /// Returns `true` if the user interrupted the operation.
    pub fn is_interrupt(&self) -> bool {
        matches!(self, Self::Interrupted(error) if error.is_interrupt())
    }

    /// The system's error, when a file operation failed.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::File(error) => Some(error.source.kind()),
            _ => None,
        }
    }
}

/// Returns advice about an error of the file system; none for errors that a user cannot do anything about.
pub fn help_for(error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(
            "the disk is full: free some space (`./basalt clean` takes away what is no longer used), or point \
             BASALT_STORE to a larger disk; what is finished is kept, and the same command goes on from there"
                .to_owned(),
        ),
        io::ErrorKind::ReadOnlyFilesystem => Some(
            "the file system is mounted read-only: mount it for writing, or use another folder (the store is where \
             BASALT_STORE says)"
                .to_owned(),
        ),
        io::ErrorKind::PermissionDenied => Some(
            "the permissions of the file, or of a folder above it, do not let this user (the store is where BASALT_STORE \
             says)"
                .to_owned(),
        ),
        _ => None,
    }
}

/// Advice when permission is denied because the path, or its nearest existing parent, belongs to another user.
fn ownership_help(error: &io::Error, path: &Utf8Path) -> Option<String> {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return None;
    }
    let (existing, metadata) = path
        .ancestors()
        .find_map(|path| Some((path, path.symlink_metadata().ok()?)))?;
    let user = rustix::process::geteuid().as_raw();
    (metadata.uid() != user).then(|| {
        format!(
            "`{existing}` belongs to the user {}, and this runs as the user {user}; {}",
            metadata.uid(),
            chown_help(existing, user)
        )
    })
}

/// The command that gives a folder to a user.
pub(crate) fn chown_help(path: &Utf8Path, user: u32) -> String {
    let path = basalt_process::quote(path);
    format!("if it was made by a run with sudo: sudo chown -R {user} {path}")
}
