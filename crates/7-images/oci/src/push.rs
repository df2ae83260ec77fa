//! Pushes to a registry, by the OCI distribution API.
//!
//! API: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>, sections "Pushing blobs" and "Pushing
//! manifests".

use std::io::{self, Read};
use std::time::Duration;

use basalt_process::plain_text;
use basalt_progress::Task;
use ureq::http::Response;
use ureq::{Agent, Body, SendBody};

use crate::OciError;
use crate::folder::Interruptible;
use crate::image::{ContainerImage, ImageBlob};

/// Time-out of connecting.
const CONNECT: Duration = Duration::from_secs(10);
/// Time-out of an answer, after everything was sent.
const ANSWER: Duration = Duration::from_secs(120);
/// Greatest length of a message of the registry in an error, in characters.
const LONGEST_MESSAGE: usize = 300;

/// Client of a registry.
#[derive(Debug, Clone)]
pub struct RegistryClient {
    agent: Agent,
    /// URL without a path: `http://127.0.0.1:15000`.
    base: String,
}

impl RegistryClient {
    /// Makes a client of the registry at a URL without a path.
    pub fn new(base: impl Into<String>) -> Self {
        // A proxy that the user set up for the internet cannot lead to a registry on this machine.
        let agent = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .build();
        Self {
            agent: agent.into(),
            base: base.into(),
        }
    }

    /// Pushes an image. Blobs that the repository has are not sent again; `task` advances by the bytes of all.
    ///
    /// # Errors
    /// When a file cannot be read, and when the registry refuses or does not answer.
    pub fn push(&self, image: &ContainerImage, repository: &str, tag: &str, task: &dyn Task) -> Result<(), OciError> {
        for blob in &image.blobs {
            if self.has(repository, blob)? {
                task.advance(blob.size);
            } else {
                self.push_blob(repository, blob, task)?;
            }
        }
        let request = format!("PUT {}/v2/{repository}/manifests/{tag}", self.base);
        let sent = self
            .agent
            .put(url_of(&request))
            .header("Content-Type", &image.manifest.media_type)
            .send(&image.manifest.bytes[..]);
        accepted(&request, sent, &[201]).map(drop)
    }

    fn has(&self, repository: &str, blob: &ImageBlob) -> Result<bool, OciError> {
        let request = format!("HEAD {}/v2/{repository}/blobs/sha256:{}", self.base, blob.digest);
        let answer = accepted(&request, self.agent.head(url_of(&request)).call(), &[200, 404])?;
        Ok(answer.status().as_u16() == 200)
    }

    fn push_blob(&self, repository: &str, blob: &ImageBlob, task: &dyn Task) -> Result<(), OciError> {
        let request = format!("POST {}/v2/{repository}/blobs/uploads/", self.base);
        let answer = accepted(&request, self.agent.post(url_of(&request)).send_empty(), &[202])?;
        let location = answer.headers().get("location").and_then(|value| value.to_str().ok());
        let location = location.and_then(|location| self.on_this_registry(location));
        let location = location.ok_or_else(|| OciError::Refused {
            request: request.clone(),
            status: 202,
            message: "without a place of its own to upload to".to_owned(),
        })?;
        let separator = if location.contains('?') { '&' } else { '?' };
        let request = format!("PUT {location}{separator}digest=sha256:{}", blob.digest);
        let file = fs_err::File::open(&blob.path).map_err(OciError::file("read", &blob.path))?;
        let mut reader = BlobReader {
            reader: Interruptible(file),
            left: blob.size,
            task,
            failure: None,
        };
        let sent = self
            .agent
            .put(url_of(&request))
            .header("Content-Type", "application/octet-stream")
            .header("Content-Length", blob.size.to_string())
            .send(SendBody::from_reader(&mut reader));
        match reader.failure {
            Some(source) => Err(OciError::file("send", &blob.path)(source)),
            None => accepted(&request, sent, &[201]).map(drop),
        }
    }

