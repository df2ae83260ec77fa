//! The command as a user other than root: with a home that nobody else may enter, without an entry among the users, with a
//! store that belongs to another. Root runs these; other users are ordinary ones already, and the rest of the tests is theirs.

#![cfg(test)]

mod fixture;

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use basalt_test_output::skip_this;
use camino::{Utf8Path, Utf8PathBuf};
use fixture::Fixture;

/// User and group `nobody`.
const NOBODY: u32 = 65534;
/// User and group that no system has an entry of.
const NO_ENTRY: u32 = 54_321;

/// Held while the command is copied and while it runs: a process that another test starts meanwhile has the copy open for
/// writing, which no program may be that is executed.
static COPYING: Mutex<()> = Mutex::new(());

fn lock() -> MutexGuard<'static, ()> {
    COPYING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A user, with a private home and a copy of the command that everybody may execute.
struct User {
    fixture: Fixture,
    id: u32,
}

impl User {
    /// Makes the home; none where the tests do not run as root.
    fn new(id: u32) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skip_this("only root can start the command as another user");
            return None;
        }
        let fixture = Fixture::new(&["home"]);
        let user = Self { fixture, id };
        // Where the command was built, the user may not enter.
        let _lock = lock();
        fs_err::copy(env!("CARGO_BIN_EXE_basalt"), user.program()).expect("copied");
        mode(user.fixture.path(), 0o755);
        chown(user.home(), Some(id), Some(id)).expect("given away");
        mode(&user.home(), 0o700);
        Some(user)
    }

    fn program(&self) -> Utf8PathBuf {
        self.fixture.path().join("basalt")
    }

    fn home(&self) -> Utf8PathBuf {
        self.fixture.path().join("home")
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &Utf8Path)]) -> Output {
        let _lock = lock();
        let mut command = basalt_process::Command::new(self.program()).to_std();
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", "/usr/bin:/bin")
            .env("BASALT_ROOT", self.fixture.path().join("checkout"))
            .envs(variables.iter().copied())
            .current_dir(self.home())
            .stdin(Stdio::null())
            .uid(self.id)
            .gid(self.id);
        command.output().expect("started")
    }
}

fn mode(path: &Utf8Path, mode: u32) {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

fn verbs_that_build_nothing(user: &User) {
    for arguments in [
        &["--help"][..],
        &["completions", "bash"],
        &["store", "path"],
        &["status"],
        &["--json", "status"],
        &["clean", "--dry-run"],
        &["store", "verify"],
    ] {
        let output = user.run(arguments, &[]);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    }
    let store = user.home().join(".cache/basalt");
    let path = user.run(&["store", "path"], &[]);
    assert_eq!(path.stdout, format!("{store}\n").as_bytes());
    assert!(store.is_dir());
}

#[test]
fn a_private_home_is_enough() {
    if let Some(user) = User::new(NOBODY) {
        verbs_that_build_nothing(&user);
    }
}

#[test]
fn a_user_without_an_entry_has_a_store() {
    if let Some(user) = User::new(NO_ENTRY) {
        verbs_that_build_nothing(&user);
    }
}

#[test]
fn a_store_of_another_user_is_read_and_named() {
    let Some(user) = User::new(NOBODY) else { return };
    let store = user.fixture.path().join("store");
    let root = basalt_process::Command::new(user.program())
        .args(["store", "path"])
        .env("BASALT_STORE", store.as_str())
        .env("BASALT_ROOT", user.fixture.path().join("checkout").as_str());
    let lock = lock();
    root.output().expect("root's store");
    drop(lock);
    let output = user.run(&["store", "path"], &[("BASALT_STORE", &store)]);
    let text = stderr(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains(store.as_str()) && text.contains("can only be read"),
        "{text}"
    );
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let Some(user) = User::new(NOBODY) else { return };
    chown(user.home(), Some(0), Some(0)).expect("taken back");
    mode(&user.home(), 0o755);
    let output = user.run(&["store", "path"], &[]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(user.home().as_str()), "{text}");
}
