//! HTTP server for a repository: for trials, and for clusters on this machine.
//!
//! Snapshots are folders of files that never change, so any web server will do in production. This one reads files
//! below one snapshot, whole or in part (RFC 9110, section 14), and does nothing else.
//!
//! It is by hand, on `tiny_http`, and not by axum with tower-http: nothing else of this crate is asynchronous, and the folder of a file
//! service is fixed, where `current` is looked up for each request.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::time::Duration;

use basalt_release::{ID, NAME};
use camino::{Utf8Path, Utf8PathBuf};
use tiny_http::{Header, Method, Request, Response, StatusCode};

use crate::snapshot::KEYS;
use crate::{Repository, SnapshotError};

/// Interval at which workers check whether they are to stop.
const TICK: Duration = Duration::from_millis(100);
/// Number of clients that are served at the same time.
const WORKERS: usize = 8;
/// Name of the file for `/etc/yum.repos.d`, which is generated per request.
const REPO_FILE: &str = "basalt.repo";

/// Content that is served.
#[derive(Debug, Clone)]
pub enum ServedSnapshot {
    /// The current snapshot, followed to the next one that is published.
    Current(Repository),
    /// The folder of one snapshot.
    Snapshot(Utf8PathBuf),
}

/// A listening server.
pub struct RepositoryServer {
    http: tiny_http::Server,
    address: SocketAddr,
    target: ServedSnapshot,
}

/// Range of a file's bytes in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    /// From the first to the last, both included.
    Range(u64, u64),
    /// A range that the file does not have.
    Beyond,
}

impl RepositoryServer {
    /// Binds the address; port 0 takes any free port.
    ///
    /// # Errors
    /// When the address is in use, or may not be used.
    pub fn listen(address: SocketAddr, target: ServedSnapshot) -> Result<Self, SnapshotError> {
        let failed = |why: String| SnapshotError::Listen {
            address: address.to_string(),
            why,
        };
        let http = tiny_http::Server::http(address).map_err(|error| failed(error.to_string()))?;
        let address = http
            .server_addr()
            .to_ip()
            .ok_or_else(|| failed("it is no address of the internet".to_owned()))?;
        Ok(Self { http, address, target })
    }

    /// Returns the address, with the actual port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of the repository for clients.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Serves requests until `stop` returns `true`; `log` is called with one line for each response.
    pub fn run(&self, stop: &(dyn Fn() -> bool + Sync), log: &(dyn Fn(&str) + Sync)) {
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    while !stop() {
                        match self.http.recv_timeout(TICK) {
                            Ok(Some(request)) => self.answer(request, log),
                            Ok(None) => {}
                            Err(error) => {
                                tracing::debug!(%error, "a connection was lost");
                                std::thread::sleep(TICK);
                            }
                        }
                    }
                });
            }
        });
    }

    fn answer(&self, request: Request, log: &(dyn Fn(&str) + Sync)) {
        let line = format!("{} {}", request.method(), request.url());
        let (code, sent) = match request.method() {
            Method::Get | Method::Head => self.file(request),
            _ => {
                let text = "only GET and HEAD are answered\n";
                (405, request.respond(plain_with(405, text, &[("Allow", "GET, HEAD")])))
            }
        };
        log(&format!("{code} {line}"));
        if let Err(error) = sent {
            tracing::debug!(%error, "a client went away");
        }
    }

    fn file(&self, request: Request) -> (u16, std::io::Result<()>) {
        let Some(path) = decode(request.url()) else {
            return (400, request.respond(plain(400, "this is not a path\n")));
        };
        if path == REPO_FILE {
            return (200, request.respond(plain(200, &self.repo_file())));
        }
        let Some((mut file, length)) = self.open(&path) else {
            return (404, request.respond(plain(404, "there is no such file\n")));
        };
        let asked = request
            .headers()
            .iter()
            .find(|header| header.field.equiv("Range"))
            .map(|header| header.value.as_str());
        let part = asked.map_or(Part::All, |asked| range(asked, length));
        let (code, first, count) = match part {
            Part::All => (200, 0, length),
            Part::Range(first, last) => (206, first, last - first + 1),
            Part::Beyond => {
                let range = format!("bytes */{length}");
                let response = plain_with(416, "the file is shorter\n", &[("Content-Range", &range)]);
                return (416, request.respond(response));
            }
        };
        if first > 0 && file.seek(SeekFrom::Start(first)).is_err() {
            return (500, request.respond(plain(500, "the file cannot be read\n")));
        }
        let mut about = headers(&[("Content-Type", kind(&path)), ("Accept-Ranges", "bytes")]);
        if let Part::Range(first, last) = part {
            about.extend(headers(&[("Content-Range", &format!("bytes {first}-{last}/{length}"))]));
        }
        let size = usize::try_from(count).ok();
        let response = Response::new(StatusCode(code), about, file.take(count), size, None)
            // Clients need the length to show progress.
            .with_chunked_threshold(usize::MAX);
        (code, request.respond(response))
    }

    /// Opens a regular file of the snapshot: nothing outside of it, no folder, no symbolic link; returns its length in
    /// bytes, too.
    fn open(&self, path: &str) -> Option<(File, u64)> {
        let root = match &self.target {
            ServedSnapshot::Current(repository) => repository.published().ok()?.folder,
            ServedSnapshot::Snapshot(folder) => folder.clone(),
        };
        let path = root.join(path);
        if !path.symlink_metadata().ok()?.is_file() {
            return None;
        }
        let file = fs_err::File::open(path).ok()?.into_file();
        let length = file.metadata().ok()?.len();
        Some((file, length))
    }

    /// Returns the content of a `.repo` file for `/etc/yum.repos.d`.
    pub fn repo_file(&self) -> String {
        let url = self.url();
        format!("[{ID}]\nname={NAME}\nbaseurl={url}\ngpgkey={url}{KEYS}\ngpgcheck=1\nrepo_gpgcheck=1\nenabled=1\n")
    }
}

