use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use fs_err::File;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;

use super::fifo::TOKEN;
use super::*;

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
    (folder, path)
}

fn server(tokens: usize) -> (tempfile::TempDir, Jobserver) {
    let (folder, path) = folder();
    (folder, Jobserver::create(&path, tokens).expect("a jobserver"))
}

fn acquire(server: &Jobserver) -> Token<'_> {
    server
        .acquire(|| false)
        .expect("a FIFO can be made")
        .expect("nothing stops it")
}

/// A client's end of a job's FIFO, opened by its path as another process would. It does not wait.
fn client(token: &Token<'_>) -> File {
    fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(token.fifo().expect("a job of a jobserver"))
        .expect("the FIFO is there")
}

/// Takes what is in the FIFO.
fn take_all(client: &mut File) -> Vec<u8> {
    let mut taken = vec![0; 4096];
    match client.read(&mut taken) {
        Ok(count) => taken.truncate(count),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            taken.clear();
        }
    }
    taken
}

/// Takes tokens until there are so many.
fn take(client: &mut File, count: usize) {
    let mut taken = Vec::new();
    wait_until(|| {
        taken.extend(take_all(client));
        taken.len() >= count
    });
    assert_eq!(taken, vec![TOKEN; count]);
}

#[track_caller]
fn wait_until(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "it does not come about");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_job_alone_gets_all_tokens_and_gives_them_back() {
    let (_folder, server) = server(3);
    let token = acquire(&server);
    let mut client = client(&token);
    take(&mut client, 2);
    assert_eq!(server.unused(), 0);
    client.write_all(&[TOKEN]).expect("given back");
    assert_eq!(server.unused(), 1);
    drop(token);
    assert_eq!(server.unused(), 3);
}

#[test]
fn another_job_is_begun_with_the_first_token_that_comes_back() {
    let (_folder, server) = server(3);
    let first = acquire(&server);
    let mut one = client(&first);
    take(&mut one, 2);
    std::thread::scope(|scope| {
        let second = scope.spawn(|| acquire(&server));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!second.is_finished(), "there was no token for it");
        one.write_all(&[TOKEN]).expect("given back");
        let second = second.join().expect("no panic");
        assert_eq!(server.unused(), 0);
        assert!(take_all(&mut client(&second)).is_empty());
    });
    assert_eq!(server.unused(), 1);
}

#[test]
fn what_one_job_gives_back_another_one_gets() {
    let (_folder, server) = server(4);
    let (first, second) = (acquire(&server), acquire(&server));
    let (mut one, mut other) = (client(&first), client(&second));
    // The second wants all that there is, until the first has begun to want something, too.
    take(&mut other, 2);
    other.write_all(&[TOKEN]).expect("given back");
    take(&mut one, 1);
    other.write_all(&[TOKEN]).expect("given back");
    take(&mut one, 1);
}

#[test]
fn a_wait_for_a_token_ends_when_it_is_stopped() {
    let (_folder, server) = server(1);
    let token = acquire(&server);
    let began = Instant::now();
    let stop = || began.elapsed() > Duration::from_millis(150);
    assert!(server.acquire(stop).expect("a FIFO can be made").is_none());
    drop(token);
    assert_eq!(server.unused(), 1);
    drop(acquire(&server));
}

#[test]
fn tokens_of_a_killed_client_come_back_with_its_job_while_others_go_on() {
    let (_folder, server) = server(4);
    let (job, other) = (acquire(&server), acquire(&server));
    let (mut killed, mut client) = (client(&job), client(&other));
    take(&mut killed, 2);
    drop((killed, job));
    take(&mut client, 3);
    drop(other);
    assert_eq!(server.unused(), 4);
}

#[test]
fn what_a_job_does_to_its_fifo_reaches_no_other_job() {
    let (_folder, server) = server(2);
    let (hostile, other) = (acquire(&server), acquire(&server));
    let (mut writer, mut reader) = (client(&hostile), client(&other));
    let path = hostile.fifo().expect("a FIFO");
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o0)).expect("closed");
    for _ in 0..20 {
        // As much as goes in.
        while writer.write(&[b'x'; 4096]).is_ok() {}
        std::thread::sleep(Duration::from_millis(5));
        assert!(take_all(&mut reader).is_empty());
    }
    wait_until(|| server.unused() == 0);
    drop(hostile);
    take(&mut reader, 1);
}

#[test]
fn a_job_that_keeps_all_tokens_does_not_keep_another_from_being_begun() {
    let (_folder, path) = folder();
    let server = Jobserver::with_patience(&path, 3, Duration::from_millis(200)).expect("a jobserver");
    let hoarder = acquire(&server);
    let mut kept = client(&hoarder);
    take(&mut kept, 2);
    let began = Instant::now();
    let second = acquire(&server);
    assert!(began.elapsed() >= Duration::from_millis(200));
    // One of those that come back late is no token any more.
    kept.write_all(&[TOKEN; 2]).expect("given back");
    wait_until(|| server.unused() == 1);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(server.unused(), 1);
    drop((second, hoarder));
    assert_eq!(server.unused(), 3);
}

#[test]
fn the_environment_names_the_path_of_the_client() {
    let (_folder, server) = server(8);
    let flags = "-j8 --jobserver-auth=fifo:/run/jobserver".to_owned();
    let expected = [("MAKEFLAGS", flags.clone()), ("CARGO_MAKEFLAGS", flags)];
    assert_eq!(server.environment("/run/jobserver".into()), expected);
}

#[test]
fn each_job_has_a_fifo_of_its_own_which_goes_with_the_server_at_the_latest() {
    let (_folder, path) = folder();
    let server = Jobserver::create(&path, 2).expect("a jobserver");
    let (one, other) = (acquire(&server), acquire(&server));
    assert_ne!(one.fifo(), other.fifo());
    let fifo = one.fifo().expect("a FIFO").to_owned();
    assert!(fifo.exists());
    drop((one, other));
    drop(server);
    assert_eq!(path.read_dir_utf8().expect("listed").count(), 0);
}

#[test]
fn a_fifo_that_cannot_be_made_is_an_error() {
    let (_folder, path) = folder();
    let server = Jobserver::create(&path.join("missing"), 1).expect("a jobserver");
    let error = server.acquire(|| false).expect_err("no folder");
    assert_eq!(error.action, "create");
    assert_eq!(server.unused(), 1);
}
