//! Proxy of the registry for the host: passes on everything but changes of the images that the cluster itself runs.
//!
//! The cluster's own pods pull these by tag, again whenever a node comes or goes: a push under one of their names would
//! replace CoreDNS or the pod network without a word. Other tags in the same repositories are free.
//!
//! ```text
//! PUT /v2/coredns/manifests/1.15.0  -->  403 Forbidden, code DENIED
//! PUT /v2/coredns/manifests/dev     -->  registry
//! ```
//!
//! Each connection has one request: the registry is told to close it after its response. So only the head is read, by hand
//! as in [`crate::mirror`], and where a body ends need not be known.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::topology::REGISTRY;
use crate::{forward, mirror};

/// Greatest number of bytes and greatest pause of a refused request that are read: a client that is still sending when the
/// connection is closed may lose the answer. Manifests are smaller (4 MiB at most, in the registry).
const DRAINED: (u64, Duration) = (8 << 20, Duration::from_secs(2));

/// Images that the cluster itself runs, as `coredns:1.15.0`: repository and tag in the registry.
type OwnImages = BTreeSet<String>;

/// Passes requests on to the registry until the process ends.
pub(crate) fn serve(listener: TcpListener, registry: SocketAddr, own: OwnImages) {
    let own = Arc::new(own);
    forward::serve_with(listener, move |client| pass_on(client, registry, &own));
}

fn pass_on(mut client: &TcpStream, registry: SocketAddr, own: &OwnImages) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut reader = BufReader::new(client);
    let Some(head) = mirror::read_head(&mut reader)? else {
        return Ok(());
    };
    let head = match checked(&head, own) {
        Ok(head) => head,
        Err(refusal) => {
            client.write_all(refusal.response().as_bytes())?;
            client.shutdown(Shutdown::Write)?;
            let (length, pause) = DRAINED;
            client.set_read_timeout(Some(pause))?;
            return io::copy(&mut client.take(length), &mut io::sink()).map(drop);
        }
    };
    let server = TcpStream::connect(registry)?;
    server.set_nodelay(true)?;
    (&server).write_all(&head)?;
    (&server).write_all(reader.buffer())?;
    forward::relay(client, &server)
}

/// Refusal of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refusal {
    /// Text that is no request for the registry.
    Malformed,
    /// Change of an image that the cluster itself runs, or of the repository that it is in.
    Denied {
        /// Repository, with the tag if the request names one.
        name: String,
    },
}

impl Refusal {
    /// The whole response, with an error in the form of the OCI distribution specification, which clients show.
    fn response(&self) -> String {
        let (status, code, message) = match self {
            Self::Malformed => (
                "400 Bad Request",
                "UNSUPPORTED",
                "this is no request for a registry".to_owned(),
            ),
            Self::Denied { name } => (
                "403 Forbidden",
                "DENIED",
                format!("{REGISTRY}/{name} is an image that the cluster itself runs: use another name or tag"),
            ),
        };
        let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] }).to_string();
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    }
}

/// Checks the head of a request; returns the one for the registry, which closes the connection after its response.
fn checked(head: &[u8], own: &OwnImages) -> Result<Vec<u8>, Refusal> {
    let text = std::str::from_utf8(head).map_err(|_| Refusal::Malformed)?;
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let words: Vec<_> = first.split(' ').collect();
    let [method, target, _] = words[..] else {
        return Err(Refusal::Malformed);
    };
    if !matches!(method, "GET" | "HEAD") {
        check_change(method, target, own)?;
    }
    let is_about_the_connection = |line: &str| {
        let name = line.split(':').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case("connection") || name.eq_ignore_ascii_case("keep-alive")
    };
    let fields = lines.filter(|line| !line.is_empty() && !is_about_the_connection(line));
    let fields = fields.fold(String::new(), |text, line| text + line + "\r\n");
    Ok(format!("{first}\r\n{fields}Connection: close\r\n\r\n").into_bytes())
}

/// Checks that a change is not one of an image that the cluster itself runs: a manifest under its tag, or the removal of a
/// manifest or a blob that it may be made of.
fn check_change(method: &str, target: &str, own: &OwnImages) -> Result<(), Refusal> {
    let path = target.split('?').next().unwrap_or_default();
    // A target with a host in it is for proxies (RFC 9112, section 3.2.2).
    let path = percent_decode_str(path.strip_prefix('/').ok_or(Refusal::Malformed)?);
    let path = path.decode_utf8().map_err(|_| Refusal::Malformed)?;
    let path = path.strip_prefix("v2/").unwrap_or_default();
    let of_manifest = path.rsplit_once("/manifests/");
    if let Some((repository, tag)) = of_manifest {
        let name = format!("{repository}:{tag}");
        if own.contains(&name) {
            return Err(Refusal::Denied { name });
        }
    }
    match of_manifest.or_else(|| path.rsplit_once("/blobs/")) {
        // Tags have no colon, and neither have uploads.
        Some((repository, digest)) if method == "DELETE" && digest.contains(':') && has_image(own, repository) => {
            Err(Refusal::Denied {
                name: repository.to_owned(),
            })
        }
        _ => Ok(()),
    }
}