    /// Absolute form of a location, relative or absolute; `None` for one on another server.
    fn on_this_registry(&self, location: &str) -> Option<String> {
        if location.starts_with('/') && !location.starts_with("//") {
            return Some(format!("{}{location}", self.base));
        }
        let rest = location.strip_prefix(&self.base)?;
        rest.starts_with('/').then(|| location.to_owned())
    }
}

/// URL of a request that is written as in an error, `PUT http://...`.
fn url_of(request: &str) -> &str {
    request.split_once(' ').map_or(request, |(_, url)| url)
}

/// Passes an answer on when it has one of the expected statuses.
fn accepted(
    request: &str,
    answer: Result<Response<Body>, ureq::Error>,
    expected: &[u16],
) -> Result<Response<Body>, OciError> {
    let mut answer = answer.map_err(|source| OciError::Request {
        request: request.to_owned(),
        source: Box::new(source),
    })?;
    let status = answer.status().as_u16();
    if expected.contains(&status) {
        return Ok(answer);
    }
    let message = answer.body_mut().read_to_string().unwrap_or_default();
    Err(OciError::Refused {
        request: request.to_owned(),
        status,
        message: plain_text(&message).chars().take(LONGEST_MESSAGE).collect(),
    })
}

/// Reader of a blob that is sent: advances a task, and fails where the file has become shorter, since the registry would
/// wait for the rest.
struct BlobReader<'a, R> {
    reader: R,
    /// Number of bytes that are still to come.
    left: u64,
    task: &'a dyn Task,
    /// Error of the file, which is not the registry's.
    failure: Option<io::Error>,
}

impl<R: Read> BlobReader<'_, R> {
    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = (&mut self.reader).take(self.left).read(buffer)?;
        if length == 0 && self.left > 0 && !buffer.is_empty() {
            let problem = "it became shorter after it was read";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, problem));
        }
        self.left -= length as u64;
        self.task.advance(length as u64);
        Ok(length)
    }
}

