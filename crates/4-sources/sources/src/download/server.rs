//! Faulty servers on loopback, for tests.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Handler of one connection, called once its request is read.
pub(crate) type Step = Box<dyn Fn(&mut Client<'_>) -> std::io::Result<()> + Send + Sync>;

/// A server; it ends when dropped.
pub(crate) struct Server {
    address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

/// A connection whose request was read.
pub(crate) struct Client<'s> {
    pub(crate) stream: TcpStream,
    pub(crate) request: String,
    stop: &'s AtomicBool,
}

impl Server {
    /// A server whose first connection gets the first step, and so on; all later ones get the last.
    pub(crate) fn start(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (steps, log, ended) = (Arc::new(steps), Arc::clone(&requests), Arc::clone(&stop));
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (steps, log, ended) = (Arc::clone(&steps), Arc::clone(&log), Arc::clone(&ended));
                std::thread::spawn(move || {
                    let Ok(stream) = stream else { return };
                    let Ok(request) = read_request(&stream) else { return };
                    log.lock().expect("no panic").push(request.clone());
                    let step = &steps[number.min(steps.len() - 1)];
                    // A client that has gone away is the point of some tests.
                    let _ = step(&mut Client {
                        stream,
                        request,
                        stop: &ended,
                    });
                });
            }
        });
        Self {
            address,
            requests,
            stop,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The requests so far, with their headers.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
    }
}

impl Client<'_> {
    /// The first byte that is asked for.
    pub(crate) fn from(&self) -> Option<usize> {
        let line = self
            .request
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with("range:"))?;
        line.split("bytes=").nth(1)?.trim_end_matches('-').trim().parse().ok()
    }

    pub(crate) fn path(&self) -> &str {
        self.request.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// Keeps the connection open and does nothing, until the test is over (or ten seconds are).
    pub(crate) fn hang(&self) {
        let until = Instant::now() + Duration::from_secs(10);
        while !self.stop.load(Ordering::Relaxed) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sleeps for a time; returns `false` once the test has ended.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        std::thread::sleep(time);
        !self.stop.load(Ordering::Relaxed)
    }
}

fn read_request(stream: &TcpStream) -> std::io::Result<String> {
    let mut request = String::new();
    let mut reader = BufReader::new(stream);
    loop {
        let before = request.len();
        reader.read_line(&mut request)?;
        if request.len() - before <= 2 {
            return Ok(request);
        }
    }
}

/// Answers with a text as it stands.
pub(crate) fn answer(text: impl Into<Vec<u8>>) -> Step {
    let text = text.into();
    Box::new(move |client| client.send(&text))
}

/// Answers with a file; with the part that is asked for, where a range is.
pub(crate) fn file(content: &'static [u8], etag: &'static str) -> Step {
    Box::new(move |client| {
        let from = client.from().unwrap_or(0);
        let tag = if etag.is_empty() {
            String::new()
        } else {
            format!("ETag: {etag}\r\n")
        };
        let head = match client.from() {
            Some(from) => format!(
                "HTTP/1.1 206 Partial Content\r\n{tag}Content-Range: bytes {from}-{}/{}\r\nContent-Length: {}\r\n\r\n",
                content.len() - 1,
                content.len(),
                content.len() - from
            ),
            None => format!("HTTP/1.1 200 OK\r\n{tag}Content-Length: {}\r\n\r\n", content.len()),
        };
        client.send(head)?;
        client.send(&content[from..])
    })
}

/// Announces a whole file, sends the beginning of it, and closes the connection.
pub(crate) fn cut(content: &'static [u8], after: usize, etag: &'static str) -> Step {
    Box::new(move |client| {
        let from = client.from().unwrap_or(0);
        let tag = if etag.is_empty() {
            String::new()
        } else {
            format!("ETag: {etag}\r\n")
        };
        let length = content.len() - from;
        let head = if client.from().is_some() {
            format!(
                "HTTP/1.1 206 Partial Content\r\n{tag}Content-Range: bytes {from}-{}/{}\r\nContent-Length: {length}\r\n\r\n",
                content.len() - 1,
                content.len()
            )
        } else {
            format!("HTTP/1.1 200 OK\r\n{tag}Content-Length: {length}\r\n\r\n")
        };
        client.send(head)?;
        client.send(&content[from..(from + after).min(content.len())])
    })
}
