//! The little of HTTP that a pull speaks.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read, Write};

/// More than any client sends before its body.
const LARGEST_HEAD: u64 = 64 << 10;

/// A request that may be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The path, without what follows a `?`.
    pub(super) path: String,
    /// The answer's body is wanted, too.
    pub(super) with_body: bool,
    /// The client closes the connection after this request.
    pub(super) last: bool,
}

/// Reads the next request: nothing at the end of the connection, an answer for one that is not served.
pub(super) fn read(input: &mut impl BufRead) -> io::Result<Option<Result<Request, Answer>>> {
    let mut head = input.take(LARGEST_HEAD);
    let mut first = String::new();
    if head.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut last = false;
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Ok(Some(Err(Answer::new("400 Bad Request"))));
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        last |= line
            .strip_prefix("connection:")
            .is_some_and(|value| value.trim() == "close");
    }
    let mut words = first.split_whitespace();
    let request = match (words.next(), words.next()) {
        (Some(method @ ("GET" | "HEAD")), Some(target)) => {
            let path = target.split('?').next().unwrap_or_default().to_owned();
            Ok(Request {
                path,
                with_body: method == "GET",
                last,
            })
        }
        (Some(_), Some(_)) => Err(Answer::new("405 Method Not Allowed")),
        _ => Err(Answer::new("400 Bad Request")),
    };
    Ok(Some(request))
}

/// The head of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    head: String,
    length: u64,
}

impl Answer {
    fn new(status: &str) -> Self {
        Self {
            head: format!("HTTP/1.1 {status}\r\nDocker-Distribution-API-Version: registry/2.0\r\n"),
            length: 0,
        }
    }

    pub(super) fn ok() -> Self {
        Self::new("200 OK")
    }

    pub(super) fn not_found() -> Self {
        Self::new("404 Not Found")
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        let _ = write!(self.head, "{name}: {value}\r\n");
        self
    }

    pub(super) fn with_length(self, length: u64) -> Self {
        Self { length, ..self }
    }

    pub(super) fn write(&self, output: &mut impl Write) -> io::Result<()> {
        write!(output, "{}Content-Length: {}\r\n\r\n", self.head, self.length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Option<Result<Request, Answer>> {
        read(&mut text.as_bytes()).unwrap()
    }

    #[test]
    fn requests() {
        let get = Request {
            path: "/v2/pause/manifests/1".to_owned(),
            with_body: true,
            last: false,
        };
        assert_eq!(
            parse("GET /v2/pause/manifests/1?ns=basalt.local HTTP/1.1\r\nHost: x\r\n\r\n"),
            Some(Ok(get))
        );
        let head = Request {
            path: "/v2/".to_owned(),
            with_body: false,
            last: true,
        };
        assert_eq!(parse("HEAD /v2/ HTTP/1.1\r\nConnection: Close\r\n\r\n"), Some(Ok(head)));
        assert_eq!(parse(""), None);
        assert!(matches!(parse("POST / HTTP/1.1\r\n\r\n"), Some(Err(_))));
        assert!(matches!(parse("GET / HTTP/1.1\r\n"), Some(Err(_))));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&mut &bytes[..]);
        }
    }
}
