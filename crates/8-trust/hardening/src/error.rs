//! Errors of a hardening check.

use basalt_document::problem::Problems;
use basalt_image::ImageError;
use miette::Diagnostic;
use thiserror::Error;

/// An image could not be looked at.
#[derive(Debug, Error, Diagnostic)]
pub enum HardeningError {
    /// `kspp.toml` or `hardening.toml` is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Data(Box<Problems>),
    /// A program cannot be understood.
    #[error("`{path}` of the package {package} begins like an ELF file and is none: {why}")]
    #[diagnostic(
        code(hardening::elf),
        help("build the package again; strip or objcopy may have damaged the file")
    )]
    Elf {
        /// The file.
        path: String,
        /// Package that the file belongs to.
        package: String,
        /// Defect, as the ELF reader reports it.
        why: String,
    },
    /// The packages cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Image(#[from] ImageError),
}

impl From<Problems> for HardeningError {
    fn from(problems: Problems) -> Self {
        Self::Data(Box::new(problems))
    }
}
