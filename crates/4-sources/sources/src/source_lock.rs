//! `sources.toml`: what a package is made from, exactly.
//!
//! Text is read into [`raw`] types, which know where everything stands; [`check`] has the rules for names, paths and URLs.
//! A [`SourceLock`] has passed them: its names can be joined to folders and given to programs.

mod check;
mod raw;

pub use check::file_name as check_file_name;

use std::str::FromStr;

use camino::Utf8PathBuf;
use miette::{Diagnostic, NamedSource, SourceSpan};
use serde::Deserialize;
use thiserror::Error;

use basalt_digest::Digest;

/// The sources of one package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceLock {
    /// Files that are downloaded.
    pub files: Vec<LockedFile>,
    /// Go modules.
    pub go: Vec<GoModules>,
    /// Crates.
    pub cargo: Vec<Crates>,
    /// Files of this repository.
    pub trees: Vec<RepositoryFiles>,
}

/// A file that is downloaded: the digest decides, not the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedFile {
    /// Its name for the spec.
    pub file: String,
    /// Its SHA-256.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Upstream's release.
    pub url: String,
    /// Whether the bytes are a distribution's repack of what is at `url`, which then has another digest.
    pub repack: bool,
    /// Other places of the same bytes.
    pub alternatives: Vec<Alternative>,
}

/// Modules that a `go.mod` and `go.sum` in the package's folder name, as a module cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoModules {
    /// The folder of the two files, below the package's.
    pub dir: Utf8PathBuf,
}

/// Crates that a `Cargo.lock` names, as a directory source of cargo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crates {
    /// The lock, below the package's folder or above it.
    pub lock: Utf8PathBuf,
    /// Only what this package of the workspace needs.
    pub package: Option<String>,
}

/// Files of this repository, as a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryFiles {
    /// The folder's name for the spec.
    pub name: String,
    /// Files and folders, from the root of the repository.
    pub paths: Vec<Utf8PathBuf>,
}

/// A place that is reached through an ordinary client instead of a URL.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Alternative {
    /// `debian:[<area>/]<source package>/<file>`: Debian's archive, by the mirrors that the machine's apt is set up with.
    Debian(DebianFile),
    /// `pypi:<project>==<version>`: the source distribution, as a file of the Python package index.
    Pypi {
        /// The project's name, as it is written.
        project: String,
        /// Its version, as it is written.
        version: String,
    },
}

/// Areas of Debian's archive (Debian Policy 2.2). A file whose area is not said is in the first.
const AREAS: [&str; 4] = ["main", "contrib", "non-free", "non-free-firmware"];

/// File of Debian's archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebianFile {
    /// Area of the archive: one of `main`, `contrib`, `non-free` and `non-free-firmware`.
    pub area: &'static str,
    /// The source package.
    pub package: String,
    /// The file in its folder of the pool.
    pub file: String,
}

impl DebianFile {
    /// Reads what stands after `debian:`.
    fn parse(text: &str) -> Option<Self> {
        let (before, file) = text.rsplit_once('/')?;
        let (area, package) = before.split_once('/').unwrap_or((AREAS[0], before));
        let area = AREAS.into_iter().find(|known| *known == area)?;
        (is_word(package) && check::file_name(file).is_ok()).then(|| Self {
            area,
            package: package.to_owned(),
            file: file.to_owned(),
        })
    }

    /// Path below the archive's root.
    ///
    /// The pool's folders are the first letter of the source package, or the first four if it begins with `lib`
    /// (Debian Policy leaves it to the archive; every archive does it so).
    pub fn pool_path(&self) -> String {
        let Self { area, package, file } = self;
        let letters = if package.starts_with("lib") { 4 } else { 1 };
        let folder: String = package.chars().take(letters).collect();
        format!("pool/{area}/{folder}/{package}/{file}")
    }
}

impl std::fmt::Display for DebianFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { area, package, file } = self;
        match *area == AREAS[0] {
            true => write!(f, "debian:{package}/{file}"),
            false => write!(f, "debian:{area}/{package}/{file}"),
        }
    }
}

impl FromStr for Alternative {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a place: `debian:[<area>/]<source package>/<file>` or `pypi:<project>==<version>` is expected"
            )
        };
        match text.split_once(':') {
            Some(("debian", rest)) => DebianFile::parse(rest).map(Self::Debian),
            Some(("pypi", rest)) => {
                let (project, version) = rest.split_once("==").ok_or_else(wrong)?;
                (is_word(project) && is_word(version)).then(|| Self::Pypi {
                    project: project.to_owned(),
                    version: version.to_owned(),
                })
            }
            _ => None,
        }
        .ok_or_else(wrong)
    }
}

