//! The command as a user other than root: with a home that nobody else may enter, without an entry among the users, with a
//! store that belongs to another. Root runs these; other users are ordinary ones already, and the rest of the tests is theirs.

#![cfg(test)]

mod environment;
mod fixture;

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use basalt_test_output::skip_this;
use camino::{Utf8Path, Utf8PathBuf};
use environment::stderr;
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
        let mut command = self.command(arguments);
        self.output(command.envs(variables.iter().copied()))
    }

    /// Output of a command of this user.
    fn output(&self, command: &mut Command) -> Output {
        let _lock = lock();
        command.output().expect("started")
    }

    /// The command, in the home.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = basalt_process::Command::new(self.program()).to_std();
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", "/usr/bin:/bin")
            .env("BASALT_ROOT", self.fixture.path().join("checkout"))
            .current_dir(self.home())
            .stdin(Stdio::null())
            .uid(self.id)
            .gid(self.id);
        command
    }
}

fn mode(path: &Utf8Path, mode: u32) {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
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

/// The environments of `environments.rs` that do not depend on who runs that one, in one test: each user costs a copy of the
/// command.
#[test]
fn environments_are_met_by_nobody_as_by_root() {
    let Some(user) = User::new(NOBODY) else { return };
    let run: environment::Run<'_> = &|arguments, change| {
        let mut command = user.command(arguments);
        change(&mut command);
        user.output(&mut command)
    };
    for arguments in [&["store", "path"][..], &["completions", "bash"]] {
        environment::ends_silently_with_a_closed_pipe(run, arguments);
        environment::fails_on_a_full_disk(run, arguments);
    }
    environment::names_variables_that_are_not_utf8(run);
    for (variables, coloured) in environment::COLOURS {
        let output = run(&["check", "/no/such/file"], &|command| {
            command.envs(variables.iter().copied());
        });
        assert_eq!(stderr(&output).contains('\x1b'), coloured, "{variables:?}");
    }
}

#[test]
fn stores_of_nobody_are_where_they_are_said_to_be() {
    let Some(user) = User::new(NOBODY) else { return };
    // A relative path, spaces, commas and quotes, another folder of caches, a home by a link.
    let link = user.fixture.path().join("link");
    fs_err::os::unix::fs::symlink("home", &link).expect("linked");
    for (variable, value, store) in [
        ("BASALT_STORE", "here/store", "here/store"),
        ("BASALT_STORE", "a store, 'quoted'", "a store, 'quoted'"),
        ("XDG_CACHE_HOME", user.home().join("caches").as_str(), "caches/basalt"),
        ("HOME", link.as_str(), ".cache/basalt"),
    ] {
        let output = user.output(user.command(&["store", "path"]).env(variable, value));
        let text = stderr(&output);
        assert!(output.status.success(), "{variable}={value}: {text}");
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        let said = Utf8Path::new(said.trim_end_matches('\n'));
        assert_eq!(
            said.canonicalize_utf8().expect("made"),
            user.home().canonicalize_utf8().expect("made").join(store),
            "{variable}={value}"
        );
        assert!(
            user.home().join(store).join("basalt-store").is_file(),
            "{variable}={value}"
        );
    }
}

#[test]
fn a_folder_of_nobodys_that_is_no_store_is_left_alone() {
    let Some(user) = User::new(NOBODY) else { return };
    let folder = user.home().join("photos");
    fs_err::create_dir(&folder).expect("made");
    let photo = folder.join("1.jpg");
    fs_err::write(&photo, "a photo").expect("written");
    for path in [&folder, &photo] {
        chown(path, Some(user.id), Some(user.id)).expect("given away");
    }
    for arguments in [&["store", "path"][..], &["clean"]] {
        let output = user.run(arguments, &[("BASALT_STORE", &folder)]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        for words in [folder.as_str(), "is not a store", "1.jpg"] {
            assert!(text.contains(words), "{arguments:?}: `{words}` is not in: {text}");
        }
    }
    let left: Vec<_> = fs_err::read_dir(&folder).expect("listed").collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(fs_err::read_to_string(photo).expect("read"), "a photo");
}