/// Decodes the path of a URL, relative to the root; none for paths that lead out of it.
fn decode(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?.strip_prefix('/')?;
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
        } else {
            byte
        });
    }
    let path = String::from_utf8(bytes).ok()?;
    let plain = path
        .split('/')
        .all(|part| !part.is_empty() && part != "." && part != ".." && !part.contains(['\0', '\\']));
    plain.then_some(path)
}

/// Parses the header `Range`. Values that are not understood, and several ranges, are ignored, as RFC 9110 demands.
fn range(asked: &str, length: u64) -> Part {
    let Some((first, last)) = asked
        .trim()
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Part::All;
    };
    let number = |text: &str| text.trim().parse::<u64>();
    match (number(first), number(last)) {
        (Ok(first), Ok(last)) if first > last => Part::All,
        (Ok(first), Ok(last)) if first < length => Part::Range(first, last.min(length - 1)),
        (Ok(first), Err(_)) if last.trim().is_empty() && first < length => Part::Range(first, length - 1),
        (Ok(_), Ok(_)) => Part::Beyond,
        (Ok(_), Err(_)) if last.trim().is_empty() => Part::Beyond,
        // A suffix range: the last bytes of the file.
        (Err(_), Ok(0)) if first.trim().is_empty() => Part::Beyond,
        (Err(_), Ok(count)) if first.trim().is_empty() && length > 0 => {
            Part::Range(length.saturating_sub(count), length - 1)
        }
        (Err(_), Ok(_)) if first.trim().is_empty() => Part::Beyond,
        _ => Part::All,
    }
}

fn kind(path: &str) -> &'static str {
    match Utf8Path::new(path).extension() {
        Some("rpm") => "application/x-rpm",
        Some("xml") => "application/xml",
        Some("zst") => "application/zstd",
        Some("json") => "application/json",
        Some("asc") => "application/pgp-signature",
        _ => "application/octet-stream",
    }
}

fn plain(code: u16, text: &str) -> Response<std::io::Cursor<Vec<u8>>> {
    plain_with(code, text, &[])
}

fn plain_with(code: u16, text: &str, more: &[(&str, &str)]) -> Response<std::io::Cursor<Vec<u8>>> {
    let mut about = headers(&[("Content-Type", "text/plain; charset=utf-8")]);
    about.extend(headers(more));
    let bytes = text.as_bytes().to_vec();
    let size = bytes.len();
    Response::new(StatusCode(code), about, std::io::Cursor::new(bytes), Some(size), None)
}

/// Makes headers from plain text; texts that no header can hold are left out.
fn headers(all: &[(&str, &str)]) -> Vec<Header> {
    all.iter()
        .filter_map(|(name, value)| Header::from_bytes(*name, *value).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_stay_inside() {
        assert_eq!(decode("/repodata/repomd.xml").as_deref(), Some("repodata/repomd.xml"));
        assert_eq!(
            decode("/packages/g/g%2b%2B-1.rpm?x=1").as_deref(),
            Some("packages/g/g++-1.rpm")
        );
        for wrong in [
            "/",
            "",
            "x",
            "/../x",
            "/a/../b",
            "/a//b",
            "/%2e%2e/x",
            "/a/%2e./b",
            "/%",
            "/%4",
            "/%zz",
            "/%00",
            "/a%5cb",
            "/./a",
            "/a/",
            "/%ff",
        ] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ranges_are_those_of_the_standard() {
        for (asked, length, part) in [
            ("bytes=0-9", 100, Part::Range(0, 9)),
            ("bytes=90-", 100, Part::Range(90, 99)),
            ("bytes=90-200", 100, Part::Range(90, 99)),
            ("bytes=-10", 100, Part::Range(90, 99)),
            ("bytes=-200", 100, Part::Range(0, 99)),
            ("bytes=100-", 100, Part::Beyond),
            ("bytes=100-110", 100, Part::Beyond),
            ("bytes=-0", 100, Part::Beyond),
            ("bytes=0-0", 0, Part::Beyond),
            ("bytes=-1", 0, Part::Beyond),
            ("bytes=9-0", 100, Part::All),
            ("bytes=0-1,5-6", 100, Part::All),
            ("lines=0-1", 100, Part::All),
            ("bytes=a-b", 100, Part::All),
            ("bytes=99999999999999999999-", 100, Part::All),
        ] {
            assert_eq!(range(asked, length), part, "{asked} of {length}");
        }
    }
}
