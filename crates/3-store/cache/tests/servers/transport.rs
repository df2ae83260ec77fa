//! Connections: none at all, TLS, tokens, Ctrl-C.

use std::time::{Duration, Instant};

use basalt_process::{Command, interrupt};
use tonic::transport::Identity;

use crate::fixture::{Team, UploadFixture, impatient, patient};
use crate::server::{ServerFault, Setup, TestServer};

/// Variable that tells a test that it was started as a child.
const CHILD: &str = "BASALT_CACHE_TEST_CHILD";

#[test]
fn nobody_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let (cache, warnings) = Team::new().cache(&format!("grpc://{address}"), patient());
    let built = UploadFixture::new("zlib");
    let begun = Instant::now();
    for _ in 0..5 {
        assert_eq!(built.package_from(&cache), None);
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
    let warnings = warnings.all();
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].contains(&format!("no connection to the cache grpc://{address}")),
        "{warnings:?}"
    );
    assert_eq!(built.push(&cache).expect("no error of ours").locations, 0);
}

#[test]
fn somebody_who_does_not_speak_http2() {
    for words in ["", "SSH-2.0-OpenSSH_9.9\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            for stream in listener.incoming().take(20) {
                use std::io::Write as _;
                let _ = stream.and_then(|mut stream| stream.write_all(words.as_bytes()));
            }
        });
        let (cache, warnings) = Team::new().cache(&format!("grpc://{address}"), impatient());
        for _ in 0..3 {
            assert_eq!(UploadFixture::new("zlib").package_from(&cache), None);
        }
        assert_eq!(warnings.all().len(), 1, "{words:?}: {:?}", warnings.all());
    }
}

#[test]
fn a_token_opens_and_is_never_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    let setup = Setup {
        fault: ServerFault::None,
        zstd: false,
        token: Some("s3cret"),
    };
    let server = TestServer::with(setup, None);
    let with_token = format!("{}?token-file={}", server.location(), path.display());
    let built = UploadFixture::new("zlib");
    fs_err::write(&path, "s3cret\n").expect("writes");
    let (cache, warnings) = Team::new().cache(&with_token, patient());
    assert_eq!(built.push(&cache).expect("pushes").locations, 1, "{:?}", warnings.all());
    fs_err::write(&path, "wr0ng\n").expect("writes");
    for location in [with_token, server.location()] {
        let (cache, warnings) = Team::new().cache(&location, patient());
        assert_eq!(built.package_from(&cache), None);
        let warnings = warnings.all();
        assert!(warnings.len() == 1 && warnings[0].contains("refuses"), "{warnings:?}");
        assert!(!warnings[0].contains("wr0ng"));
    }
}

#[test]
fn tls_is_spoken_with_who_can_prove_who_it_is() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let pem = certified.cert.pem();
    let identity = Identity::from_pem(&pem, certified.signing_key.serialize_pem());
    let setup = Setup {
        fault: ServerFault::None,
        zstd: true,
        token: None,
    };
    let server = TestServer::with(setup, Some(identity));
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    fs_err::write(&ca, pem).expect("writes");
    let (port, ca) = (server.address.port(), ca.display());
    let built = UploadFixture::new("zlib");
    for (location, works) in [
        (format!("grpcs://localhost:{port}/team?ca={ca}"), true),
        (format!("grpcs://localhost:{port}/team"), false),
        (format!("grpcs://127.0.0.1:{port}/team?ca={ca}"), false),
        (format!("grpc://localhost:{port}/team"), false),
    ] {
        let (cache, warnings) = Team::new().cache(&location, impatient());
        let pushed = built.push(&cache).expect("no error of ours");
        assert_eq!(pushed.locations == 1, works, "{location}: {:?}", warnings.all());
        assert_eq!(warnings.all().is_empty(), works);
    }
}

#[test]
fn ctrl_c_ends_a_wait() {
    if std::env::var_os(CHILD).is_some() {
        interrupted();
        return;
    }
    // In a process of its own, as the flag is one for all.
    let program = std::env::current_exe().expect("this program");
    let test = "transport::ctrl_c_ends_a_wait";
    let command = Command::new(program).args(["--exact", test]).env(CHILD, "1");
    let output = command.output().expect("succeeds");
    assert!(output.text().contains("1 passed"), "{}", output.text());
}

fn interrupted() {
    let server = TestServer::start(ServerFault::HangsLater);
    let (cache, warnings) = Team::new().cache(&server.location(), patient());
    let built = UploadFixture::new("zlib");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while server.calls("GetActionResult") == 0 {
                std::thread::sleep(Duration::from_millis(10));
            }
            interrupt::request();
        });
        let begun = Instant::now();
        assert_eq!(built.package_from(&cache), None);
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "well within the time limit of a call"
        );
    });
    assert!(interrupt::requested(), "the wait ended by Ctrl-C");
    assert!(warnings.all().is_empty(), "which is nobody's fault");
    assert!(built.push(&cache).is_err());
}
