//! Machine of a test case: a folder with a checkout, the files that the launcher looks at, and the programs of its PATH.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use basalt_process::{Command, ProcessError};
use basalt_test_environment::{Failed, Ran, Started, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::symlink;

/// Time-out of one call of the launcher, which takes a fraction of a second on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Programs of the host that the launcher and the fake programs call.
const TOOLS: &[&str] = &[
    "awk", "cat", "cksum", "cp", "date", "dirname", "find", "grep", "id", "mkdir", "mktemp", "mv", "readlink", "rm",
    "sed", "touch",
];

/// Fake programs that belong to no package of [`PACKAGES`].
const FAKES: &[&str] = &["apt-get", "cargo", "unshare"];

/// Debian packages that the launcher asks for, in its order: name, file that it looks for, script that stands for it.
pub const PACKAGES: &[(&str, &str, &str)] = &[
    ("mmdebstrap", "bin/mmdebstrap", "installed"),
    (
        "debian-archive-keyring",
        "usr/share/keyrings/debian-archive-keyring.gpg",
        "installed",
    ),
    ("uidmap", "bin/newuidmap", "installed"),
    ("gcc", "bin/cc", "cc"),
    ("libc6-dev", "lib/Scrt1.o", "installed"),
];

/// Shells that have to run the launcher, by name, and the words that start them.
pub const SHELLS: &[(&str, &[&str])] = &[
    ("sh", &["sh"]),
    ("dash", &["dash"]),
    ("bash", &["bash", "--posix"]),
    ("busybox", &["busybox", "sh"]),
];

/// Shell of this machine.
#[derive(Debug, Clone)]
pub struct Shell {
    /// Name in [`SHELLS`].
    pub name: &'static str,
    words: Vec<String>,
}

/// User that calls the launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// Root. Where the test is not run by root, `id` says so.
    Root,
    /// The user that runs the test; `nobody` if that is root.
    Ordinary,
}

/// Folder that stands for a machine. It goes when this is dropped.
#[derive(Debug)]
pub struct Machine {
    /// Folder of everything. Its path has no spaces.
    pub root: Utf8PathBuf,
    /// Checkout, whose path has a space.
    pub checkout: Utf8PathBuf,
    shell: Shell,
    user: User,
    _folder: tempfile::TempDir,
}

/// Call of a script on a machine.
#[derive(Debug)]
pub struct Call<'a> {
    machine: &'a Machine,
    script: Utf8PathBuf,
    folder: Utf8PathBuf,
    variables: Vec<(String, String)>,
    no_new_privileges: bool,
}

/// Root of the repository.
pub fn repository() -> &'static Utf8Path {
    let tests = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// Finds a program in the PATH of the test.
pub fn find_program(name: &str) -> Option<Utf8PathBuf> {
    let path = std::env::var("PATH").ok()?;
    let mut places = path.split(':').map(|folder| Utf8Path::new(folder).join(name));
    places.find(|place| place.is_file())
}

impl Shell {
    /// Finds a shell.
    ///
    /// # Errors
    /// The reason why the launcher cannot be tried with it here.
    pub fn find(name: &'static str, words: &[&str]) -> Result<Self, String> {
        let (program, options) = words.split_first().ok_or("a shell has a program")?;
        let path = find_program(program).ok_or_else(|| format!("there is no {program} on this machine"))?;
        // Busybox can be compiled so that its shell runs its own unshare, and not the one of PATH.
        let builtin = Command::new(&path)
            .args(options)
            .args(["-c", "command -v unshare"])
            .env("PATH", "/nonexistent");
        if builtin.output().is_ok() {
            return Err(format!("{path} prefers its own programs to those of PATH"));
        }
        let options = options.iter().map(|word| (*word).to_owned());
        let words = std::iter::once(path.into_string()).chain(options).collect();
        Ok(Self { name, words })
    }
}

