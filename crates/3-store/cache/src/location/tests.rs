use proptest::prelude::*;

use super::*;

fn server(text: &str) -> Server {
    match Location::parse(text).expect(text).place {
        LocationKind::Server(server) => server,
        LocationKind::Folder(path) => panic!("{text} is the folder {path}"),
    }
}

fn folder(text: &str) -> Utf8PathBuf {
    match Location::parse(text).expect(text).place {
        LocationKind::Folder(path) => path,
        LocationKind::Server(server) => panic!("{text} is the server {server}"),
    }
}

#[test]
fn folders() {
    assert_eq!(folder("/mnt/team cache"), "/mnt/team cache");
    assert_eq!(folder("../shared/cache"), "../shared/cache");
    assert_eq!(folder("/a%20b"), "/a%20b");
    assert_eq!(folder("file:///a%20b%3Fc"), "/a b?c");
    assert_eq!(Location::parse("/a?mode=read").expect("parses").mode, Mode::Read);
    for wrong in [
        "",
        "  ",
        "/",
        "file://host/a",
        "file://",
        "file:///%",
        "/a?token-env=T",
        "/a?ca=/x",
    ] {
        assert!(Location::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_server_without_its_scheme_is_not_taken_for_a_folder() {
    for text in ["cache.example:9092", "127.0.0.1:9092/team", "[::1]:9092"] {
        assert!(
            matches!(Location::parse(text), Err(LocationError::NoScheme(_))),
            "{text}"
        );
    }
    assert_eq!(folder("./cache:9092"), "./cache:9092");
}

#[test]
fn servers() {
    let plain = server("grpc://cache.example:9092");
    assert!(!plain.tls);
    assert_eq!(
        (plain.host.as_str(), plain.port, plain.instance.as_str()),
        ("cache.example", 9092, "")
    );
    let full = server("grpcs://[::1]/team/main/?token-file=/run/a%26b&ca=/etc/ca.pem&mode=write");
    assert!(full.tls);
    assert_eq!(
        (full.host.as_str(), full.port, full.instance.as_str()),
        ("::1", 443, "team/main")
    );
    assert_eq!(full.token, Some(TokenSource::File("/run/a&b".into())));
    assert_eq!(full.ca.as_deref(), Some(Utf8Path::new("/etc/ca.pem")));
    assert_eq!(full.to_string(), "grpcs://[::1]:443/team/main");
}

#[test]
fn what_names_no_server_is_refused() {
    for wrong in [
        "http://cache.example",
        "grpc://",
        "grpc://:80",
        "grpc://host:0",
        "grpc://host:65536",
        "grpc://host:+1",
        "grpc://ho st:1",
        "grpc://[::1",
        "grpc://[::1]x:1",
        "grpc://host:1/a//b",
        "grpc://host:1/team/blobs",
        "grpc://host:1/a%00",
        "grpc://host:1?mode=maybe",
        "grpc://host:1?mode=read&mode=write",
        "grpc://host:1?mode",
        "grpc://host:1?",
        "grpc://host:1?colour=blue",
        "grpc://host:1?ca=/x",
        "grpcs://host:1?token-file=/x&token-env=Y",
    ] {
        assert!(Location::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_token_is_neither_in_the_address_nor_sent_in_clear_text() {
    let error = Location::parse("grpcs://s3cret@host:1").expect_err("a token");
    assert_eq!(error, LocationError::Credentials);
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    let error = Location::parse("grpc://host:1?token-env=T").expect_err("clear text");
    assert!(matches!(error, LocationError::Cleartext(_)));
    for loopback in ["127.0.0.1", "localhost", "[::1]"] {
        server(&format!("grpc://{loopback}:1?token-env=T"));
    }
}

#[test]
fn lists_keep_their_order() {
    let list = Location::parse_list(" /a?mode=read\n grpc://b:1 ").expect("parses");
    let names: Vec<_> = list.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["/a", "grpc://b:1"]);
    assert!(Location::parse_list("").expect("none").is_empty());
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Location::parse(&text);
    }

    #[test]
    fn what_is_shown_is_read_back(host in "[a-z][a-z0-9.-]{0,20}", port in 1u16.., instance in "([a-z]{1,5}(/[a-z]{1,5}){0,2})?", tls: bool) {
        let scheme = if tls { "grpcs" } else { "grpc" };
        let text = format!("{scheme}://{host}:{port}/{instance}");
        let location = Location::parse(&text);
        prop_assume!(location.is_ok());
        let location = location.expect("parses");
        prop_assert_eq!(Location::parse(&location.to_string()), Ok(location));
    }
}