impl<R: Read> Read for BlobReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer).map_err(|error| {
            let kind = error.kind();
            self.failure = Some(error);
            kind.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::{Receiver, channel};

    use basalt_digest::Digest;
    use basalt_progress::Silent;
    use camino::Utf8PathBuf;

    use super::*;
    use crate::Manifest;

    /// Answer to a request: status line and header fields.
    type Answer = fn(&str) -> &'static str;

    /// Registry that answers as a test wants, and tells the requests that it got, with their bodies.
    fn registry(answer: Answer) -> (RegistryClient, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("known");
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (line, body) = request(&stream);
                let head = answer(&line);
                drop(sender.send(format!("{line} {body}").trim_end().to_owned()));
                let text = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                drop((&stream).write_all(text.as_bytes()));
            }
        });
        (RegistryClient::new(format!("http://{address}")), requests)
    }

    /// Method and target of a request, and its body.
    fn request(stream: &TcpStream) -> (String, String) {
        let mut reader = BufReader::new(stream);
        let mut first = String::new();
        reader.read_line(&mut first).expect("a request");
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a field");
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let target = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        (target, String::from_utf8(body).expect("text"))
    }

    fn image() -> (tempfile::TempDir, ContainerImage) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::try_from(folder.path().join("blob")).expect("UTF-8");
        fs_err::write(&path, "a blob").expect("written");
        let blob = ImageBlob {
            digest: Digest::of("a blob"),
            size: 6,
            path,
        };
        let manifest = Manifest {
            bytes: b"{}".to_vec(),
            media_type: "application/x".to_owned(),
            digest: Digest::of("{}"),
        };
        let image = ContainerImage {
            names: Vec::new(),
            manifest,
            blobs: vec![blob],
        };
        (folder, image)
    }

    fn method(line: &str) -> &str {
        line.split(' ').next().unwrap_or_default()
    }

    #[test]
    fn what_is_missing_is_sent_before_the_manifest() {
        let (registry, requests) = registry(|line| match method(line) {
            "HEAD" => "404 Not Found",
            "POST" => "202 Accepted\r\nLocation: /v2/me/app/blobs/uploads/1?state=x",
            _ => "201 Created",
        });
        let (_folder, image) = image();
        registry.push(&image, "me/app", "1", &Silent).expect("pushed");
        let digest = Digest::of("a blob");
        assert_eq!(
            requests.try_iter().collect::<Vec<_>>(),
            [
                format!("HEAD /v2/me/app/blobs/sha256:{digest}"),
                "POST /v2/me/app/blobs/uploads/".to_owned(),
                format!("PUT /v2/me/app/blobs/uploads/1?state=x&digest=sha256:{digest} a blob"),
                "PUT /v2/me/app/manifests/1 {}".to_owned(),
            ]
        );
    }

    #[test]
    fn what_is_there_is_not_sent_again() {
        let (registry, requests) = registry(|line| match method(line) {
            "HEAD" => "200 OK",
            _ => "201 Created",
        });
        let (_folder, image) = image();
        registry.push(&image, "app", "1", &Silent).expect("pushed");
        let methods: Vec<_> = requests.try_iter().map(|line| method(&line).to_owned()).collect();
        assert_eq!(methods, ["HEAD", "PUT"]);
    }

    #[test]
    fn a_refusal_is_told_with_the_request() {
        let (registry, _requests) = registry(|line| match method(line) {
            "HEAD" => "200 OK",
            _ => "400 Bad Request",
        });
        let (_folder, image) = image();
        let error = registry
            .push(&image, "app", "1", &Silent)
            .expect_err("refused")
            .to_string();
        assert!(
            error.contains("PUT http://127.0.0.1:") && error.contains("/v2/app/manifests/1: 400"),
            "{error}"
        );
    }

    /// Registry that takes the head of an upload and some of its body, and then ends.
    fn registry_that_ends() -> RegistryClient {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("known");
        std::thread::spawn(move || {
            for head in ["404 Not Found", "202 Accepted\r\nLocation: /v2/app/blobs/uploads/1"] {
                let (stream, _) = listener.accept().expect("a connection");
                request(&stream);
                let text = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                (&stream).write_all(text.as_bytes()).expect("answered");
            }
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.read_exact(&mut [0; 1000]).expect("some of it");
        });
        RegistryClient::new(format!("http://{address}"))
    }

    #[test]
    fn a_registry_that_ends_while_a_blob_is_sent_is_an_error() {
        let (folder, mut image) = image();
        let path = Utf8PathBuf::try_from(folder.path().join("large")).expect("UTF-8");
        let content = vec![0; 64 << 20];
        fs_err::write(&path, &content).expect("written");
        image.blobs[0] = ImageBlob {
            digest: Digest::of(&content),
            size: content.len() as u64,
            path,
        };
        let error = registry_that_ends()
            .push(&image, "app", "1", &Silent)
            .expect_err("cut off")
            .to_string();
        assert!(
            error.starts_with("the registry did not answer: PUT http://127.0.0.1:"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        for content in ["a", ""] {
            let (registry, _requests) = registry(|line| match method(line) {
                "HEAD" => "404 Not Found",
                "POST" => "202 Accepted\r\nLocation: /v2/app/blobs/uploads/1",
                _ => "201 Created",
            });
            let (folder, image) = image();
            fs_err::write(folder.path().join("blob"), content).expect("written");
            let error = registry.push(&image, "app", "1", &Silent).expect_err("cut off");
            assert!(error.to_string().starts_with("cannot send `"), "{error}");
        }
    }

    #[test]
    fn uploads_go_to_this_registry_only() {
        let (registry, _requests) = registry(|line| match method(line) {
            "HEAD" => "404 Not Found",
            _ => "202 Accepted\r\nLocation: http://192.0.2.1/v2/app/blobs/uploads/1",
        });
        let (_folder, image) = image();
        let error = registry
            .push(&image, "app", "1", &Silent)
            .expect_err("refused")
            .to_string();
        assert!(error.contains("without a place"), "{error}");
        let registry = RegistryClient::new("http://127.0.0.1:1500");
        assert_eq!(registry.on_this_registry("//192.0.2.1/x"), None);
        assert_eq!(registry.on_this_registry("http://127.0.0.1:15000/x"), None);
        let own = "http://127.0.0.1:1500/x?y=z";
        assert_eq!(registry.on_this_registry(own).as_deref(), Some(own));
    }
}