impl User {
    /// Name for test reports.
    pub fn label(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Ordinary => "ordinary",
        }
    }

    /// Words before a command that run it as this user.
    fn switch(self, no_new_privileges: bool) -> Vec<String> {
        let mut words = Vec::new();
        if self == Self::Ordinary && rustix::process::geteuid().is_root() {
            words.extend(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        }
        if no_new_privileges {
            words.push("--no-new-privs");
        }
        if words.is_empty() {
            return Vec::new();
        }
        let setpriv = find_program("setpriv").unwrap_or_else(|| "setpriv".into());
        let words = words.into_iter().map(str::to_owned);
        std::iter::once(setpriv.into_string()).chain(words).collect()
    }

    /// Output of `id` with an option, run by this user in the folder of temporary files.
    ///
    /// # Errors
    /// When there is no way to be this user, or the user cannot enter the folder, or `id` fails.
    pub fn id(self, option: &str) -> Result<String, ProcessError> {
        let mut words = self.switch(false);
        words.extend(["sh", "-c", "cd -- \"$1\" && id \"$2\"", "sh"].map(str::to_owned));
        words.push(std::env::temp_dir().to_string_lossy().into_owned());
        words.push(option.to_owned());
        Ok(command(&words).output()?.text())
    }
}

/// Command of words.
fn command(words: &[String]) -> Command {
    match words.split_first() {
        Some((program, arguments)) => Command::new(program).args(arguments),
        None => Command::new("false"),
    }
}

/// Runs a program that makes a part of a machine. Scripts are copied by programs and never written by this process:
/// a thread that starts a program at that moment would leave it an open descriptor, and the script could not be run.
fn make(words: &[&str]) -> Result<(), Failed> {
    let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
    command(&words).output()?;
    Ok(())
}

impl Machine {
    /// Makes a machine that lacks nothing.
    ///
    /// # Errors
    /// When a file cannot be written, and when a program of [`TOOLS`] is missing.
    pub fn new(shell: Shell, user: User) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let root = Utf8Path::from_path(folder.path()).ok_or("the folder of temporary files is not UTF-8")?;
        let root = root.canonicalize_utf8()?;
        let machine = Self {
            checkout: root.join("a checkout"),
            root,
            shell,
            user,
            _folder: folder,
        };
        machine.make_programs()?;
        machine.make_checkout()?;
        machine.file("calls", "")?;
        fs_err::create_dir_all(machine.root.join("work"))?;
        fs_err::create_dir_all(machine.root.join("home"))?;
        match user {
            User::Root if !rustix::process::geteuid().is_root() => machine.identify("0 root")?,
            User::Root => {}
            User::Ordinary => {
                let range = format!("{}:200000:65536\n", user.id("-un")?);
                machine.file("etc/subuid", &range)?;
                machine.file("etc/subgid", &range)?;
            }
        }
        make(&["chmod", "-R", "a+rwX", machine.root.as_str()])?;
        Ok(machine)
    }

    fn make_programs(&self) -> Result<(), Failed> {
        let fixtures = repository().join("tests/fixtures/launcher");
        make(&["cp", "-R", fixtures.as_str(), self.root.join("scripts").as_str()])?;
        fs_err::create_dir_all(self.root.join("bin"))?;
        for tool in TOOLS {
            let path = find_program(tool).ok_or_else(|| format!("there is no {tool} on this machine"))?;
            symlink(path, self.root.join("bin").join(tool))?;
        }
        for fake in FAKES {
            self.link(fake, &format!("bin/{fake}"))?;
        }
        for (package, place, script) in PACKAGES {
            self.link(script, &format!("archive/{package}/{place}"))?;
            self.install(package)?;
        }
        Ok(())
    }

    /// Makes the checkout: the launcher, with the files that it looks at below the machine's folder, and sources.
    fn make_checkout(&self) -> Result<(), Failed> {
        let mut text = fs_err::read_to_string(repository().join("basalt"))?;
        for path in ["/etc/$kind", "/usr/share/keyrings/"] {
            ensure(text.contains(path), || format!("the launcher looks for no {path}"))?;
            text = text.replace(path, &format!("{}{path}", self.root));
        }
        self.file("launcher", &text)?;
        self.file("a checkout/crates/basalt/src/main.rs", "fn main() {}\n")?;
        self.file("a checkout/Cargo.lock", "")?;
        let (launcher, here) = (self.root.join("launcher"), self.checkout.join("basalt"));
        make(&["cp", launcher.as_str(), here.as_str()])?;
        make(&["chmod", "a+x", here.as_str()])?;
        for name in ["Cargo.toml", ".ci"] {
            make(&["cp", "-R", repository().join(name).as_str(), self.checkout.as_str()])?;
        }
        let checkout = self.checkout.as_str();
        make(&["find", checkout, "-exec", "touch", "-t", "202001010000", "{}", "+"])
    }

    /// Writes a file.
    pub fn file(&self, name: &str, text: &str) -> Result<Utf8PathBuf, Failed> {
        let path = self.root.join(name);
        fs_err::create_dir_all(path.parent().unwrap_or(&path))?;
        fs_err::write(&path, text)?;
        Ok(path)
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) -> Result<(), Failed> {
        match fs_err::remove_file(self.root.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Puts a script of the fixtures in a place.
    pub fn link(&self, script: &str, name: &str) -> Result<(), Failed> {
        let path = self.root.join(name);
        fs_err::create_dir_all(path.parent().unwrap_or(&path))?;
        Ok(symlink(self.root.join("scripts").join(script), path)?)
    }

    /// Installs a package as the fake apt-get does.
    pub fn install(&self, package: &str) -> Result<(), Failed> {
        let archive = self.root.join("archive").join(package).join(".");
        make(&["cp", "-RP", archive.as_str(), self.root.as_str()])
    }

    /// Removes a package.
    pub fn uninstall(&self, package: &str) -> Result<(), Failed> {
        let found = PACKAGES.iter().find(|(name, ..)| *name == package);
        let (_, place, _) = found.ok_or_else(|| format!("there is no package {package}"))?;
        self.remove(place)
    }

    /// Has `id` answer with a number and a name, or a number alone.
    pub fn identify(&self, user: &str) -> Result<(), Failed> {
        self.file("user", &format!("{user}\n"))?;
        self.remove("bin/id")?;
        self.link("id", "bin/id")
    }

    /// Makes a source newer than any command.
    pub fn change_source(&self) -> Result<(), Failed> {
        let source = self.checkout.join("crates/basalt/src/main.rs");
        make(&["touch", "-t", "203701010000", source.as_str()])
    }

    /// Sets the mode of a folder of the checkout.
    pub fn set_mode(&self, name: &str, mode: u32) -> Result<(), Failed> {
        let permissions = std::fs::Permissions::from_mode(mode);
        Ok(fs_err::set_permissions(self.checkout.join(name), permissions)?)
    }

    /// Calls of the fake programs so far, a line each.
    pub fn calls(&self) -> Result<String, Failed> {
        Ok(fs_err::read_to_string(self.root.join("calls"))?)
    }

    /// Fails if one of the programs was called.
    pub fn not_called(&self, programs: &[&str]) -> Result<(), Failed> {
        let calls = self.calls()?;
        let called = |line: &str| line.split(' ').next().is_some_and(|name| programs.contains(&name));
        ensure(!calls.lines().any(called), || {
            format!("one of {programs:?} was called:\n{calls}")
        })
    }

    /// User that calls the launcher.
    pub fn user(&self) -> User {
        self.user
    }

    /// A call of the launcher.
    pub fn call(&self) -> Call<'_> {
        let call = Call {
            machine: self,
            script: self.checkout.join("basalt"),
            folder: self.root.join("work"),
            variables: Vec::new(),
            no_new_privileges: false,
        };
        call.set("MACHINE", &self.root)
            .set("PATH", self.root.join("bin"))
            .set("HOME", self.root.join("home"))
            .set("LC_ALL", "C")
    }

    /// Calls the launcher.
    pub fn run(&self, arguments: &[&str]) -> Result<Ran, Failed> {
        self.call().run(arguments)
    }
}

