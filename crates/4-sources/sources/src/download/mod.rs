//! Transfer of files over HTTP: bounded in size and time, resumed where it broke, verified while it runs.
//!
//! ```text
//! Request --(proxy, TLS)--> Connection: a thread that reads --Events--> Transfer --(SHA-256)--> a file
//!                                ▲                                         │
//!                                └── Range, If-Range ◀── pause ◀── failure that may pass
//! ```
//!
//! A server that stalls is told from one that is slow ([`TransferLimits`]). Errors that may pass (time-outs, resets,
//! 5xx, 429) are tried again after a growing pause, from the byte that was reached, where the server offers ranges and
//! the file is still the same one. What was received lives as long as the call: another run begins anew.

mod connection;
mod error;
mod limits;
mod proxy;
#[cfg(test)]
pub(crate) mod server;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod transfer;
mod trust;
mod url;

use std::time::{Duration, Instant};

use basalt_digest::Digest;
use basalt_process::{ProcessError, interrupt};
use basalt_progress::Task;
use camino::Utf8Path;
use ureq::http::Uri;

use connection::{Ask, Connection};
use proxy::Proxies;
use transfer::Transfer;

pub use error::{DownloadError, TransferPhase};
pub use limits::{TransferLimits, UNKNOWN_SIZE_CAP};
pub(crate) use url::resolve;

/// Interval at which Ctrl-C and the limits of a transfer are checked.
const TICK: Duration = Duration::from_millis(100);

/// A file to transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// An http or https URL.
    pub url: String,
    /// Media types for the header `Accept`, where the server has more than one form of it.
    pub accept: Option<String>,
    /// Size that the file must have.
    pub size: ExpectedSize,
}

/// Size of a file that is to be transferred, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedSize {
    /// Exactly that: a lock says so.
    Locked(u64),
    /// Not known, and at most that.
    AtMost(u64),
}

/// A file that was transferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloaded {
    /// SHA-256 of its bytes, taken while they came.
    pub sha256: Digest,
    /// Size in bytes.
    pub size: u64,
    /// URL that it came from in the end, after all redirects.
    pub url: String,
    /// Media type as the server declared it, in lower case; empty if it declared none.
    pub content_type: String,
    /// `true` if the file came in more than one piece (HTTP range requests).
    pub resumed: bool,
}

/// Transfers files.
#[derive(Debug, Clone)]
pub struct Downloader {
    limits: TransferLimits,
    proxies: Proxies,
    stop: fn() -> bool,
}

impl Default for Downloader {
    fn default() -> Self {
        Self::new(TransferLimits::default())
    }
}

impl Downloader {
    /// A downloader with the proxies of the environment; Ctrl-C ends its transfers.
    pub fn new(limits: TransferLimits) -> Self {
        Self {
            limits,
            proxies: Proxies::from_environment(),
            stop: interrupt::requested,
        }
    }

    /// Transfers a file to `to`, which is made or written over.
    ///
    /// # Errors
    /// See [`DownloadError`]: of the last attempt, when several were made. What is at `to` then is of no use.
    pub fn download(&self, request: &Request, to: &Utf8Path, task: &dyn Task) -> Result<Downloaded, DownloadError> {
        let mut transfer = Transfer::create(to, request.size, task)?;
        let (mut fruitless, mut total) = (0, 0);
        loop {
            let before = transfer.received();
            let error = match self.attempt(request, &mut transfer) {
                Ok((url, content_type)) => return Ok(transfer.finish(url, content_type)),
                Err(error) => error,
            };
            total += 1;
            fruitless = if transfer.received() > before { 1 } else { fruitless + 1 };
            if !error.is_transient() || fruitless >= self.limits.attempts || total >= self.limits.total_attempts {
                return Err(error);
            }
            let wish = match error {
                DownloadError::Status { retry_after, .. } => retry_after,
                _ => None,
            };
            let pause = self.limits.pause(fruitless, wish, rand::random());
            tracing::debug!(url = request.url, %error, ?pause, "another attempt");
            task.detail(&format!("{error}; another attempt in {} s", pause.as_secs_f64().ceil()));
            self.sleep(pause)?;
            task.detail("");
        }
    }

    /// One attempt, through all redirects. Returns the URL that answered, and the media type.
    fn attempt(&self, request: &Request, transfer: &mut Transfer<'_>) -> Result<(String, String), DownloadError> {
        let mut url = request.url.clone();
        for _ in 0..=self.limits.redirects {
            let (from, if_range) = transfer.resume_at();
            let ask = Ask {
                url: url.clone(),
                accept: request.accept.clone(),
                from,
                if_range,
            };
            let connection = Connection::open(ask, self.agent(&url)?, self.limits)?;
            match transfer.run(&connection, &self.limits, || self.check())? {
                transfer::End::Complete { content_type } => return Ok((url, content_type)),
                transfer::End::Again => {}
                transfer::End::Moved { location } => url = url::redirect(&url, location.as_deref())?,
            }
        }
        Err(DownloadError::Redirect {
            from: url,
            reason: format!("there were {} before it", self.limits.redirects),
        })
    }

    /// A client of its own for each exchange: no connection outlives its transfer.
    fn agent(&self, url: &str) -> Result<ureq::Agent, DownloadError> {
        let wrong = || DownloadError::Url { url: url.to_owned() };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let (scheme, host) = (url::scheme(url), uri.host().ok_or_else(wrong)?);
        let port = match (uri.port_u16(), scheme.as_str()) {
            (Some(port), "http" | "https") => port,
            (None, "https") => 443,
            (None, "http") => 80,
            _ => return Err(wrong()),
        };
        let proxy = self.proxies.find(&scheme, host, port).map(|proxy| {
            ureq::Proxy::new(proxy).map_err(|error| DownloadError::Settings(format!("the proxy `{proxy}`: {error}")))
        });
        let limits = &self.limits;
        let config = ureq::Agent::config_builder()
            .proxy(proxy.transpose()?)
            .tls_config(trust::settings())
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(limits.connect))
            .timeout_connect(Some(limits.connect))
            .timeout_send_request(Some(limits.first_byte))
            .timeout_recv_response(Some(limits.first_byte))
            // Only in case: a transfer watches over its body itself, and closes the connection.
            .timeout_per_read(Some(limits.idle.max(limits.first_byte) * 2))
            .user_agent(concat!("basalt/", env!("CARGO_PKG_VERSION")));
        Ok(config.build().new_agent())
    }

    fn check(&self) -> Result<(), DownloadError> {
        if (self.stop)() {
            return Err(ProcessError::Interrupted.into());
        }
        Ok(())
    }

    fn sleep(&self, pause: Duration) -> Result<(), DownloadError> {
        let until = Instant::now() + pause;
        loop {
            self.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(TICK));
        }
    }
}
