//! Errors of making an inventory or a bill of materials.

use basalt_rpm::RpmError;
use basalt_store::{FileError, StoreError};
use camino::{Utf8Path, Utf8PathBuf};
use miette::{Diagnostic, NamedSource, SourceSpan};
use thiserror::Error;

/// Failure to make an inventory or to write a document.
#[derive(Debug, Error, Diagnostic)]
pub enum BomError {
    /// Build information in a program that cannot be read.
    #[error("`{file}` in {package} says what is linked into it in a form that cannot be read: {source}")]
    #[diagnostic(
        code(bom::program),
        help(
            "the file is damaged, or its compiler is newer than this reader: build the package again (`./basalt build`)"
        )
    )]
    Program {
        /// The package.
        package: String,
        /// The file in it.
        file: String,
        /// Defect of the build information.
        source: ProgramError,
    },
    /// A file of the distribution is not as described.
    #[error("{path} is not as described")]
    #[diagnostic(
        code(bom::catalogue),
        help("docs/trust/bom.md describes the files that say who is who")
    )]
    Catalogue {
        /// The file.
        path: Utf8PathBuf,
        /// Text of the file.
        #[source_code]
        text: NamedSource<String>,
        /// Description of the defect.
        message: String,
        /// Location of the defect in the text.
        #[label("{message}")]
        place: Option<SourceSpan>,
    },
    /// Inputs of an action that are in each other's way.
    #[error("the programs of an RPM cannot be read")]
    #[diagnostic(code(bom::inputs), help("this is a bug in basalt"))]
    Inputs(#[from] basalt_action::DirectoryError),
    /// Build information of programs cannot be serialized as JSON.
    #[error("what programs say cannot be kept")]
    #[diagnostic(code(bom::programs), help("this is a bug in basalt"))]
    Programs {
        /// Error of the serializer.
        source: serde_json::Error,
    },
    /// The lock of a package's sources is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sources(#[from] Box<basalt_sources::source_lock::LockError>),
    /// A licence is not an SPDX expression.
    #[error("{of} has the licence `{licence}`, which is no SPDX expression: {why}")]
    #[diagnostic(
        code(bom::licence),
        help("identifiers stand on the SPDX licence list; what is not on it is called `LicenseRef-…`")
    )]
    Licence {
        /// Component or file that has the licence.
        of: String,
        /// The text.
        licence: String,
        /// Defect of the expression.
        why: String,
    },
    /// A name that cannot be written as a package URL.
    #[error("`{name}` cannot be named by a package URL: {why}")]
    #[diagnostic(code(bom::purl))]
    Purl {
        /// The name.
        name: String,
        /// Defect of the name.
        why: String,
    },
    /// A bill of materials could not be written.
    #[error("the bill of materials of {subject} cannot be written: {why}")]
    #[diagnostic(code(bom::document), help("this is a bug in basalt"))]
    Document {
        /// Package or image that the document describes.
        subject: String,
        /// Description of the failure.
        why: String,
    },
    /// The licence texts that licences are told by cannot be loaded.
    #[error("the known licence texts cannot be loaded: {0}")]
    #[diagnostic(code(bom::detector), help("this is a bug in basalt"))]
    Detector(String),
    /// An RPM cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Repo(#[from] RpmError),
    /// An operation on a file failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Io(#[from] FileError),
    /// The store failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

/// Defect of the build information in a program.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProgramError {
    /// The ELF file itself is wrong.
    #[error("its ELF headers are damaged ({0})")]
    Elf(String),
    /// Go's build information is wrong.
    #[error("the section .go.buildinfo {0}")]
    Go(String),
    /// The list of crates is wrong.
    #[error("the section .dep-v0 {0}")]
    Crates(String),
}

impl BomError {
    pub(crate) fn programs(source: serde_json::Error) -> Self {
        Self::Programs { source }
    }

    /// Returns a closure for `map_err` that describes a failed file operation on a path.
    pub(crate) fn io(what: &'static str, path: impl AsRef<Utf8Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path: Utf8PathBuf = path.as_ref().to_owned();
        move |error| Self::Io(FileError::new(what, &path)(error))
    }

    /// Returns a closure for `map_err` that describes an error in a TOML file of the distribution.
    pub(crate) fn catalogue(path: &Utf8Path, text: &str) -> impl FnOnce(toml::de::Error) -> Self {
        let (path, text) = (path.to_owned(), text.to_owned());
        move |error| Self::Catalogue {
            text: NamedSource::new(&path, text),
            path,
            message: error.message().to_owned(),
            place: error.span().map(SourceSpan::from),
        }
    }

    pub(crate) fn document<E: std::fmt::Display>(subject: &str) -> impl Fn(E) -> Self + '_ {
        move |error| Self::Document {
            subject: subject.to_owned(),
            why: error.to_string(),
        }
    }
}
