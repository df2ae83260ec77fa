//! How checking goes wrong. That something differs is no error: it is an answer.

use miette::Diagnostic;
use thiserror::Error;

/// Something could not be checked.
#[derive(Debug, Error, Diagnostic)]
pub enum RebuildError {
    /// A tree of tools is not what it should be.
    #[error("the tree `{tree}` has no `{path}`")]
    #[diagnostic(
        code(rebuild::tree),
        help("this is a bug in basalt, or distro/sdk/clock.lock names another package than libfaketime")
    )]
    Tree {
        /// The tree.
        tree: camino::Utf8PathBuf,
        /// What it lacks.
        path: &'static str,
    },
    /// Building the first time failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Build(#[from] basalt_build::BuildError),
    /// Composing failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Image(#[from] basalt_image::ImageError),
    /// An RPM cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Rpm(#[from] basalt_repo::RepoError),
    /// The SDK could not be had.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sdk(#[from] basalt_sdk::SdkError),
    /// The store failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] basalt_store::StoreError),
    /// A program failed, or Ctrl-C.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] basalt_process::ProcessError),
}
