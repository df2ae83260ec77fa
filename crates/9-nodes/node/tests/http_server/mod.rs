//! A server of HTTP on loopback, whose answers a test decides.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as the server reads it.
pub struct Request {
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    headers: String,
    /// Body.
    pub body: String,
}

impl Request {
    fn read(stream: &mut TcpStream) -> Self {
        let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let text = String::from_utf8_lossy(&read).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let (first, headers) = head.split_once("\r\n").unwrap();
                let mut words = first.split(' ');
                let request = Self {
                    method: words.next().unwrap().to_owned(),
                    path: words.next().unwrap().to_owned(),
                    headers: headers.to_owned(),
                    body: body.to_owned(),
                };
                let length = request
                    .header("content-length")
                    .map_or(0, |length| length.parse().unwrap());
                if body.len() >= length {
                    return request;
                }
            }
            let length = stream.read(&mut buffer).unwrap();
            assert_ne!(length, 0, "the request is cut short");
            read.extend_from_slice(&buffer[..length]);
        }
    }

    /// Value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.split("\r\n").filter_map(|line| line.split_once(": "));
        headers.find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// Answer to a request: its status, the lines of its header with a line break each, and its body.
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Lines of the header but for the length of the body.
    pub header: String,
    /// Body.
    pub body: Vec<u8>,
}

impl From<(u16, Vec<u8>)> for Answer {
    fn from((status, body): (u16, Vec<u8>)) -> Self {
        Self {
            status,
            header: String::new(),
            body,
        }
    }
}

/// A server on loopback, and the requests that it was sent.
pub struct Server {
    /// Address of the server.
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// A server that answers each request, the answer to `HEAD` without its body.
    pub fn new<A: Into<Answer>>(answer: impl Fn(&Request) -> A + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = log.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = Request::read(&mut stream);
                written
                    .lock()
                    .unwrap()
                    .push(format!("{} {}", request.method, request.path));
                let Answer { status, header, body } = answer(&request).into();
                let mut head = format!("HTTP/1.1 {status} X\r\n{header}");
                let _ = write!(head, "Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let body: &[u8] = if request.method == "HEAD" { &[] } else { &body };
                // A client may have read enough.
                let _ = stream.write_all(&[head.as_bytes(), body].concat());
            }
        });
        Self { address, log }
    }

    /// Methods and paths of the requests so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}
