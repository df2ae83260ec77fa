//! The downloader against servers that misbehave.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use basalt_progress::{Outcome, Silent};
use camino::Utf8PathBuf;

use super::server::{Server, Step, answer, cut, file};
use super::testing::{downloader, limits};
use super::*;

const CONTENT: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

struct Fetched {
    result: Result<Downloaded, DownloadError>,
    content: Vec<u8>,
    _folder: tempfile::TempDir,
}

fn fetch_with(downloader: &Downloader, url: String, size: ExpectedSize, task: &dyn Task) -> Fetched {
    let folder = tempfile::tempdir().expect("a folder");
    let path = Utf8PathBuf::from_path_buf(folder.path().join("file")).expect("UTF-8");
    let request = Request {
        url,
        accept: None,
        size,
    };
    let result = downloader.download(&request, &path, task);
    let content = fs_err::read(&path).unwrap_or_default();
    Fetched {
        result,
        content,
        _folder: folder,
    }
}

fn fetch(server: &Server, size: ExpectedSize) -> Fetched {
    fetch_with(&downloader(limits()), server.url("file"), size, &Silent)
}

fn locked() -> ExpectedSize {
    ExpectedSize::Locked(CONTENT.len() as u64)
}

fn whole(fetched: &Fetched) -> &Downloaded {
    let received = fetched.result.as_ref().expect("fetched");
    assert_eq!(fetched.content, CONTENT);
    assert_eq!(received.sha256, Digest::of(CONTENT));
    assert_eq!(received.size, CONTENT.len() as u64);
    received
}

#[test]
fn a_cut_is_resumed_where_it_was() {
    let server = Server::start(vec![
        cut(CONTENT, 10, "\"a\""),
        cut(CONTENT, 5, "\"a\""),
        file(CONTENT, "\"a\""),
    ]);
    let fetched = fetch(&server, locked());
    assert!(whole(&fetched).resumed);
    let requests = server.requests();
    assert!(!requests[0].to_ascii_lowercase().contains("range:"));
    for (request, from) in [(&requests[1], "bytes=10-"), (&requests[2], "bytes=15-")] {
        assert!(request.contains(from) && request.contains("\"a\""), "{request}");
    }
}

#[test]
fn progress_is_told_once_per_byte() {
    #[derive(Default)]
    struct Count(AtomicU64);
    impl Task for Count {
        fn advance(&self, by: u64) {
            self.0.fetch_add(by, Ordering::Relaxed);
        }
        fn detail(&self, _: &str) {}
        fn finish(self: Box<Self>, _: Outcome) {}
    }
    for second in [file(CONTENT, "\"a\""), file(CONTENT, "\"b\"")] {
        let server = Server::start(vec![cut(CONTENT, 10, "\"a\""), second]);
        let count = Count::default();
        let fetched = fetch_with(&downloader(limits()), server.url("file"), locked(), &count);
        whole(&fetched);
        assert_eq!(count.0.load(Ordering::Relaxed), CONTENT.len() as u64);
    }
}

#[test]
fn a_server_without_ranges_begins_anew() {
    let all = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", CONTENT.len());
    let server = Server::start(vec![cut(CONTENT, 10, ""), answer([all.as_bytes(), CONTENT].concat())]);
    let fetched = fetch(&server, locked());
    assert!(!whole(&fetched).resumed);
    assert!(server.requests()[1].contains("bytes=10-"));
}

#[test]
fn a_file_that_changed_begins_anew() {
    static OLD: &[u8] = b"9876543210zyxwvutsrqponmlkjihgfedcba";
    let server = Server::start(vec![cut(OLD, 10, "\"old\""), file(CONTENT, "\"new\"")]);
    let fetched = fetch(&server, locked());
    assert!(!whole(&fetched).resumed);
    let requests = server.requests();
    assert_eq!(requests.len(), 3, "the part of another file is not taken");
    assert!(!requests[2].to_ascii_lowercase().contains("range:"));
}

#[test]
fn without_lock_and_validator_nothing_is_put_together() {
    let server = Server::start(vec![cut(CONTENT, 10, ""), file(CONTENT, "")]);
    whole(&fetch(&server, ExpectedSize::AtMost(1000)));
    assert!(!server.requests()[1].to_ascii_lowercase().contains("range:"));
}

#[test]
fn a_hang_is_named_by_its_phase() {
    let before: Step = Box::new(|client| {
        client.hang();
        Ok(())
    });
    let middle: Step = Box::new(|client| {
        client.send("HTTP/1.1 200 OK\r\nContent-Length: 36\r\n\r\n0123")?;
        client.hang();
        Ok(())
    });
    for (step, phase) in [(before, "no answer to the request"), (middle, "no further byte")] {
        let server = Server::start(vec![step]);
        let started = Instant::now();
        let error = fetch(&server, locked()).result.expect_err("it hangs").to_string();
        assert!(error.contains("stalled") && error.contains(phase), "{error}");
        assert!(started.elapsed() < Duration::from_secs(8));
        assert!(server.requests().len() >= 2, "it was tried again");
    }
}

