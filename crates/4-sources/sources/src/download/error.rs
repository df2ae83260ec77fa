//! Failures of a transfer.

use std::time::Duration;

use basalt_process::ProcessError;
use basalt_store::FileError;
use miette::Diagnostic;
use thiserror::Error;

/// A file could not be transferred.
#[derive(Debug, Error, Diagnostic)]
pub enum DownloadError {
    /// The URL is none, or of a scheme that is not transferred.
    #[error("`{url}` is not a URL of http or https")]
    #[diagnostic(code(download::url))]
    Url {
        /// The text.
        url: String,
    },
    /// The server answered with an error.
    #[error("the server answered {status} ({})", status_name(*status))]
    #[diagnostic(code(download::status))]
    Status {
        /// HTTP status.
        status: u16,
        /// Time after which the server wants to be asked again (Retry-After).
        retry_after: Option<Duration>,
    },
    /// The file is larger than it may be.
    #[error("it is larger than {cap} bytes{}", announced.map(|size| format!(" (the server announces {size})")).unwrap_or_default())]
    #[diagnostic(code(download::size))]
    TooLarge {
        /// Largest size in bytes: the locked one, or the cap for files that are not locked yet.
        cap: u64,
        /// Size that the server announced, in bytes.
        announced: Option<u64>,
    },
    /// The server announces fewer bytes than the file has.
    #[error("the server announces {announced} bytes, {expected} were expected")]
    #[diagnostic(code(download::size))]
    TooSmall {
        /// Locked size in bytes.
        expected: u64,
        /// Announced size in bytes.
        announced: u64,
    },
    /// The transfer ended before the file did.
    #[error("it was cut short at {received}{} bytes: {reason}", expected.map(|size| format!(" of {size}")).unwrap_or_default())]
    #[diagnostic(code(download::truncated))]
    Truncated {
        /// Bytes that came.
        received: u64,
        /// Bytes that should have come, where that is known.
        expected: Option<u64>,
        /// Message of the system or the protocol.
        reason: String,
    },
    /// Nothing moved for too long.
    #[error("it stalled: {phase} for {seconds} s")]
    #[diagnostic(code(download::stalled))]
    Stalled {
        /// Phase that stalled.
        phase: TransferPhase,
        /// Duration without progress, in seconds, rounded up.
        seconds: u64,
    },
    /// Bytes came, but too slowly to ever end.
    #[error("it stalled: {rate} bytes per second, at least {floor} are expected")]
    #[diagnostic(code(download::slow))]
    Slow {
        /// Bytes per second.
        rate: u64,
        /// The least that is accepted.
        floor: u64,
    },
    /// A redirect that is not followed.
    #[error("the redirect of {from} is not followed: {reason}")]
    #[diagnostic(code(download::redirect))]
    Redirect {
        /// URL that redirects.
        from: String,
        /// Rule that forbids it.
        reason: String,
    },
    /// No connection, or one that broke before the answer.
    #[error("no connection: {0}")]
    #[diagnostic(code(download::connection))]
    Connection(String),
    /// The environment's settings cannot be used.
    #[error("{0}")]
    #[diagnostic(
        code(download::settings),
        help("see the variables https_proxy, http_proxy, all_proxy and SSL_CERT_FILE")
    )]
    Settings(String),
    /// The file cannot be written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Io(#[from] FileError),
    /// Ctrl-C.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Interrupted(#[from] ProcessError),
}

/// Phase of a transfer that can stall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferPhase {
    /// Connection, with name resolution and TLS.
    Connect,
    /// Header of the response.
    Response,
    /// Next bytes of the body.
    Body,
}

impl std::fmt::Display for TransferPhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Response => "no answer to the request",
            Self::Body => "no further byte",
        })
    }
}

impl DownloadError {
    /// Returns `true` if another attempt may succeed.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => super::limits::is_transient(*status),
            Self::Truncated { .. } | Self::Stalled { .. } | Self::Slow { .. } | Self::Connection(_) => true,
            _ => false,
        }
    }

    /// Returns `true` if the size shows that the file is not the locked one.
    pub(crate) fn is_other_content(&self) -> bool {
        matches!(self, Self::TooSmall { .. } | Self::TooLarge { .. })
    }
}

fn status_name(status: u16) -> &'static str {
    ureq::http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("unknown")
}
