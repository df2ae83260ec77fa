//! HTTP: one request, one answer, one connection, all of it within a time.
//!
//! Plain for metadata services of clouds, which are spoken to without TLS, at an address on the machine's own link, and never through a
//! proxy; API servers are asked over TLS ([`crate::https`]). Not through an HTTP client of others, which would be in every image.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Bytes of an answer's head that are allowed besides its body.
const HEAD: u64 = 64 << 10;

/// A request.
///
/// Headers may hold a session token: there is no `Debug`.
#[derive(Clone, Copy)]
pub struct HttpRequest<'r> {
    /// Method: `GET`.
    pub method: &'r str,
    /// Value of the header `Host`.
    pub host: &'r str,
    /// Path and query.
    pub path: &'r str,
    /// More headers.
    pub headers: &'r [(&'r str, &'r str)],
    /// Body; often empty.
    pub body: &'r str,
}

/// Answer of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Status: 200.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// Bounds of an exchange.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Time-out of a connection to one address.
    pub connect: Duration,
    /// Deadline of all of it, from the first address on: a server that sends a byte now and then does not move it.
    pub answer: Duration,
    /// The most bytes of a body.
    pub largest: u64,
}

/// Exchange without an answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection, or one that broke or took too long.
    #[error("{0}")]
    NoAnswer(#[from] io::Error),
    /// A body that is too large.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
}

/// Sends a request to the first of the addresses that takes a connection.
///
/// # Errors
/// When there is no answer, none that is whole, or one that is too large.
pub fn exchange(
    addresses: &[SocketAddr],
    request: &HttpRequest<'_>,
    limits: &HttpLimits,
) -> Result<HttpAnswer, HttpError> {
    let mut stream = DeadlineStream::connect(addresses, limits)?;
    converse(&mut stream, request, limits.largest)
}

/// Sends a request over a connection, and reads the answer.
///
/// # Errors
/// When there is no answer, none that is whole, or one with a body of more bytes than `largest`.
pub(crate) fn converse(
    stream: &mut (impl Read + Write),
    request: &HttpRequest<'_>,
    largest: u64,
) -> Result<HttpAnswer, HttpError> {
    let text = head(request) + request.body;
    stream.write_all(text.as_bytes())?;
    stream.flush()?;
    let most = largest.saturating_add(HEAD);
    let (mut read, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => read.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Not every server ends TLS in order when it hangs up.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !read.is_empty() => break,
            Err(error) => return Err(error.into()),
        }
        if read.len() as u64 > most {
            return Err(HttpError::TooLarge(largest));
        }
        // Not every server hangs up when it is asked to.
        if may_be_whole(&read) && matches!(parse(&read), Some(Ok(_))) {
            break;
        }
    }
    let answer = parse(&read).ok_or_else(|| io::Error::other("the answer is not HTTP"))??;
    match answer.body.len() as u64 > largest {
        true => Err(HttpError::TooLarge(largest)),
        false => Ok(answer),
    }
}

/// Connection with one deadline for everything: it passes, whatever little is read or written in between.
#[derive(Debug)]
pub(crate) struct DeadlineStream {
    socket: TcpStream,
    end: Instant,
}

impl DeadlineStream {
    /// A connection to the first of the addresses that takes one. The deadline begins now.
    pub(crate) fn connect(addresses: &[SocketAddr], limits: &HttpLimits) -> io::Result<Self> {
        let end = Instant::now() + limits.answer;
        let mut failed = io::Error::other("no address is known");
        for address in addresses {
            match TcpStream::connect_timeout(address, limits.connect.min(left(end)?)) {
                Ok(socket) => return Ok(Self { socket, end }),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

impl Read for DeadlineStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(left(self.end)?))?;
        self.socket.read(buffer).map_err(named)
    }
}

impl Write for DeadlineStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(left(self.end)?))?;
        self.socket.write(bytes).map_err(named)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// Time that is left until then; an error when there is none.
fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(io::ErrorKind::TimedOut.into()),
        false => Ok(left),
    }
}

/// A time-out by its name: that of a socket has another.
fn named(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

fn head(request: &HttpRequest<'_>) -> String {
    let HttpRequest {
        method,
        host,
        path,
        headers,
        body,
    } = request;
    let mut text =
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: basalt-node\r\n");
    for (name, value) in *headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    if *method != "GET" {
        let _ = write!(text, "Content-Length: {}\r\n", body.len());
    }
    text.push_str("\r\n");
    text
}

/// Header lines and body of an answer; the body is all where there is no end of the header.
fn split(answer: &[u8]) -> Option<(&str, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = answer.split_at_checked(end.unwrap_or(answer.len()))?;
    Some((std::str::from_utf8(head).ok()?, body.get(4..).unwrap_or_default()))
}

fn header<'h>(head: &'h str, wanted: &str) -> Option<&'h str> {
    let mut lines = head.split("\r\n").skip(1);
    lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}

/// Returns `true` if an answer may be whole without the end of its connection: it gives its length, or ends as chunks do
/// (RFC 9112, section 7.1).
fn may_be_whole(answer: &[u8]) -> bool {
    let is_complete = answer.windows(4).any(|window| window == b"\r\n\r\n");
    let has = |head, name| header(head, name).is_some();
    is_complete
        && split(answer).is_some_and(|(head, _)| {
            has(head, "content-length") || has(head, "transfer-encoding") && answer.ends_with(b"\r\n\r\n")
        })
}

