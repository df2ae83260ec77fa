//! Failures of a check. A difference is not an error but a [`Verdict`](crate::Verdict).

use miette::Diagnostic;
use thiserror::Error;

/// Something could not be checked.
#[derive(Debug, Error, Diagnostic)]
pub enum RebuildError {
    /// Building the first time failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Build(#[from] basalt_build::BuildError),
    /// Composing failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Image(#[from] basalt_image::ImageError),
    /// Inputs that are in each other's way.
    #[error("the inputs of the clock cannot be put together")]
    #[diagnostic(code(rebuild::inputs), help("this is a bug in basalt"))]
    Inputs {
        /// Path that cannot be in the input root.
        source: basalt_action::DirectoryError,
    },
    /// An RPM cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Rpm(#[from] basalt_rpm::RpmError),
    /// The SDK could not be had.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sdk(#[from] basalt_sdk::SdkError),
    /// An operation on a file failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Io(#[from] basalt_store::FileError),
    /// The store failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] basalt_store::StoreError),
    /// A worker panicked.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Panic(#[from] basalt_schedule::Panic),
    /// A program failed, or Ctrl-C.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] basalt_process::ProcessError),
}
