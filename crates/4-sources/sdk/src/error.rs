//! How the SDK goes wrong.

use basalt_process::ProcessError;
use basalt_store::StoreError;
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

/// The SDK could not be had.
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
    /// The variable that names a mirror holds something else.
    #[error("{variable} is `{value}`, which is not a URL")]
    #[diagnostic(
        code(sdk::mirror),
        help(
            "it is the URL of the archive's root, which holds the folders `dists` and `pool`: http://, https:// or file:/"
        )
    )]
    Mirror {
        /// The variable.
        variable: &'static str,
        /// Its value, with control characters escaped.
        value: String,
    },
    /// A file could not be fetched.
    #[error("`{path}` cannot be fetched from the Debian mirror {mirror}: {reason}")]
    #[diagnostic(code(sdk::fetch), help("{remedy}"))]
    Fetch {
        /// Below the archive's root.
        path: String,
        /// The mirror.
        mirror: String,
        /// What went wrong.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// What was fetched is not what the lock says.
    #[error("`{path}` is not what {lock} says: its digest is {actual}, {expected} was expected")]
    #[diagnostic(
        code(sdk::digest),
        help("the mirror is broken or was tampered with; nothing of it was kept")
    )]
    Digest {
        /// Below the archive's root.
        path: String,
        /// The lock.
        lock: String,
        /// What it is.
        actual: String,
        /// What it should be.
        expected: String,
    },
    /// A file of ours cannot be understood.
    #[error("{path} cannot be read: {message}")]
    #[diagnostic(code(sdk::file), help("{remedy}"))]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong, and where.
        message: String,
        /// What to do.
        remedy: &'static str,
    },
    /// What the toolchain should be made from is not in the SDK.
    #[error("the SDK does not hold `{path}`, which the toolchain is made from")]
    #[diagnostic(
        code(sdk::toolchain),
        help("see distro/toolchain/toolchain.toml and distro/sdk/sdk.toml")
    )]
    ToolchainPart {
        /// The path in the SDK.
        path: String,
    },
    /// Inputs that are in each other's way.
    #[error("the inputs of a tree cannot be put together")]
    #[diagnostic(
        code(sdk::inputs),
        help("a name stands twice in the lock: write it anew with ./basalt sdk lock")
    )]
    Inputs {
        /// Which.
        source: basalt_action::DirectoryError,
    },
    /// The store failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    /// A program failed, or Ctrl-C.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
}