impl Call<'_> {
    /// Another script, or the launcher by another path.
    pub fn script(mut self, script: Utf8PathBuf) -> Self {
        self.script = script;
        self
    }

    /// The current folder of the call.
    pub fn folder(mut self, folder: impl Into<Utf8PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// Sets a variable.
    pub fn set(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.variables.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Takes a variable away.
    pub fn unset(mut self, name: &str) -> Self {
        self.variables.retain(|(set, _)| set != name);
        self
    }

    /// Forbids new privileges (no_new_privs).
    pub fn without_new_privileges(mut self) -> Self {
        self.no_new_privileges = true;
        self
    }

    /// Makes the call.
    pub fn run(self, arguments: &[&str]) -> Result<Ran, Failed> {
        let machine = self.machine;
        // The test's umask may keep its files from other users.
        make(&["chmod", "-R", "a+rX", machine.root.as_str()])?;
        let mut words = machine.user.switch(self.no_new_privileges);
        words.extend(machine.shell.words.iter().cloned());
        words.push(self.script.into_string());
        words.extend(arguments.iter().map(|word| (*word).to_owned()));
        let command = command(&words).env_clear().current_dir(self.folder);
        let command = self
            .variables
            .iter()
            .fold(command, |command, (name, value)| command.env(name, value));
        Started::new(&command)?.wait(PATIENCE)
    }
}
