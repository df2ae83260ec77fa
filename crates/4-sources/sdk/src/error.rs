//! Errors of fetching, installing and using the SDK.

use basalt_process::ProcessError;
use basalt_store::{FileError, StoreError};
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

/// The SDK or a file of Debian's archive cannot be provided.
#[derive(Debug, Error, Diagnostic)]
pub enum SdkError {
    /// No mirror of Debian is known.
    #[error("no mirror of Debian is known")]
    #[diagnostic(
        code(sdk::mirror),
        help(
            "name one: export BASALT_DEBIAN_MIRROR=<URL of the archive's root, which holds the folders `dists` and `pool`>"
        )
    )]
    NoMirror,
    /// The environment variable that names a mirror is not a URL.
    #[error("{variable} is `{value}`, which is not a URL")]
    #[diagnostic(
        code(sdk::mirror),
        help(
            "it is the URL of the archive's root, which holds the folders `dists` and `pool`: http://, https:// or file:/"
        )
    )]
    Mirror {
        /// Name of the variable.
        variable: &'static str,
        /// Value of the variable, with control characters escaped.
        value: String,
    },
    /// A file could not be fetched.
    #[error("`{path}` cannot be fetched from the Debian mirror {mirror}: {reason}")]
    #[diagnostic(code(sdk::fetch), help("{help}"))]
    Fetch {
        /// Path below the archive's root.
        path: String,
        /// URL of the mirror.
        mirror: String,
        /// Cause, as a clause that follows the colon.
        reason: String,
        /// Instruction for the user.
        help: &'static str,
    },
    /// A fetched file does not have the digest in the lock.
    #[error("`{path}` is not what {lock} says: its digest is {actual}, {expected} was expected")]
    #[diagnostic(
        code(sdk::digest),
        help("the mirror is broken or was tampered with; nothing of it was kept")
    )]
    Digest {
        /// Path below the archive's root.
        path: String,
        /// Name of the lock.
        lock: String,
        /// Digest of the fetched file, in hexadecimal digits.
        actual: String,
        /// Digest in the lock, in hexadecimal digits.
        expected: String,
    },
    /// A definition, a lock or `toolchain.toml` cannot be parsed.
    #[error("{path} cannot be read: {message}")]
    #[diagnostic(code(sdk::file), help("{remedy}"))]
    File {
        /// Path of the file.
        path: Utf8PathBuf,
        /// Error of the parser, with the place.
        message: String,
        /// Instruction for the user, shown as help. The field has this name in `toolchain.rs` and `tree.rs`, whose text is part of
        /// the key of the SDK's trees: with another one, all packages would be built again.
        remedy: &'static str,
    },
    /// A file that the toolchain is made from is not in the SDK.
    #[error("the SDK does not hold `{path}`, which the toolchain is made from")]
    #[diagnostic(
        code(sdk::toolchain),
        help("see distro/toolchain/toolchain.toml and distro/sdk/sdk.toml")
    )]
    ToolchainPart {
        /// Path in the SDK.
        path: String,
    },
    /// Two packages of a lock have the same name, or a name is not valid.
    #[error("the inputs of a tree cannot be put together")]
    #[diagnostic(
        code(sdk::inputs),
        help("a name stands twice in the lock: write it anew with ./basalt sdk lock")
    )]
    Inputs {
        /// Cause, with the path of the input.
        source: basalt_action::DirectoryError,
    },
    /// An operation on a file failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Io(#[from] FileError),
    /// An operation of the store failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    /// A program failed, or Ctrl-C was pressed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
}
