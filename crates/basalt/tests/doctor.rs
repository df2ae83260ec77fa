//! `basalt doctor` in environments that lack something: the check that finds it says so, and nothing hangs.

#![cfg(test)]

mod fixture;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use serde_json::Value;

use basalt_test_output::skip_this;
use fixture::Fixture;

/// Path of the command.
const PROGRAM: &str = env!("CARGO_BIN_EXE_basalt");
/// Mirror that refuses connections: nobody listens on the port of tcpmux.
const DEAD_MIRROR: &str = "http://127.0.0.1:1/debian";

/// Folders of a test case: its home, temporary files, and programs before those of the host.
const FOLDERS: &[&str] = &["home", "tmp", "bin"];

impl Fixture {
    /// The command with the environment of the test case.
    fn doctor(&self, options: &[&str]) -> Command {
        let mut command = basalt_process::Command::new(PROGRAM).to_std();
        command.args(options).arg("doctor");
        self.with_environment(command)
    }

    /// The command in namespaces in which a script has changed something; `None` if that is not possible here.
    fn doctor_after(&self, script: &str) -> Option<Command> {
        let unshared = |last: &str| {
            let mut command = basalt_process::Command::new("unshare").to_std();
            command
                .args([
                    "--user",
                    "--map-root-user",
                    "--mount",
                    "--pid",
                    "--fork",
                    "--kill-child",
                    "--mount-proc",
                ])
                .args(["sh", "-c", &format!("set -e\n{script}\n{last}"), PROGRAM]);
            self.with_environment(command)
        };
        let possible = unshared("exit 0").output().expect("started");
        if !possible.status.success() {
            let why = String::from_utf8_lossy(&possible.stderr);
            skip_this(format!("namespaces cannot be changed here: {why}"));
            return None;
        }
        Some(unshared("exec \"$0\" --json doctor"))
    }

    /// Sets nothing in the environment but these folders, the host's programs, and a mirror that is dead.
    fn with_environment(&self, mut command: Command) -> Command {
        let host = std::env::var("PATH").expect("a PATH");
        command
            .env_clear()
            .env("PATH", format!("{}:{host}", self.path().join("bin")))
            .env("HOME", self.path().join("home"))
            .env("TMPDIR", self.path().join("tmp"))
            .env("BASALT_ROOT", self.path().join("checkout"))
            .env("BASALT_STORE", self.path().join("store"))
            .env("BASALT_DEBIAN_MIRROR", DEAD_MIRROR)
            .current_dir(self.path())
            .stdin(Stdio::null());
        // Where rustup's cargo finds its toolchains, which is in the home otherwise.
        let home = std::env::var("HOME").unwrap_or_default();
        for (name, folder) in [("RUSTUP_HOME", ".rustup"), ("CARGO_HOME", ".cargo")] {
            command.env(name, std::env::var(name).unwrap_or_else(|_| format!("{home}/{folder}")));
        }
        if let Ok(toolchain) = std::env::var("RUSTUP_TOOLCHAIN") {
            command.env("RUSTUP_TOOLCHAIN", toolchain);
        }
        command
    }

    /// Puts a program before those of the host.
    fn program(&self, name: &str, script: &str) {
        let path = self.path().join("bin").join(name);
        fs_err::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("set");
    }
}

/// Report of a call with `--json`, after its exit code was compared with it.
fn report(command: &mut Command) -> Value {
    let output: Output = command.output().expect("started");
    let errors = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    let passed = report["passed"].as_bool().expect("a boolean");
    assert_eq!(output.status.code(), Some(i32::from(!passed)), "{report:#}");
    report
}

/// Finding of a check.
fn finding<'r>(report: &'r Value, check: &str) -> &'r Value {
    let findings = report["findings"].as_array().expect("findings");
    let found = findings.iter().find(|finding| finding["check"] == check);
    found.unwrap_or_else(|| panic!("no finding of {check}: {report:#}"))
}

fn assert_status(report: &Value, check: &str, status: &str) {
    let finding = finding(report, check);
    assert_eq!(finding["status"], status, "{finding:#}");
    if status == "failed" {
        assert!(finding["help"].is_string(), "{finding:#}");
        assert_ne!(finding["affects"].as_array().map(Vec::len), Some(0), "{finding:#}");
    }
}

