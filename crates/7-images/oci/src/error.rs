//! Errors of reading and pushing images.

use std::fmt;

use basalt_archive::ArchiveError;
use basalt_process::{ProcessError, without_path};
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

/// Operating system and architecture, in Go's words: `linux/amd64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// Operating system (GOOS).
    pub os: String,
    /// Architecture of the processor (GOARCH).
    pub architecture: String,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

/// Failure to read or push an image.
#[derive(Debug, Error, Diagnostic)]
pub enum OciError {
    /// A file could not be read or written.
    #[error("cannot {action} `{path}`")]
    #[diagnostic(code(oci::file))]
    File {
        /// Operation that failed, a verb: `read`.
        action: &'static str,
        /// Path of the file.
        path: Utf8PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// An archive breaks a rule, or is damaged.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Archive(#[from] ArchiveError),
    /// An archive is compressed in a way that is not read.
    #[error("{path} is compressed with {method}, which is not read here")]
    #[diagnostic(
        code(oci::compression),
        help("uncompress it first: {method} --decompress --keep {path}")
    )]
    Compression {
        /// Path of the archive.
        path: Utf8PathBuf,
        /// Name of the program that compressed it.
        method: &'static str,
    },
    /// A folder or an archive holds no image in a known format.
    #[error("{place} is neither an OCI layout nor an archive of docker or podman")]
    #[diagnostic(
        code(oci::format),
        help("an OCI layout has the file `index.json`, an archive of `docker save` has `manifest.json`")
    )]
    Format {
        /// The folder or the archive.
        place: String,
    },
    /// A document of the image does not parse, or contradicts itself.
    #[error("{place}: `{file}` {problem}")]
    #[diagnostic(
        code(oci::document),
        help("the image is damaged, or was made by hand: save or build it again")
    )]
    Document {
        /// The folder or the archive.
        place: String,
        /// Path of the document inside.
        file: String,
        /// Problem of the document, a verb phrase: `is not JSON: ...`.
        problem: String,
    },
    /// A file of the image is not what another one says.
    #[error("{place}: `{file}` {problem}")]
    #[diagnostic(
        code(oci::content),
        help("the image is damaged, or somebody changed it: save it again; nothing of it was loaded")
    )]
    Content {
        /// The folder or the archive.
        place: String,
        /// Path of the file inside.
        file: String,
        /// Difference, a verb phrase: `has the digest sha256:..., not sha256:...`.
        problem: String,
    },
    /// The image uses something that is not supported.
    #[error("{place}: `{file}` {problem}")]
    #[diagnostic(code(oci::unsupported))]
    Unsupported {
        /// The folder or the archive.
        place: String,
        /// Path of the file inside.
        file: String,
        /// Unsupported part, a verb phrase.
        problem: String,
    },
    /// An entry of an index is no image: a chart, a signature, an attestation.
    #[error("{place}: `{file}` {problem}")]
    #[diagnostic(
        code(oci::no_image),
        help("nodes run container images only; name the image that belongs to it")
    )]
    NoImage {
        /// The folder or the archive.
        place: String,
        /// Path of the entry's document inside.
        file: String,
        /// Kind of the entry, a verb phrase.
        problem: String,
    },
    /// The image is for other machines.
    #[error("{place} has no image for {wanted}, but for {}", joined(there))]
    #[diagnostic(
        code(oci::platform),
        help(
            "build or pull it for this platform: docker build --platform {wanted} ...; docker pull --platform {wanted} ..."
        )
    )]
    Platform {
        /// The folder or the archive.
        place: String,
        /// Platform of the cluster's nodes.
        wanted: Platform,
        /// Platforms of the image.
        there: Vec<Platform>,
    },
    /// The image has no name.
    #[error("an image in {place} has no name")]
    #[diagnostic(
        code(oci::name),
        help("give it one, as pods are to use it: --name example.org/app:1.0")
    )]
    Nameless {
        /// The folder or the archive.
        place: String,
    },
    /// A text is not the name of an image.
    #[error("`{name}` is not the name of an image: {reason}")]
    #[diagnostic(
        code(oci::reference),
        help("write it as [HOST[:PORT]/]PATH[:TAG], for example docker.io/library/nginx:1.27")
    )]
    Reference {
        /// The text.
        name: String,
        /// Reason, a clause.
        reason: String,
    },
    /// Neither a file nor an engine has what was asked for.
    #[error("there is no image `{word}`{}", listed(tried))]
    #[diagnostic(
        code(oci::missing),
        help(
            "name a folder with an OCI layout, an archive of `docker save`, or an image that docker, podman or containerd has"
        )
    )]
    Missing {
        /// Word of the user.
        word: String,
        /// Places that were asked, each with its answer.
        tried: Vec<String>,
    },
    /// A program failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
    /// The registry did not answer.
    #[error("the registry did not answer: {request}")]
    #[diagnostic(
        code(oci::registry),
        help("`./basalt status` shows whether it runs, `./basalt logs registry` what it says")
    )]
    Request {
        /// Method and URL of the request.
        request: String,
        /// Error of the HTTP client.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The registry refused.
    #[error("the registry refused: {request}: {status} {message}")]
    #[diagnostic(code(oci::refused), help("`./basalt logs registry` shows what it says"))]
    Refused {
        /// Method and URL of the request.
        request: String,
        /// HTTP status.
        status: u16,
        /// Body of the answer, shortened.
        message: String,
    },
}

impl OciError {
    /// Wraps the error of a file operation; for `map_err`.
    pub(crate) fn file(action: &'static str, path: &Utf8Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            source: without_path(source, &path),
            action,
            path,
        }
    }
}

fn joined(platforms: &[Platform]) -> String {
    if platforms.is_empty() {
        return "none".to_owned();
    }
    platforms.iter().map(Platform::to_string).collect::<Vec<_>>().join(", ")
}

fn listed(tried: &[String]) -> String {
    tried.iter().fold(String::new(), |text, line| text + "\n  " + line)
}
