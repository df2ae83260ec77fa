//! A server of HTTP on loopback, whose answers a test decides.

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
                    headers: format!("\r\n{headers}\r\n").to_ascii_lowercase(),
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

    /// Value of a header, in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.headers.split_once(&format!("\r\n{name}: "))?;
        rest.split("\r\n").next()
    }
}

/// A server on loopback, and the requests that it was sent.
pub struct Server {
    /// Address of the server.
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// A server that answers each request with a status and a body.
    pub fn new(answer: impl Fn(&Request) -> (u16, Vec<u8>) + Send + 'static) -> Self {
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
                let (status, body) = answer(&request);
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
                // A client may have read enough.
                let _ = stream.write_all(&[head.as_bytes(), &body].concat());
            }
        });
        Self { address, log }
    }

    /// Methods and paths of the requests so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

/// Pages by their paths; 404 for others.
pub fn page(pages: &[(&str, &str)], path: &str) -> (u16, Vec<u8>) {
    let found = pages.iter().find(|(known, _)| *known == path);
    found.map_or((404, b"Not Found".to_vec()), |(_, text)| (200, (*text).into()))
}
