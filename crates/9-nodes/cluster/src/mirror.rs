//! Mirror of all registries, for the nodes: images of every name come from the cluster's registry.
//!
//! containerd asks a mirror for `library/nginx` and gives the host of the image's name as a query, `ns=docker.io`, which a
//! registry does not look at. The mirror makes one name of both, as [`registry::repository`] defines it, and passes the
//! request on. It passes on nothing but `GET` and `HEAD`: what runs on a node cannot push.
//!
//! ```text
//! GET /v2/library/nginx/manifests/1.27?ns=docker.io  -->  GET /v2/docker.io/library/nginx/manifests/1.27
//! ```
//!
//! By hand, since only the heads of requests are read: a server and a client of HTTP would take apart every response and
//! put it together again, and layers have gigabytes.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use percent_encoding::percent_decode_str;

use crate::{forward, registry};

/// Greatest length of a request's head, in bytes.
const LONGEST_HEAD: usize = 64 << 10;

/// Status line of the answer to a request that is not passed on.
type Refusal = &'static str;

const BAD_REQUEST: Refusal = "400 Bad Request";
const NOT_FOUND: Refusal = "404 Not Found";
const METHOD_NOT_ALLOWED: Refusal = "405 Method Not Allowed";

/// Passes requests on to the registry until the process ends.
pub(crate) fn serve(listener: TcpListener, registry: SocketAddr) {
    forward::serve_with(listener, move |client| pass_on(client, registry));
}

/// Passes the requests of one connection on, and the responses back, until both sides have closed.
fn pass_on(client: &TcpStream, registry: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(registry)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    std::thread::scope(|scope| {
        let responses = scope.spawn(|| forward::copy(&server, client));
        let requests = requests(client, &server);
        // After a failure, the thread above must not wait for the registry.
        let how = if requests.is_ok() {
            Shutdown::Write
        } else {
            Shutdown::Both
        };
        drop(server.shutdown(how));
        responses
            .join()
            .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
            .and(requests)
    })
}

