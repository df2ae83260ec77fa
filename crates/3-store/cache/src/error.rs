//! Errors between a build and its cache.

use std::io;

use basalt_process::without_path;
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

use crate::blob::BlobMismatch;
use crate::closure::ClosureError;
use basalt_action::Blob;

/// Failure of one call on one back end. [`Cache`](crate::Cache) turns these into misses and warnings.
#[derive(Debug, Error, Diagnostic)]
pub enum CacheError {
    /// The server cannot be connected to.
    #[error("no connection to the cache {cache}: {why}")]
    #[diagnostic(
        code(cache::unreachable),
        help(
            "see whether host and port are right and whether `grpc` or `grpcs` is spoken there; the build goes on without"
        )
    )]
    Unreachable {
        /// The location, as it was named.
        cache: String,
        /// Error message of the transport.
        why: String,
    },
    /// The server did not answer in time, or sends too slowly.
    #[error("the cache {cache} does not answer: {call} took longer than {seconds} s")]
    #[diagnostic(code(cache::timeout))]
    TimedOut {
        /// The location.
        cache: String,
        /// The remote procedure.
        call: &'static str,
        /// Time-out of the call, in seconds.
        seconds: u64,
    },
    /// The server rejected the credentials, or requires some.
    #[error("the cache {cache} refuses {call}: {message}")]
    #[diagnostic(
        code(cache::refused),
        help(
            "name its token with `?token-file=FILE` or `?token-env=VARIABLE`; a token that may only read needs `?mode=read`"
        )
    )]
    Refused {
        /// The location.
        cache: String,
        /// The remote procedure.
        call: &'static str,
        /// Status message of the server.
        message: String,
    },
    /// The server answered with another error.
    #[error("the cache {cache} fails in {call}: {code}: {message}")]
    #[diagnostic(code(cache::server))]
    Server {
        /// The location.
        cache: String,
        /// The remote procedure.
        call: &'static str,
        /// The gRPC status code.
        code: tonic::Code,
        /// Status message of the server.
        message: String,
    },
    /// The token for a server cannot be had.
    #[error("there is no token for the cache: {origin} {why}")]
    #[diagnostic(code(cache::token), help("a token is one line of printable ASCII characters"))]
    Token {
        /// The file or variable that was named.
        origin: String,
        /// Defect of the token or of its source.
        why: &'static str,
    },
    /// The server lacks what Basalt needs of it.
    #[error("the cache {cache} cannot be used: {why}")]
    #[diagnostic(code(cache::unsupported))]
    Unsupported {
        /// The location.
        cache: String,
        /// Missing capability.
        why: String,
    },
    /// An answer that the protocol does not allow.
    #[error("the cache {cache} breaks the protocol in {call}: {why}")]
    #[diagnostic(code(cache::protocol))]
    Protocol {
        /// The location.
        cache: String,
        /// The remote procedure or the file that was read.
        call: &'static str,
        /// Violation of the protocol.
        why: String,
    },
    /// Content that is not what was asked for.
    #[error("the cache {cache} gives wrong content for {blob}: {mismatch}")]
    #[diagnostic(code(cache::wrong_content))]
    Wrong {
        /// The location.
        cache: String,
        /// The blob that was asked for.
        blob: Blob,
        /// The difference.
        mismatch: BlobMismatch,
    },
    /// The cache does not have the blob.
    #[error("the cache {cache} does not have {blob}")]
    #[diagnostic(code(cache::missing))]
    Missing {
        /// The location.
        cache: String,
        /// The blob that was asked for.
        blob: Blob,
    },
    /// Content to be written into the cache does not match its digest.
    #[error("what was to be written into the cache as {blob} is something else: {mismatch}")]
    #[diagnostic(
        code(cache::source_changed),
        help("it was changed while it was read, or the disk is damaged: ./basalt store verify")
    )]
    SourceChanged {
        /// The name that it was given.
        blob: Blob,
        /// The difference.
        mismatch: BlobMismatch,
    },
    /// A result of this side that is none, so that nothing was written.
    #[error("the result of the action {action} cannot be written to a cache")]
    #[diagnostic(code(cache::malformed), help("the store is damaged: ./basalt store verify"))]
    Malformed {
        /// The action.
        action: Blob,
        /// Defect of the result.
        source: ClosureError,
    },
    /// Folder that is not empty and no cache.
    #[error("`{folder}` is not a cache: it holds `{}`, and no file `CACHEDIR.TAG` marks it as one", name.escape_debug())]
    #[diagnostic(
        code(cache::foreign),
        help(
            "name a cache, an empty folder, or one that does not exist yet, such as `{folder}/basalt-cache`; nothing was \
             changed in `{folder}`"
        )
    )]
    Foreign {
        /// The folder.
        folder: Utf8PathBuf,
        /// An entry that does not belong to a cache, relative to the folder.
        name: String,
    },
    /// A file operation of a folder cache, or on a local file, failed.
    #[error("{what} `{path}`")]
    #[diagnostic(code(cache::io))]
    Io {
        /// Failed operation, such as `cannot read`.
        what: &'static str,
        /// File that the operation was on.
        path: Utf8PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The caller's own reader or writer failed, at the other end of a transfer.
    #[error("cannot {what} this side's copy of {blob}")]
    #[diagnostic(code(cache::local))]
    Local {
        /// `read` or `write`.
        what: &'static str,
        /// The blob that was being transferred.
        blob: Blob,
        /// The system's error.
        source: io::Error,
    },
    /// The user interrupted the run (Ctrl-C).
    #[error(transparent)]
    #[diagnostic(transparent)]
    Interrupted(#[from] basalt_process::ProcessError),
}

impl CacheError {
    /// Returns a closure for `map_err` that describes a failed file operation on a path.
    pub fn io(what: &'static str, path: &Utf8Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io {
            source: without_path(source, &path),
            what,
            path,
        }
    }

    /// Returns `true` if the cause is on this machine (its disk, its store, Ctrl-C), so that the cache is not to blame.
    pub fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::Local { .. } | Self::Interrupted(_) | Self::SourceChanged { .. } | Self::Malformed { .. }
        )
    }
}

/// The error and its causes in one line, for a warning.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

/// Sanitizes text from a server for a terminal and a log: one line, no control characters, at most 200 characters.
pub(crate) fn sanitize(words: &str) -> String {
    let mut line: String = words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect();
    if words.chars().nth(200).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_servers_is_sanitized() {
        assert_eq!(sanitize("a\x1b[2J\nb"), "a [2J b");
        assert_eq!(sanitize(&"x".repeat(1000)).chars().count(), 201);
    }

    #[test]
    fn causes_are_told_once() {
        let io = CacheError::io("cannot read", Utf8Path::new("/x"))(io::Error::other("gone"));
        assert_eq!(chain(&io), "cannot read `/x`: gone");
    }
}
