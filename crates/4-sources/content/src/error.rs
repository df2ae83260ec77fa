//! Errors about content trees.

use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

/// Content trees that cannot be used.
#[derive(Debug, Error, Diagnostic)]
pub enum ContentError {
    /// A folder that cannot be listed.
    #[error("cannot list `{path}`")]
    #[diagnostic(code(content::folder), help("see that it is there and can be read"))]
    Folder {
        /// Path of the folder.
        path: Utf8PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },

    /// Two trees with an entry of one name.
    #[error("`{later}` has the name of `{earlier}`")]
    #[diagnostic(
        code(content::duplicate),
        help(
            "rename one of the two: a tree adds packages, images and statements, it does not replace those of others"
        )
    )]
    Duplicate {
        /// Entry of the tree that comes first.
        earlier: Utf8PathBuf,
        /// Entry of the tree that comes after it.
        later: Utf8PathBuf,
    },
}
