//! One HTTP exchange, on a thread of its own.
//!
//! The thread does the blocking calls and sends what comes as [`Event`]s; whoever waits for them can look at the clock
//! and at Ctrl-C meanwhile. Dropping a [`Connection`] closes its socket, which ends the thread.

use std::io::Read as _;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use ureq::http::{HeaderMap, header};

use super::limits::TransferLimits;
use super::{DownloadError, TransferPhase};

/// Bytes per event.
const PIECE: usize = 128 * 1024;
/// Events that may wait to be taken.
const QUEUE: usize = 8;

/// An HTTP request, as the connection sends it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) url: String,
    /// Media types.
    pub(super) accept: Option<String>,
    /// First byte that is wanted, where it is not the first of all.
    pub(super) from: Option<u64>,
    /// Validator that the file must still have for a part of it to be of use (If-Range).
    pub(super) if_range: Option<String>,
}

/// Header of a response, as far as it matters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) length: Option<u64>,
    /// First byte and whole length of a part (206).
    pub(super) part: Option<(u64, Option<u64>)>,
    /// A strong entity tag, or else the time of the last change.
    pub(super) validator: Option<String>,
    pub(super) location: Option<String>,
    pub(super) retry_after: Option<Duration>,
    pub(super) content_type: String,
}

#[derive(Debug)]
pub(super) enum Event {
    Head(Head),
    Data(Vec<u8>),
    End,
    Failed(DownloadError),
}

/// An exchange under way.
pub(super) struct Connection {
    agent: Option<ureq::Agent>,
    events: Receiver<Event>,
}

impl Connection {
    /// Starts an exchange.
    pub(super) fn open(ask: Ask, agent: ureq::Agent, limits: TransferLimits) -> Result<Self, DownloadError> {
        let (sender, events) = mpsc::sync_channel(QUEUE);
        let client = agent.clone();
        std::thread::Builder::new()
            .name("download".to_owned())
            .spawn(move || exchange(&ask, &client, &limits, &sender))
            .map_err(|error| DownloadError::Connection(error.to_string()))?;
        Ok(Self {
            agent: Some(agent),
            events,
        })
    }

    /// The next event; None when there was none within `timeout`.
    pub(super) fn next(&self, timeout: Duration) -> Option<Event> {
        match self.events.recv_timeout(timeout) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Event::Failed(DownloadError::Connection(
                "the thread of the transfer ended".to_owned(),
            ))),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.shutdown();
        }
    }
}

/// Does the exchange, until its end or until the receiver of events is gone.
fn exchange(ask: &Ask, agent: &ureq::Agent, limits: &TransferLimits, events: &SyncSender<Event>) {
    let mut request = agent.get(&ask.url);
    if let Some(accept) = &ask.accept {
        request = request.header(header::ACCEPT, accept);
    }
    // As bytes of the file: a server that compresses it on the way would change its length.
    request = request.header(header::ACCEPT_ENCODING, "identity");
    if let Some(from) = ask.from {
        request = request.header(header::RANGE, format!("bytes={from}-"));
        if let Some(validator) = &ask.if_range {
            request = request.header(header::IF_RANGE, validator);
        }
    }
    let mut response = match request.call() {
        Ok(response) => response,
        Err(error) => {
            drop(events.send(Event::Failed(failure(error, limits))));
            return;
        }
    };
    let head = head(response.status().as_u16(), response.headers());
    if events.send(Event::Head(head)).is_err() {
        return;
    }
    let mut body = response.body_mut().as_reader();
    loop {
        let mut piece = vec![0; PIECE];
        let event = match body.read(&mut piece) {
            Ok(0) => Event::End,
            Ok(length) => {
                piece.truncate(length);
                Event::Data(piece)
            }
            Err(error) => Event::Failed(read_failure(&error, limits)),
        };
        let last = !matches!(event, Event::Data(_));
        if events.send(event).is_err() || last {
            return;
        }
    }
}

fn failure(error: ureq::Error, limits: &TransferLimits) -> DownloadError {
    use ureq::Timeout;
    let stalled = |phase, time: Duration| DownloadError::Stalled {
        phase,
        seconds: time.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX),
    };
    match error {
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => stalled(TransferPhase::Connect, limits.connect),
        ureq::Error::Timeout(Timeout::PerRead | Timeout::RecvBody) => stalled(TransferPhase::Body, limits.idle),
        ureq::Error::Timeout(_) => stalled(TransferPhase::Response, limits.first_byte),
        ureq::Error::BadUri(url) => DownloadError::Url { url },
        ureq::Error::InvalidProxyUrl => DownloadError::Settings("the proxy's URL is not valid".to_owned()),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => DownloadError::Settings(error.to_string()),
        error => DownloadError::Connection(error.to_string()),
    }
}

/// An error while the body is read. ureq wraps its own errors in those of I/O.
fn read_failure(error: &std::io::Error, limits: &TransferLimits) -> DownloadError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    if error.kind() == std::io::ErrorKind::TimedOut || matches!(inner, Some(ureq::Error::Timeout(_))) {
        return failure(ureq::Error::Timeout(ureq::Timeout::PerRead), limits);
    }
    DownloadError::Truncated {
        received: 0,
        expected: None,
        reason: error.to_string(),
    }
}

fn head(status: u16, headers: &HeaderMap) -> Head {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let etag = text(header::ETAG).filter(|tag| tag.starts_with('"'));
    Head {
        status,
        length: text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()),
        part: text(header::CONTENT_RANGE).and_then(content_range),
        validator: etag.or_else(|| text(header::LAST_MODIFIED)).map(str::to_owned),
        location: text(header::LOCATION).map(str::to_owned),
        retry_after: text(header::RETRY_AFTER).and_then(retry_after),
        content_type: text(header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase(),
    }
}

/// First byte and whole length of `bytes 5-9/10` or `bytes 5-9/*` (RFC 9110, section 14.4).
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, whole) = text.strip_prefix("bytes")?.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, _): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    match whole.trim() {
        "*" => Some((first, None)),
        whole => Some((first, Some(whole.parse().ok()?))),
    }
}

/// Retry-After in seconds. The other form, a date, is left to the usual pause: it would trust two clocks.
fn retry_after(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_understood() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for wrong in ["bytes */10", "items 5-9/10", "bytes 5/10", "bytes -9/10", ""] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
        assert_eq!(retry_after("3"), Some(Duration::from_secs(3)));
        assert_eq!(retry_after("Fri, 31 Dec 1999 23:59:59 GMT"), None);
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, "W/\"weak\"".parse().expect("a value"));
        assert_eq!(head(200, &headers).validator, None);
        headers.insert(header::ETAG, "\"strong\"".parse().expect("a value"));
        assert_eq!(head(200, &headers).validator.as_deref(), Some("\"strong\""));
    }
}
