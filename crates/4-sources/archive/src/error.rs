//! Failures of an extraction.

use basalt_process::without_path;
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

/// An archive could not be extracted.
#[derive(Debug, Error, Diagnostic)]
pub enum ArchiveError {
    /// An entry breaks a rule of the [`Policy`](crate::Policy).
    #[error("{archive} is refused: its entry `{}` {violation}", entry.escape_debug())]
    #[diagnostic(
        code(archive::violation),
        help("no honest archive has such an entry; see where it comes from. Nothing of it is kept")
    )]
    Violation {
        /// The archive.
        archive: String,
        /// The entry's name as it stands, with replacement characters where it is not UTF-8.
        entry: String,
        /// The rule that it breaks.
        violation: Violation,
    },
    /// The file is truncated, or no tar archive.
    #[error("{archive} cannot be read as a tar archive")]
    #[diagnostic(
        code(archive::damaged),
        help("it is damaged, or of another format; have it fetched again")
    )]
    Damaged {
        /// The archive.
        archive: String,
        /// Error of the tar reader.
        source: std::io::Error,
    },
    /// The extracted file could not be written.
    #[error("cannot extract {archive}: {what} `{path}`")]
    #[diagnostic(code(archive::write))]
    Write {
        /// The archive.
        archive: String,
        /// Failed operation, a verb phrase: `cannot create`.
        what: &'static str,
        /// Path of the file or folder.
        path: Utf8PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl ArchiveError {
    pub(crate) fn write<'e>(
        archive: &'e str,
        what: &'static str,
        path: &'e Utf8Path,
    ) -> impl FnOnce(std::io::Error) -> Self + 'e {
        move |source| Self::Write {
            archive: archive.to_owned(),
            what,
            path: path.to_owned(),
            source: without_path(source, path),
        }
    }
}

/// A rule that an entry breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Violation {
    /// An absolute name.
    #[error("has an absolute name")]
    Absolute,
    /// `..` in a name.
    #[error("has `..` in its name")]
    Upwards,
    /// A name that is not UTF-8.
    #[error("has a name that is not UTF-8")]
    NotUtf8,
    /// A newline, an escape sequence, ...
    #[error("has a control character in its name")]
    Control,
    /// Nothing is left of the name.
    #[error("has no name")]
    Empty,
    /// A name that no file system takes, or folders without end.
    #[error("has a name that is too long or too deep (at most {0} bytes, {1} folders)")]
    TooLong(usize, usize),
    /// Outside of the folder that all entries must be in.
    #[error("is not below `{0}`")]
    OutsideTop(String),
    /// A device node or a pipe.
    #[error("is a {0}")]
    Special(&'static str),
    /// An entry of a kind that is not known.
    #[error("is of an unknown kind ({0:#04x})")]
    UnknownKind(u8),
    /// A symbolic or hard link where none may be.
    #[error("is a {0} link")]
    Link(&'static str),
    /// A symbolic link whose target is outside.
    #[error("is a symbolic link that leads outside, to `{}`", .0.escape_debug())]
    LinkOutside(String),
    /// A hard link to what is no file of this archive.
    #[error("is a hard link to `{}`, which is no file of this archive", .0.escape_debug())]
    HardLink(String),
    /// A name that goes through something that is no folder.
    #[error("goes through `{0}`, which is no folder")]
    Through(String),
    /// The same name twice.
    #[error("is there twice")]
    Twice,
    /// Two names that some file systems take for one.
    #[error("differs from `{0}` by upper and lower case only, which not every file system tells apart")]
    CasePair(String),
    /// Too many entries.
    #[error("is one more than the {0} entries that an archive may have")]
    TooMany(u64),
    /// Too many bytes.
    #[error("makes the whole larger than {0} bytes")]
    TooLarge(u64),
}
