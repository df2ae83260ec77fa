//! The command in environments that differ from a developer's terminal: closed pipes, full disks, output in files, values
//! that are not UTF-8, a relative store, a proxy.

#![cfg(test)]

mod environment;
mod fixture;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};

use basalt_test_output::skip_this;
use environment::{CLOSED_PIPE, closed_pipe, full_disk, not_utf8, stderr};
use fixture::Fixture;

/// The folder of a test case is the home, and holds the store.
impl Fixture {
    /// The command with nothing in its environment but these folders.
    fn basalt<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = basalt_process::Command::new(env!("CARGO_BIN_EXE_basalt")).to_std();
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path())
            .env("BASALT_ROOT", self.path().join("checkout"))
            .env("BASALT_STORE", self.path().join("store"))
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Output of the command after a change of its environment.
    fn run(&self, arguments: &[&str], change: &dyn Fn(&mut Command)) -> Output {
        let mut command = self.basalt(arguments);
        change(&mut command);
        run(&mut command)
    }
}

fn run(command: &mut Command) -> Output {
    command.output().expect("started")
}

#[test]
fn a_closed_pipe_ends_the_command_silently() {
    let fixture = Fixture::new(&[]);
    assert!(run(&mut fixture.basalt(&["store", "path"])).status.success());
    let log = fixture.path().join("store/logs/zlib.log");
    fs_err::write(log, "a line\n".repeat(100_000)).expect("written");
    let cases: [&[&str]; 5] = [
        &["completions", "bash"],
        &["store", "path"],
        &["--json", "clean", "--dry-run"],
        &["logs", "zlib"],
        &["logs", "zlib", "--follow"],
    ];
    for arguments in cases {
        environment::ends_silently_with_a_closed_pipe(&|arguments, change| fixture.run(arguments, change), arguments);
        let output = run(fixture.basalt(arguments).stdout(closed_pipe()).stderr(closed_pipe()));
        assert_eq!(
            output.status.code(),
            Some(CLOSED_PIPE),
            "{arguments:?}, with both pipes closed"
        );
    }
    for arguments in [
        &["check", "/no/such/file"][..],
        &["build", "nothing"],
        &["no-such-verb"],
    ] {
        let output = run(fixture.basalt(arguments).stderr(closed_pipe()));
        let code = output.status.code();
        assert!(
            matches!(code, Some(1 | 2 | CLOSED_PIPE)),
            "{arguments:?}: {}",
            output.status
        );
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let fixture = Fixture::new(&[]);
    for arguments in [&["completions", "bash"][..], &["store", "path"]] {
        environment::fails_on_a_full_disk(&|arguments, change| fixture.run(arguments, change), arguments);
    }
}

#[test]
fn colours_follow_the_terminal_and_the_variables() {
    let fixture = Fixture::new(&[]);
    for (variables, coloured) in environment::COLOURS {
        let variables = variables.iter().copied();
        // An error, and a line of the log.
        let error = run(fixture.basalt(&["check", "/no/such/file"]).envs(variables.clone()));
        let log = run(fixture
            .basalt(&["store", "path"])
            .stdout(full_disk())
            .envs(variables.clone()));
        for output in [error, log] {
            let text = stderr(&output);
            assert!(!text.is_empty());
            assert_eq!(
                text.contains('\x1b'),
                coloured,
                "{:?}: {text:?}",
                variables.clone().collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn a_path_is_not_broken_into_lines() {
    let fixture = Fixture::new(&[]);
    let path = "/no-such-folder/with-hyphens-and-a-long-name".repeat(6);
    let output = run(&mut fixture.basalt(&["check", &path]));
    assert!(stderr(&output).contains(&path), "{}", stderr(&output));
}

#[test]
fn what_is_not_utf_8_is_an_error() {
    let fixture = Fixture::new(&[]);
    let name = not_utf8();
    for arguments in [
        &[name][..],
        &[OsStr::new("check"), name],
        &[OsStr::new("kubectl"), name],
    ] {
        let output = run(&mut fixture.basalt(arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
    }
    environment::names_variables_that_are_not_utf8(&|arguments, change| fixture.run(arguments, change));
    assert!(!fixture.path().join(".cache").exists(), "another store was used");
}

/// A container's root is on overlayfs, and a store in it that is not on a volume.
#[test]
fn a_store_on_overlayfs_is_an_error_before_anything_is_made() {
    let fixture = Fixture::new(&[]);
    let mount = "mount -t tmpfs tmpfs . && cd \"$PWD\" && mkdir lower upper work store \
                 && mount -t overlay overlay -o userxattr,lowerdir=lower,upperdir=upper,workdir=work store";
    let unshared = |script: &str| {
        let mut command = basalt_process::Command::new("unshare").to_std();
        command
            .args([
                "--user",
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                &format!("{mount} && {script}"),
            ])
            .arg(env!("CARGO_BIN_EXE_basalt"))
            .current_dir(fixture.path())
            .env("HOME", fixture.path())
            .env("BASALT_ROOT", concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .env("BASALT_STORE", fixture.path().join("store"))
            .stdin(Stdio::null());
        run(&mut command)
    };
    let possible = unshared("true");
    if !possible.status.success() {
        let why = stderr(&possible);
        skip_this(format!("no overlay can be mounted in a user namespace here: {why}"));
        return;
    }
    let output = unshared("exec \"$0\" build zlib");
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for words in ["nothing can be built in the store", "overlayfs", "mount a volume"] {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }
}

#[test]
fn a_relative_store_is_said() {
    let fixture = Fixture::new(&[]);
    let output = run(fixture.basalt(&["store", "path"]).env("BASALT_STORE", "here/store"));
    let store = fixture.path().join("here/store").canonicalize_utf8().expect("made");
    assert_eq!(output.stdout, format!("{store}\n").as_bytes());
    let text = stderr(&output);
    assert!(text.contains("BASALT_STORE is a relative path, `here/store`"), "{text}");
    assert!(text.contains(store.as_str()), "{text}");
    let quiet = run(fixture
        .basalt(&["--quiet", "store", "path"])
        .env("BASALT_STORE", "here/store"));
    assert_eq!(stderr(&quiet), "");
}

#[test]
fn an_api_server_behind_a_proxy_is_asked_through_it() {
    let fixture = Fixture::new(&[]);
    let proxy = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = proxy.local_addr().expect("bound");
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = proxy.accept().expect("a client");
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).expect("a line");
        // The client may have gone already.
        drop(stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"));
        line
    });
    // An address for documentation: nobody answers there.
    let join = format!(
        "kubeadm join 192.0.2.1:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:{}",
        "5c".repeat(32)
    );
    let words = [
        "config",
        "from-join",
        join.as_str(),
        "--hostname",
        "w1",
        "--patience",
        "0",
    ];
    let output = run(fixture.basalt(&words).env("HTTPS_PROXY", format!("http://{address}")));
    // Nobody came, if this connection is the first.
    drop(TcpStream::connect(address));
    let line = asked.join().expect("no panic");
    assert!(
        line.starts_with("CONNECT 192.0.2.1:6443 "),
        "{line:?}\n{}",
        stderr(&output)
    );
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("HTTPS_PROXY"), "{}", stderr(&output));
}