/// Whether a text is a name or version as Debian and Python write them: letters, digits and `+-._~!`, the first of them a
/// letter or digit.
fn is_word(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "+-._~!".contains(letter))
}

impl TryFrom<String> for Alternative {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::fmt::Display for Alternative {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Debian(file) => file.fmt(f),
            Self::Pypi { project, version } => write!(f, "pypi:{project}=={version}"),
        }
    }
}

/// A lock that cannot be understood.
#[derive(Debug, Error, Diagnostic)]
#[error("{path} is not a valid lock of sources")]
#[diagnostic(
    code(sources::lock),
    help("CONTRIBUTING.md describes the format; `./basalt sources lock` fills digests in")
)]
pub struct LockError {
    /// The file.
    pub path: Utf8PathBuf,
    /// Its text.
    #[source_code]
    pub text: NamedSource<String>,
    /// What is wrong.
    pub message: String,
    /// Where.
    #[label("{message}")]
    pub place: Option<SourceSpan>,
}

impl SourceLock {
    /// Reads the text of a lock; `path` is for errors.
    ///
    /// # Errors
    /// With the place in the text, when it is not as described.
    pub fn parse(text: &str, path: &camino::Utf8Path) -> Result<Self, LockError> {
        let wrong = |message: String, place: Option<std::ops::Range<usize>>| LockError {
            path: path.to_owned(),
            text: NamedSource::new(path, text.to_owned()),
            message,
            place: place.map(SourceSpan::from),
        };
        let raw: raw::SourceLock =
            toml::from_str(text).map_err(|error| wrong(error.message().to_owned(), error.span()))?;
        check::lock(raw).map_err(|problem| wrong(problem.message, Some(problem.place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[[file]]
file = "zlib-1.3.1.tar.gz"
sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
size = 12
url = "https://zlib.net/zlib-1.3.1.tar.gz"
alternatives = ["debian:zlib/zlib_1.3.1.orig.tar.gz"]

[[go]]
dir = "."
"#;

    #[test]
    fn a_lock_is_understood() {
        let lock = SourceLock::parse(GOOD, "sources.toml".into()).expect("valid");
        assert_eq!(
            lock.files[0].alternatives[0].to_string(),
            "debian:zlib/zlib_1.3.1.orig.tar.gz"
        );
        assert_eq!(lock.go.len(), 1);
    }

    #[test]
    fn mistakes_are_shown_at_their_place() {
        for (from, to, message) in [
            ("size = 12", "sise = 12", "unknown field `sise`"),
            ("size = 12", "size = \"12\"", "invalid type"),
            ("debian:zlib/", "debian:zlib", "is not a place"),
            ("e3b0", "e3", "is not a SHA-256 digest"),
            ("\"zlib-1.3.1.tar.gz\"", "\"../x\"", "plain file name"),
            ("\"zlib-1.3.1.tar.gz\"", "\"-rf\"", "begins with `-`"),
            ("\"zlib-1.3.1.tar.gz\"", "\"--help\"", "begins with `-`"),
            ("\"zlib-1.3.1.tar.gz\"", "\"a\\nb\"", "control character"),
            ("debian:zlib/", "debian:-o/", "is not a place"),
            ("debian:zlib/", "debian:universe/zlib/", "is not a place"),
            ("debian:zlib/", "debian:main/z/zlib/", "is not a place"),
            (
                "debian:zlib/zlib_1.3.1.orig.tar.gz",
                "pypi:--index-url==1",
                "is not a place",
            ),
            ("debian:zlib/zlib_1.3.1.orig.tar.gz", "pypi:six==-1", "is not a place"),
            ("https://zlib.net", "ftp://zlib.net", "neither http nor https"),
            ("https://zlib.net", "https://-o.net", "has no host"),
            ("dir = \".\"", "dir = \"/etc\"", "absolute"),
            ("dir = \".\"", "dir = \"-x\"", "begins with `-`"),
            ("dir = \".\"", "dir = \"../other\"", "leads out of"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            let error = SourceLock::parse(&text, "sources.toml".into()).expect_err(to);
            assert!(error.message.contains(message), "{}", error.message);
            assert!(error.place.is_some(), "{to}");
        }
    }

    #[test]
    fn the_pool_has_its_folders() {
        for (text, path) in [
            ("debian:zlib/z", "pool/main/z/zlib/z"),
            ("debian:libcap2/c", "pool/main/libc/libcap2/c"),
            (
                "debian:non-free-firmware/firmware-nonfree/f.deb",
                "pool/non-free-firmware/f/firmware-nonfree/f.deb",
            ),
        ] {
            let Ok(Alternative::Debian(file)) = text.parse() else {
                panic!("{text} is a file of Debian's archive");
            };
            assert_eq!(file.pool_path(), path);
            assert_eq!(file.to_string(), text);
        }
    }
}