fn requests(mut client: &TcpStream, mut server: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    while let Some(head) = read_head(&mut reader)? {
        match rewritten(&head) {
            Ok(head) => server.write_all(&head)?,
            Err(status) => {
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                client.write_all(answer.as_bytes())?;
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Reads the head of a request, with the empty line at its end; `None` at the end of the connection.
pub(crate) fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    loop {
        let before = head.len();
        let left = (LONGEST_HEAD - before) as u64;
        reader.by_ref().take(left).read_until(b'\n', &mut head)?;
        match head.get(before..).unwrap_or_default() {
            [] if before == 0 => return Ok(None),
            b"\r\n" | b"\n" => return Ok(Some(head)),
            [.., b'\n'] => {}
            // Cut off, or too long.
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Rewrites the head of a request for the registry.
fn rewritten(head: &[u8]) -> Result<Vec<u8>, Refusal> {
    let text = std::str::from_utf8(head).map_err(|_| BAD_REQUEST)?;
    let (first, fields) = text.split_once('\n').ok_or(BAD_REQUEST)?;
    let words: Vec<_> = first.trim_end_matches('\r').split(' ').collect();
    let [method, target, version] = words[..] else {
        return Err(BAD_REQUEST);
    };
    if !matches!(method, "GET" | "HEAD") {
        return Err(METHOD_NOT_ALLOWED);
    }
    // A body would be taken for the next request.
    if fields.lines().any(announces_body) {
        return Err(BAD_REQUEST);
    }
    let target = rewritten_target(target)?;
    Ok(format!("{method} {target} {version}\r\n{fields}").into_bytes())
}

fn announces_body(field: &str) -> bool {
    let (name, value) = field.split_once(':').unwrap_or((field, ""));
    match name.trim().to_ascii_lowercase().as_str() {
        "transfer-encoding" => true,
        "content-length" => value.trim() != "0",
        _ => false,
    }
}

/// Rewrites the target of a request: the host of the image's name becomes a part of the repository's.
fn rewritten_target(target: &str) -> Result<String, Refusal> {
    let Some((path, query)) = target.split_once('?') else {
        return Ok(target.to_owned());
    };
    let (hosts, others): (Vec<_>, Vec<_>) = query.split('&').partition(|pair| pair.starts_with("ns="));
    let path = match (&hosts[..], path.strip_prefix("/v2/")) {
        ([host], Some(name)) if !name.is_empty() => {
            let host = percent_decode_str(host.strip_prefix("ns=").unwrap_or_default())
                .decode_utf8()
                .map_err(|_| BAD_REQUEST)?;
            if !basalt_oci::is_host(&host) {
                return Err(NOT_FOUND);
            }
            format!("/v2/{}", registry::repository(&host, name))
        }
        ([] | [_], _) => path.to_owned(),
        _ => return Err(BAD_REQUEST),
    };
    if others.is_empty() {
        return Ok(path);
    }
    Ok(format!("{path}?{}", others.join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_becomes_a_part_of_the_name() {
        for (given, expected) in [
            (
                "/v2/library/nginx/manifests/1.27?ns=docker.io",
                "/v2/docker.io/library/nginx/manifests/1.27",
            ),
            (
                "/v2/coredns/manifests/1?ns=registry.basalt.local%3A5000",
                "/v2/coredns/manifests/1",
            ),
            (
                "/v2/app/blobs/sha256:ab?ns=localhost%3A15000",
                "/v2/app/blobs/sha256:ab",
            ),
            (
                "/v2/a/tags/list?n=3&ns=quay.example:5000&last=x",
                "/v2/quay.example_5000/a/tags/list?n=3&last=x",
            ),
            ("/v2/coredns/manifests/1", "/v2/coredns/manifests/1"),
            ("/v2/?ns=docker.io", "/v2/"),
            ("/v2/a/tags/list?n=3", "/v2/a/tags/list?n=3"),
        ] {
            assert_eq!(rewritten_target(given), Ok(expected.to_owned()), "{given}");
        }
    }

    #[test]
    fn hosts_that_are_none_are_refused() {
        for (given, expected) in [
            ("/v2/a/manifests/1?ns=", NOT_FOUND),
            ("/v2/a/manifests/1?ns=..", NOT_FOUND),
            ("/v2/a/manifests/1?ns=a%2Fb", NOT_FOUND),
            ("/v2/a/manifests/1?ns=%0d%0aX:y", NOT_FOUND),
            ("/v2/a/manifests/1?ns=%ff", BAD_REQUEST),
            ("/v2/a/manifests/1?ns=a.example&ns=b.example", BAD_REQUEST),
        ] {
            assert_eq!(rewritten_target(given), Err(expected), "{given}");
        }
    }

    #[test]
    fn only_pulls_are_passed_on() {
        let head = |line: &str, fields: &str| rewritten(format!("{line}\r\n{fields}\r\n").as_bytes());
        assert_eq!(
            head("HEAD /v2/a/manifests/1?ns=b.example HTTP/1.1", "Host: x\r\n"),
            Ok(b"HEAD /v2/b.example/a/manifests/1 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec())
        );
        for (line, fields, expected) in [
            ("POST /v2/a/blobs/uploads/ HTTP/1.1", "", METHOD_NOT_ALLOWED),
            ("PUT /v2/a/manifests/1 HTTP/1.1", "", METHOD_NOT_ALLOWED),
            ("DELETE /v2/a/manifests/1 HTTP/1.1", "", METHOD_NOT_ALLOWED),
            ("GET /v2/ HTTP/1.1", "Content-Length: 5\r\n", BAD_REQUEST),
            ("GET /v2/ HTTP/1.1", "transfer-encoding : chunked\r\n", BAD_REQUEST),
            ("GET  /v2/ HTTP/1.1", "", BAD_REQUEST),
            ("GET /v2/", "", BAD_REQUEST),
        ] {
            assert_eq!(head(line, fields), Err(expected), "{line} {fields}");
        }
        assert!(head("GET /v2/ HTTP/1.1", "Content-Length: 0\r\n").is_ok());
    }

    #[test]
    fn heads_are_read_one_after_the_other() {
        let mut text = &b"GET / HTTP/1.1\r\nA: b\r\n\r\nHEAD / HTTP/1.1\r\n\r\n"[..];
        let first = read_head(&mut text).expect("read").expect("there");
        assert_eq!(first, b"GET / HTTP/1.1\r\nA: b\r\n\r\n");
        let second = read_head(&mut text).expect("read").expect("there");
        assert_eq!(second, b"HEAD / HTTP/1.1\r\n\r\n");
        assert_eq!(read_head(&mut text).expect("the end"), None);
        assert!(read_head(&mut &b"GET / HTTP/1.1\r\nA: b"[..]).is_err());
        let long = [b'a'; LONGEST_HEAD + 1];
        assert!(read_head(&mut &long[..]).is_err());
    }

    /// Listener in the registry's place, and the address of a mirror in front of it.
    fn mirrored_registry() -> (TcpListener, SocketAddr) {
        let registry = TcpListener::bind("127.0.0.1:0").expect("bound");
        let mirror = TcpListener::bind("127.0.0.1:0").expect("bound");
        let entrance = mirror.local_addr().expect("known");
        serve(mirror, registry.local_addr().expect("known"));
        (registry, entrance)
    }

    #[test]
    fn a_pull_comes_to_the_registry_under_its_whole_name() {
        let (registry, entrance) = mirrored_registry();
        let server = std::thread::spawn(move || {
            let (mut connection, _) = registry.accept().expect("accepted");
            let head = read_head(&mut BufReader::new(&connection))
                .expect("read")
                .expect("there");
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
            connection.write_all(answer.as_bytes()).expect("answered");
            String::from_utf8(head).expect("text")
        });
        let mut client = TcpStream::connect(entrance).expect("connected");
        client
            .write_all(b"GET /v2/library/nginx/manifests/1?ns=docker.io HTTP/1.1\r\nHost: m\r\n\r\n")
            .expect("asked");
        client.shutdown(Shutdown::Write).expect("said all");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("answered");
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
        let head = server.join().expect("ended well");
        assert!(
            head.starts_with("GET /v2/docker.io/library/nginx/manifests/1 HTTP/1.1\r\n"),
            "{head}"
        );
    }

    #[test]
    fn a_push_is_answered_and_not_passed_on() {
        let (registry, entrance) = mirrored_registry();
        let server = std::thread::spawn(move || {
            let (mut connection, _) = registry.accept().expect("accepted");
            let mut head = Vec::new();
            connection.read_to_end(&mut head).expect("closed");
            head
        });
        let mut client = TcpStream::connect(entrance).expect("connected");
        client
            .write_all(b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: m\r\n\r\n")
            .expect("asked");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("answered");
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert_eq!(server.join().expect("ended well"), b"");
    }
}
