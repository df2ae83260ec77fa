//! Errors of reading and unpacking RPMs.

use basalt_process::{ProcessError, without_path};
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

/// An RPM could not be read or unpacked.
#[derive(Debug, Error, Diagnostic)]
pub enum RpmError {
    /// The file is not an RPM, or a damaged one.
    #[error("cannot read the header of {path}")]
    #[diagnostic(
        code(rpm::header),
        help("the file is damaged or not an RPM: delete it and build its package again")
    )]
    Header {
        /// The RPM.
        path: Utf8PathBuf,
        /// Cause, from the `rpm` crate or the system.
        source: Box<rpm::Error>,
    },
    /// The header is intact, and says what cannot be.
    #[error("the header of {path} cannot be used: {what}")]
    #[diagnostic(
        code(rpm::malformed),
        help("build the package of this RPM again; its spec may need a correction first")
    )]
    Malformed {
        /// The RPM.
        path: Utf8PathBuf,
        /// The violation, as a clause that follows `cannot be used:`.
        what: String,
    },
    /// The payload does not follow its format or its header.
    #[error("the payload of {path} cannot be used: {what}")]
    #[diagnostic(
        code(rpm::payload),
        help("build the package of this RPM again; its spec may need a correction first")
    )]
    Payload {
        /// The RPM.
        path: Utf8PathBuf,
        /// The violation, as a clause that follows `cannot be used:`.
        what: String,
    },
    /// A file could not be read or written.
    #[error("{action} {path}")]
    #[diagnostic(code(rpm::io))]
    Io {
        /// Operation that failed, with a verb that the path can follow: `cannot open`.
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// Cause, from the system.
        source: std::io::Error,
    },
    /// Ctrl-C.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Interrupted(#[from] ProcessError),
}

impl RpmError {
    /// Returns the conversion of an error of the `rpm` crate about the header of a file.
    pub fn header(path: &Utf8Path) -> impl Fn(rpm::Error) -> Self + '_ {
        |source| Self::Header {
            path: path.to_owned(),
            source: Box::new(source),
        }
    }

    /// Returns the error of a header that is intact and cannot be used, with the violation.
    pub fn malformed(path: &Utf8Path, what: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            what: what.into(),
        }
    }

    pub(crate) fn payload(path: &Utf8Path, what: impl Into<String>) -> Self {
        Self::Payload {
            path: path.to_owned(),
            what: what.into(),
        }
    }

    pub(crate) fn io(action: &'static str, path: impl AsRef<Utf8Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io {
            source: without_path(source, &path),
            action,
            path,
        }
    }
}