/// Status and body of an answer; none for what is not HTTP, and an error for a body that is cut short.
fn parse(answer: &[u8]) -> Option<io::Result<HttpAnswer>> {
    let (head, body) = split(answer)?;
    let mut words = head.split("\r\n").next()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/"))?;
    let status = words.next()?.parse().ok()?;
    let cut_short = || io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is cut short");
    let is_chunked = header(head, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let length = header(head, "content-length").and_then(|value| value.parse::<usize>().ok());
    let body = match (is_chunked, length) {
        (true, _) => without_chunks(body),
        (false, Some(length)) => body.get(..length).map(<[u8]>::to_vec),
        (false, None) => Some(body.to_vec()),
    };
    Some(body.ok_or_else(cut_short).map(|body| HttpAnswer { status, body }))
}

/// Body of an answer in chunks (RFC 9112, 7.1); none before the last one is there.
fn without_chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let (line, after) = rest.split_at_checked(end)?;
        let size = std::str::from_utf8(line).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let after = after.get(2..)?;
        body.extend_from_slice(after.get(..size)?);
        rest = after.get(size.checked_add(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use proptest::prelude::*;

    use super::*;

    const LIMITS: HttpLimits = HttpLimits {
        connect: Duration::from_secs(5),
        answer: Duration::from_secs(20),
        largest: 1000,
    };

    #[test]
    fn answers() {
        let of = |text: &str| parse(text.as_bytes()).map(|answer| answer.map_err(|error| error.to_string()));
        let is = |status, body: &str| {
            let body = body.as_bytes().to_vec();
            Some(Ok(HttpAnswer { status, body }))
        };
        assert_eq!(of("HTTP/1.0 200 OK\r\nA: b\r\n\r\n{}"), is(200, "{}"));
        assert_eq!(of("HTTP/1.1 404 Not Found\r\n\r\n"), is(404, ""));
        assert_eq!(of("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}"), is(200, "{}"));
        let chunks =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(of(chunks), is(200, "abc0123456789"));
        for cut in [
            "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc\r\n",
        ] {
            assert!(matches!(of(cut), Some(Err(_))), "{cut}");
        }
        for nothing in ["", "SSH-2.0 200\r\n\r\n", "HTTP/1.0\r\n\r\n", "HTTP/1.0 two\r\n\r\n"] {
            assert_eq!(of(nothing), None, "{nothing:?}");
        }
    }

    /// A server that reads a request, writes this text, and keeps the connection until the client hangs up.
    fn served(text: String) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            let _ = stream.write_all(text.as_bytes());
            let _ = stream.read(&mut request);
        });
        address
    }

    const GET: HttpRequest<'static> = HttpRequest {
        method: "GET",
        host: "h",
        path: "/",
        headers: &[],
        body: "",
    };

    #[test]
    fn a_connection_that_stays_open_is_not_waited_for() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let nobody = "127.0.0.1:1".parse().unwrap();
        let addresses = [nobody, served(text.to_owned())];
        assert_eq!(exchange(&addresses, &GET, &LIMITS).unwrap().body, b"ok");
        let chunked = served("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_owned());
        assert_eq!(exchange(&[chunked], &GET, &LIMITS).unwrap().body, b"ok");
    }

    #[test]
    fn the_time_and_the_size_of_an_answer_are_bounded() {
        let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n{}", "a".repeat(1001));
        let error = exchange(&[served(large)], &GET, &LIMITS).unwrap_err();
        assert!(matches!(error, HttpError::TooLarge(1000)), "{error}");
        let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "a".repeat(200_000));
        let error = exchange(&[served(endless)], &GET, &LIMITS).unwrap_err();
        assert!(matches!(error, HttpError::TooLarge(1000)), "{error}");
        let slow = served("HTTP/1.1 200 OK\r\n".to_owned());
        let limits = HttpLimits {
            answer: Duration::from_millis(50),
            ..LIMITS
        };
        let error = exchange(&[slow], &GET, &limits).unwrap_err();
        assert!(
            matches!(&error, HttpError::NoAnswer(why) if why.kind() == io::ErrorKind::TimedOut),
            "{error}"
        );
        assert!(matches!(exchange(&[], &GET, &LIMITS), Err(HttpError::NoAnswer(_))));
    }

    #[test]
    fn a_server_that_sends_a_byte_now_and_then_does_not_move_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Until the client hangs up.
            while stream.write_all(b"H").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let limits = HttpLimits {
            answer: Duration::from_millis(300),
            ..LIMITS
        };
        let start = Instant::now();
        let error = exchange(&[address], &GET, &limits).unwrap_err();
        assert!(
            matches!(&error, HttpError::NoAnswer(why) if why.kind() == io::ErrorKind::TimedOut),
            "{error}"
        );
        assert!(
            start.elapsed() + Duration::from_millis(50) >= limits.answer,
            "{:?}",
            start.elapsed()
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: Vec<u8>, text in ".*") {
            let _ = parse(&bytes);
            let _ = parse(format!("HTTP/1.0 200 OK\r\n{text}\r\n\r\n").as_bytes());
            let _ = parse(format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{text}").as_bytes());
        }
    }
}
