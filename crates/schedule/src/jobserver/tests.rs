use super::*;

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
    (folder, path)
}

fn server(tokens: usize) -> (tempfile::TempDir, Jobserver) {
    let (folder, path) = folder();
    (folder, Jobserver::create(&path, tokens).expect("a FIFO can be made"))
}

fn acquire(server: &Jobserver) -> Token<'_> {
    server
        .acquire(|| false)
        .expect("the FIFO works")
        .expect("nothing stops it")
}

/// A client's end of the FIFO, opened by its path as another process would.
fn client(server: &Jobserver) -> File {
    File::options()
        .read(true)
        .write(true)
        .open(server.path())
        .expect("the FIFO is there")
}

fn read_token(client: &mut File) {
    let mut token = [0];
    client.read_exact(&mut token).expect("a token");
    assert_eq!(token, [TOKEN]);
}

#[test]
fn jobs_and_clients_share_the_tokens() {
    let (_folder, server) = server(3);
    let mut client = client(&server);
    let first = acquire(&server);
    read_token(&mut client);
    assert_eq!(server.free().expect("counted"), 1);
    let second = acquire(&server);
    assert_eq!(server.free().expect("counted"), 0);
    drop(first);
    client.write_all(&[TOKEN]).expect("given back");
    drop(second);
    assert_eq!(server.free().expect("counted"), 3);
}

#[test]
fn a_wait_for_a_token_ends_when_it_is_stopped() {
    let (_folder, server) = server(1);
    let token = acquire(&server);
    let began = Instant::now();
    let stop = || began.elapsed() > Duration::from_millis(150);
    assert!(server.acquire(stop).expect("the FIFO works").is_none());
    drop(token);
    assert_eq!(server.free().expect("counted"), 1);
    drop(acquire(&server));
}

#[test]
fn tokens_of_a_killed_client_come_back_when_no_job_is_left() {
    let (_folder, server) = server(4);
    let job = acquire(&server);
    let mut killed = client(&server);
    read_token(&mut killed);
    read_token(&mut killed);
    drop(killed);
    server.reconcile(Instant::now());
    assert_eq!(server.free().expect("counted"), 1);
    drop(job);
    assert_eq!(server.free().expect("counted"), 4);
}

#[test]
fn tokens_of_a_killed_client_come_back_in_time_while_other_jobs_go_on() {
    let (_folder, server) = server(4);
    let (job, _other) = (acquire(&server), acquire(&server));
    let mut killed = client(&server);
    read_token(&mut killed);
    drop((killed, job));
    server.suspect_loss();
    server.reconcile(Instant::now());
    assert_eq!(server.free().expect("counted"), 2);
    server.reconcile(Instant::now() + 2 * LOSS_PATIENCE);
    assert_eq!(server.free().expect("counted"), 3);
}

#[test]
fn tokens_that_a_client_makes_up_are_taken_out() {
    let (_folder, server) = server(2);
    let _job = acquire(&server);
    client(&server).write_all(b"xyz").expect("written");
    server.reconcile(Instant::now());
    assert_eq!(server.free().expect("counted"), 1);
}

#[test]
fn the_environment_names_the_path_of_the_client() {
    let (_folder, server) = server(8);
    let flags = "-j8 --jobserver-auth=fifo:/run/jobserver".to_owned();
    let expected = [("MAKEFLAGS", flags.clone()), ("CARGO_MAKEFLAGS", flags)];
    assert_eq!(server.environment("/run/jobserver".into()), expected);
}

#[test]
fn the_fifo_goes_with_its_owner_and_is_not_shared() {
    let (_folder, path) = folder();
    let server = Jobserver::create(&path, 1).expect("a FIFO can be made");
    let error = Jobserver::create(&path, 1).expect_err("it is there already");
    assert_eq!(error.action, "create");
    let fifo = server.path().to_owned();
    drop(server);
    assert!(!fifo.exists());
}
