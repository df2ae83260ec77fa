//! Errors of a hardening check.

use basalt_document::problem::Problems;
use basalt_image::ImageError;
use basalt_rpm::RpmError;
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

/// An image could not be inspected.
#[derive(Debug, Error, Diagnostic)]
pub enum HardeningError {
    /// `kspp.toml`, `hardening.toml` or `kernel-requirements.toml` is wrong.
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
    /// The configuration that a kernel's package ships sets no option.
    #[error("the file /usr/lib/modules/*/config of the package {package} is no kernel configuration")]
    #[diagnostic(
        code(hardening::kernel_config),
        help(
            "its spec has to install the `.config` of the build there: see %install of distro/packages/kernel/kernel.spec"
        )
    )]
    Config {
        /// Package, with its version.
        package: String,
    },
    /// A payload could not be read to its end.
    #[error("cannot read the payload of {path}")]
    #[diagnostic(
        code(hardening::payload),
        help("the file is damaged: `basalt store verify` sets it aside, and the next build makes it again")
    )]
    Read {
        /// The RPM.
        path: Utf8PathBuf,
        /// Cause, from the system or the decompressor.
        source: std::io::Error,
    },
    /// An RPM cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Repo(#[from] RpmError),
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