#[test]
fn a_trickle_is_given_up() {
    let server = Server::start(vec![Box::new(|client| {
        client.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")?;
        while client.pause(Duration::from_millis(100)) {
            client.send("x")?;
        }
        Ok(())
    })]);
    let limits = TransferLimits {
        total_attempts: 2,
        ..limits()
    };
    let fetched = fetch_with(
        &downloader(limits),
        server.url("file"),
        ExpectedSize::Locked(1_000_000),
        &Silent,
    );
    let error = fetched.result.expect_err("a trickle").to_string();
    assert!(
        error.contains("bytes per second, at least 1000 are expected"),
        "{error}"
    );
}

#[test]
fn an_endless_body_ends_at_the_cap() {
    let endless = || -> Step {
        Box::new(|client| {
            client.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                client.send([b'x'; 4096])?;
            }
        })
    };
    for size in [ExpectedSize::Locked(100_000), ExpectedSize::AtMost(100_000)] {
        let server = Server::start(vec![endless()]);
        let fetched = fetch(&server, size);
        let error = fetched.result.expect_err("endless").to_string();
        assert!(error.contains("larger than 100000 bytes"), "{error}");
        assert!(fetched.content.len() <= 100_000);
        assert_eq!(server.requests().len(), 1, "another attempt would bring the same");
    }
}

#[test]
fn a_wrong_length_is_refused_before_the_body() {
    for (length, words) in [
        (37, "larger than 36 bytes"),
        (35, "announces 35 bytes, 36 were expected"),
    ] {
        let server = Server::start(vec![Box::new(move |client| {
            client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"))?;
            client.hang();
            Ok(())
        })]);
        let started = Instant::now();
        let error = fetch(&server, locked()).result.expect_err("refused");
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.is_other_content());
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "it does not wait for the body"
        );
    }
    // Announces more than it sends.
    let server = Server::start(vec![answer("HTTP/1.1 200 OK\r\nContent-Length: 36\r\n\r\nabc")]);
    let error = fetch(&server, locked()).result.expect_err("short").to_string();
    assert!(error.contains("cut short at 3 of 36 bytes"), "{error}");
}

#[test]
fn overload_passes() {
    let busy = || answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    let server = Server::start(vec![busy(), file(CONTENT, "")]);
    whole(&fetch(&server, locked()));
    let server = Server::start(vec![busy()]);
    let error = fetch(&server, locked()).result.expect_err("busy for good").to_string();
    assert!(error.contains("503 (Service Unavailable)"), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_server_says_when_to_come_back() {
    let wait = answer("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
    let server = Server::start(vec![wait, file(CONTENT, "")]);
    let started = Instant::now();
    whole(&fetch(&server, locked()));
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[test]
fn what_will_not_change_is_asked_once() {
    for status in ["404 Not Found", "403 Forbidden", "410 Gone"] {
        let server = Server::start(vec![answer(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"))]);
        let error = fetch(&server, locked()).result.expect_err(status).to_string();
        assert!(error.contains(&format!("{status:.3}")), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn redirects_are_followed_and_counted() {
    let to = |path: &str| {
        answer(format!(
            "HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\n\r\n"
        ))
    };
    let server = Server::start(vec![to("/a"), to("b?x=1"), file(CONTENT, "")]);
    let fetched = fetch(&server, locked());
    assert_eq!(whole(&fetched).url, server.url("b?x=1"));
    let server = Server::start(vec![to("/file")]);
    let error = fetch(&server, locked()).result.expect_err("a loop").to_string();
    assert!(error.contains("there were 3 before it"), "{error}");
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn ctrl_c_ends_a_transfer_that_hangs() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let server = Server::start(vec![Box::new(|client| {
        client.send("HTTP/1.1 200 OK\r\nContent-Length: 36\r\n\r\n0123")?;
        client.hang();
        Ok(())
    })]);
    let patient = Downloader {
        limits: TransferLimits::default(),
        proxies: Proxies::default(),
        stop: || STOP.load(Ordering::Relaxed),
    };
    let pressed = Mutex::new(None);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            *pressed.lock().expect("no panic") = Some(Instant::now());
            STOP.store(true, Ordering::Relaxed);
        });
        let fetched = fetch_with(&patient, server.url("file"), locked(), &Silent);
        assert!(matches!(fetched.result, Err(DownloadError::Interrupted(_))));
    });
    let pressed = pressed.into_inner().expect("no panic").expect("pressed");
    assert!(pressed.elapsed() < Duration::from_secs(2));
}

#[test]
fn nobody_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/x", listener.local_addr().expect("bound"));
    drop(listener);
    let fetched = fetch_with(&downloader(limits()), url, locked(), &Silent);
    assert!(matches!(fetched.result, Err(DownloadError::Connection(_))));
    for url in ["ftp://127.0.0.1/x", "file:///etc/passwd", "x", ""] {
        let fetched = fetch_with(&downloader(limits()), url.to_owned(), locked(), &Silent);
        assert!(matches!(fetched.result, Err(DownloadError::Url { .. })), "{url}");
    }
}

#[test]
fn a_proxy_is_asked_for_the_connection() {
    let server = Server::start(vec![answer(
        "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
    )]);
    let through = Downloader {
        proxies: Proxies::from_variables(&[("https_proxy", &server.url(""))]),
        ..downloader(limits())
    };
    let fetched = fetch_with(&through, "https://upstream.invalid/x".to_owned(), locked(), &Silent);
    assert!(fetched.result.is_err());
    assert!(
        server.requests()[0].starts_with("CONNECT upstream.invalid:443"),
        "{:?}",
        server.requests()
    );
}
