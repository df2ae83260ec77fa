//! Starts of machines whose QEMU is a shell script: one that ends is not waited for.

#![cfg(test)]

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use basalt_machine::{Accelerator, Call, Firmware, Machine, MachineError, QemuTools};
use basalt_process::Command;
use basalt_release::Arch;
use camino::{Utf8Path, Utf8PathBuf};

/// Upper bound for noticing the end of a process on a busy machine; far below the time-out of a QEMU that runs.
const NOTICED: Duration = Duration::from_secs(30);

/// Tools whose QEMU is a script in the folder, which it is run in.
struct Script {
    folder: Utf8PathBuf,
    text: String,
}

impl QemuTools for Script {
    fn command(&self, _: &Call) -> Command {
        Command::new("/bin/sh")
            .args(["-c", &self.text])
            .current_dir(&self.folder)
    }

    fn firmware(&self, _: Arch) -> Firmware {
        Firmware {
            code: "/dev/null".into(),
            variables: self.folder.join("variables"),
        }
    }
}

/// Starts a machine whose QEMU is the script; returns the error and the time that it took. `socket` is a path that the script
/// may move to `CONTROL`, the path of the control socket.
fn start(script: &str, make_socket: impl FnOnce(&Utf8Path)) -> (MachineError, Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
    fs_err::write(path.join("variables"), "variables").expect("writable");
    make_socket(&path.join("socket"));
    let machine = Machine::new("fake", path.join("machine"), Arch::X86_64);
    let tools = Script {
        text: script.replace("CONTROL", machine.files().control_socket().as_str()),
        folder: path,
    };
    let began = Instant::now();
    let error = machine.start(&tools, Accelerator::Tcg).expect_err("it has ended");
    (error, began.elapsed())
}

/// Checks that the error is the end of QEMU with its exit status and its last words.
fn is_its_end((error, took): (MachineError, Duration)) {
    let text = basalt_process::chain(&error);
    let MachineError::Ended { status, last, .. } = error else {
        panic!("{text}")
    };
    assert_eq!(
        (status.as_str(), last.join(" ").as_str()),
        ("exit status: 3", "no memory")
    );
    assert!(took < NOTICED, "{took:?}");
}

fn no_socket(_: &Utf8Path) {}

/// Leaves a socket behind that nothing listens at any more.
fn dead_socket(path: &Utf8Path) {
    drop(UnixListener::bind(path).expect("bound"));
}

#[test]
fn a_qemu_that_ends_at_once_is_told() {
    is_its_end(start("echo no memory >&2; exit 3", no_socket));
}

#[test]
fn a_qemu_that_ends_without_a_socket_is_told() {
    is_its_end(start("sleep 1; echo no memory >&2; exit 3", no_socket));
}

#[test]
fn a_qemu_that_leaves_its_socket_behind_is_told() {
    is_its_end(start(
        "mv socket CONTROL; sleep 1; echo no memory >&2; exit 3",
        dead_socket,
    ));
    is_its_end(start("mv socket CONTROL; echo no memory >&2; exit 3", dead_socket));
}

#[test]
fn a_qemu_that_never_greets_is_told() {
    // The listener lives on, as that of a child of QEMU would.
    let mut listener = None;
    is_its_end(start(
        "mv socket CONTROL; sleep 1; echo no memory >&2; exit 3",
        |path| {
            listener = Some(UnixListener::bind(path).expect("bound"));
        },
    ));
}