#[test]
fn a_whole_environment_passes_but_for_the_dead_mirror() {
    let fixture = Fixture::new(FOLDERS);
    let report = report(&mut fixture.doctor(&["--json"]));
    for check in [
        "HOME",
        "TMPDIR",
        "proxies",
        "store",
        "clock",
        "file names and modes",
        "running programs",
    ] {
        assert_status(&report, check, "passed");
    }
    // Cargo runs this test.
    assert_status(&report, "cargo", "passed");
    assert_status(&report, "Debian mirror", "failed");
    let left: Vec<_> = fixture.path().join("tmp").read_dir_utf8().expect("listed").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn faults_of_the_environment_are_found() {
    let fixture = Fixture::new(FOLDERS);
    fixture.program("cargo", "echo 'cargo 1.60.0 (0123456 2022-04-01)'");
    fixture.program("rustc", "exec sleep 60");
    fixture.program("cc", "echo 'cannot find Scrt1.o' >&2; exit 1");
    let mut command = fixture.doctor(&["--json"]);
    command
        .env("HOME", "/no/such/folder")
        .env("TMPDIR", fixture.path().join("missing"))
        .env("https_proxy", "http://user:secret@:port");
    let report = report(&mut command);
    for check in ["TMPDIR", "cargo", "rustc", "C compiler"] {
        assert_status(&report, check, "failed");
    }
    for check in ["HOME", "proxies"] {
        assert_status(&report, check, "warning");
    }
    assert!(!report.to_string().contains("secret"), "{report:#}");
}

#[test]
fn a_folder_that_is_no_store_is_left_alone() {
    let fixture = Fixture::new(FOLDERS);
    let disk = fixture.path().join("disk");
    fs_err::create_dir_all(disk.join("tmp")).expect("made");
    fs_err::write(disk.join("tmp/thesis"), "text").expect("written");
    let report = report(fixture.doctor(&["--json"]).env("BASALT_STORE", &disk));
    assert_status(&report, "store", "failed");
    assert_status(&report, "file names and modes", "skipped");
    assert_eq!(names(&disk), ["tmp"]);
    assert_eq!(names(&disk.join("tmp")), ["thesis"]);
}

fn names(folder: &Utf8Path) -> Vec<String> {
    let entries = folder.read_dir_utf8().expect("listed");
    entries
        .map(|entry| entry.expect("an entry").file_name().to_owned())
        .collect()
}

#[test]
fn what_a_container_forbids_is_found() {
    let cases = [
        (
            "overlayfs",
            "mkdir -p disk store && mount -t tmpfs tmpfs disk && mkdir disk/lower disk/upper disk/work
             mount -t overlay overlay -o userxattr,lowerdir=disk/lower,upperdir=disk/upper,workdir=disk/work store",
            "mount a volume",
        ),
        (
            "/proc",
            "for folder in acpi driver scsi; do ! [ -d /proc/$folder ] || mount -t tmpfs tmpfs /proc/$folder; done",
            "systempaths=unconfined",
        ),
        (
            "user namespaces",
            "echo 0 >/proc/sys/user/max_user_namespaces",
            "user.max_user_namespaces",
        ),
        (
            "running programs",
            "mkdir -p store && mount -t tmpfs -o noexec tmpfs store",
            "remount,exec",
        ),
    ];
    for (check, script, help) in cases {
        let fixture = Fixture::new(FOLDERS);
        let Some(mut command) = fixture.doctor_after(script) else {
            continue;
        };
        let report = report(&mut command);
        assert_status(&report, check, "failed");
        let found = finding(&report, check);
        let text = found["help"].as_str().unwrap_or_default();
        assert!(text.contains(help), "{found:#}");
    }
}

#[test]
fn a_mirror_that_never_answers_is_given_up() {
    let fixture = Fixture::new(FOLDERS);
    // Connections are accepted by the kernel, and nobody answers.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mirror = format!("http://{}/debian", listener.local_addr().expect("bound"));
    let began = Instant::now();
    let report = report(fixture.doctor(&["--json"]).env("BASALT_DEBIAN_MIRROR", &mirror));
    assert_status(&report, "Debian mirror", "failed");
    assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
}

#[test]
fn the_text_has_a_line_for_each_check() {
    let fixture = Fixture::new(FOLDERS);
    let report = report(&mut fixture.doctor(&["--json"]));
    let output = fixture.doctor(&[]).output().expect("started");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    for finding in report["findings"].as_array().expect("findings") {
        let check = finding["check"].as_str().expect("a name");
        assert!(text.lines().any(|line| line.contains(check)), "{check}:\n{text}");
    }
    assert!(text.contains("export BASALT_DEBIAN_MIRROR="), "{text}");
}