/// Checks for an image of the cluster itself in a repository.
fn has_image(own: &OwnImages, repository: &str) -> bool {
    own.iter()
        .any(|name| name.rsplit_once(':').is_some_and(|(known, _)| known == repository))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> OwnImages {
        ["coredns:1.15.0".to_owned(), "net/flannel:2".to_owned()].into()
    }

    #[test]
    fn only_changes_of_the_clusters_own_images_are_refused() {
        for (request, denied) in [
            ("PUT /v2/coredns/manifests/1.15.0", Some("coredns:1.15.0")),
            ("PUT /v2/%63oredns/manifests/1%2E15.0?x=y", Some("coredns:1.15.0")),
            ("DELETE /v2/coredns/manifests/1.15.0", Some("coredns:1.15.0")),
            ("DELETE /v2/coredns/manifests/sha256:ab", Some("coredns")),
            ("DELETE /v2/net/flannel/blobs/sha256:ab", Some("net/flannel")),
            ("PUT /v2/coredns/manifests/dev", None),
            ("PUT /v2/coredns/manifests/sha256:ab", None),
            ("DELETE /v2/coredns/manifests/dev", None),
            ("DELETE /v2/coredns/blobs/uploads/1", None),
            ("POST /v2/coredns/blobs/uploads/?mount=sha256:ab", None),
            ("PATCH /v2/coredns/blobs/uploads/1", None),
            ("PUT /v2/coredns/blobs/uploads/1?digest=sha256:ab", None),
            ("PUT /v2/docker.io/library/coredns/manifests/1.15.0", None),
            ("PUT /v2/flannel/manifests/2", None),
            ("DELETE /v2/app/manifests/sha256:ab", None),
            ("GET /v2/coredns/manifests/1.15.0", None),
            ("HEAD /v2/coredns/manifests/1.15.0", None),
        ] {
            let refusal = checked(format!("{request} HTTP/1.1\r\nHost: r\r\n\r\n").as_bytes(), &own()).err();
            let expected = denied.map(|name| Refusal::Denied { name: name.to_owned() });
            assert_eq!(refusal, expected, "{request}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for head in [
            &b"PUT http://localhost/v2/coredns/manifests/1.15.0 HTTP/1.1\r\n\r\n"[..],
            b"PUT  /v2/a/manifests/1 HTTP/1.1\r\n\r\n",
            b"PUT /v2/%ff/manifests/1 HTTP/1.1\r\n\r\n",
            b"\xff\r\n\r\n",
        ] {
            assert_eq!(checked(head, &own()), Err(Refusal::Malformed));
        }
    }

    #[test]
    fn a_connection_has_one_request() {
        let head = b"PUT /v2/a/manifests/1 HTTP/1.1\r\nHost: r\r\nconnection: keep-alive\r\nContent-Length: 2\r\n\r\n";
        let head = checked(head, &own()).expect("passed on");
        let expected = "PUT /v2/a/manifests/1 HTTP/1.1\r\nHost: r\r\nContent-Length: 2\r\nConnection: close\r\n\r\n";
        assert_eq!(String::from_utf8(head).expect("text"), expected);
    }

    /// Listener in the registry's place, and a connection to the proxy in front of it.
    fn proxied_registry() -> (TcpListener, TcpStream) {
        let registry = TcpListener::bind("127.0.0.1:0").expect("bound");
        let proxy = TcpListener::bind("127.0.0.1:0").expect("bound");
        let entrance = proxy.local_addr().expect("known");
        serve(proxy, registry.local_addr().expect("known"), own());
        (registry, TcpStream::connect(entrance).expect("connected"))
    }

    #[test]
    fn bodies_come_whole_to_the_registry() {
        let (registry, mut client) = proxied_registry();
        let body = "layer ".repeat(200_000);
        let expected = body.clone();
        let server = std::thread::spawn(move || {
            let (mut connection, _) = registry.accept().expect("accepted");
            let mut reader = BufReader::new(&connection);
            mirror::read_head(&mut reader).expect("read").expect("a head");
            let mut received = vec![0; expected.len()];
            reader.read_exact(&mut received).expect("the body");
            assert_eq!(received, expected.as_bytes());
            connection.write_all(b"HTTP/1.1 201 Created\r\n\r\n").expect("answered");
        });
        let length = body.len();
        let head = format!("PUT /v2/a/blobs/uploads/1 HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
        client.write_all((head + &body).as_bytes()).expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("answered");
        assert_eq!(answer, "HTTP/1.1 201 Created\r\n\r\n");
        server.join().expect("ended well");
    }

    #[test]
    fn a_refusal_is_read_by_a_client_that_sends_a_body() {
        let (registry, mut client) = proxied_registry();
        registry.set_nonblocking(true).expect("set");
        let body = "m".repeat(4 << 20);
        let length = body.len();
        let head = format!("PUT /v2/coredns/manifests/1.15.0 HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
        client.write_all((head + &body).as_bytes()).expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("answered");
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
        for words in ["DENIED", "registry.basalt.local:5000/coredns:1.15.0"] {
            assert!(answer.contains(words), "{answer}");
        }
        assert!(registry.accept().is_err(), "it came to the registry");
    }
}
