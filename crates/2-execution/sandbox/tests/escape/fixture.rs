//! A folder of the host with a secret, and sandboxes that may not read it.

use std::net::TcpListener;
use std::os::fd::OwnedFd;

use basalt_process::ProcessError;
use basalt_sandbox::{Mount, Root, Sandbox};
use camino::{Utf8Path, Utf8PathBuf};
use libtest_mimic::Failed;

use crate::{AttemptTarget, attempts};

/// The exit status of an attempt that was refused.
const REFUSED: i32 = 42;
/// The exit status of an attempt that this machine cannot make.
const SKIPPED: i32 = 43;
/// The exit status of a program that the seccomp filter killed.
const KILLED_BY_FILTER: i32 = 128 + libc::SIGSYS;
/// Name of an environment variable of the caller, which process 1 must not keep.
pub const VARIABLE: &str = "BASALT_ESCAPE_SECRET";

pub struct Fixture {
    folder: tempfile::TempDir,
    listener: TcpListener,
    /// Open without FD_CLOEXEC, as a careless caller leaves it.
    _inherited: OwnedFd,
}

/// Outcome of an attempt.
pub enum AttemptOutcome {
    GotOut,
    Refused(String),
    Skipped(String),
}

impl Fixture {
    pub fn new() -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let path = folder.path();
        for name in ["base/usr", "work", "shown", "scratch"] {
            std::fs::create_dir_all(path.join(name))?;
        }
        for link in ["bin", "lib", "lib64", "sbin"] {
            std::os::unix::fs::symlink(format!("usr/{link}"), path.join("base").join(link))?;
        }
        std::fs::write(path.join("secret"), "the host's")?;
        std::fs::write(path.join("base/lower"), "as it was")?;
        std::fs::write(path.join("shown/file"), "as it was")?;
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
        let inherited = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
        Ok(Self {
            listener: TcpListener::bind(("127.0.0.1", 0))?,
            folder,
            _inherited: inherited,
        })
    }

    pub fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).expect("UTF-8")
    }

    /// A sandbox in which this binary runs: `/work` is writable, `/shown` is not.
    pub fn sandbox(&self) -> Sandbox {
        sandbox_of(self.path(), None)
    }

    /// The same, with the root's writes on a disk of the host.
    pub fn sandbox_on_disk(&self) -> Sandbox {
        sandbox_of(self.path(), Some(self.path().join("scratch")))
    }

    /// The arguments of this binary for an attempt.
    pub fn arguments(&self, name: &str) -> Vec<String> {
        let port = self
            .listener
            .local_addr()
            .map(|address| address.port())
            .unwrap_or_default();
        let process = std::process::id();
        vec![
            "__attempt".to_owned(),
            name.to_owned(),
            self.path().to_string(),
            process.to_string(),
            port.to_string(),
            rustix::process::getuid().as_raw().to_string(),
        ]
    }

    /// Makes an attempt in a sandbox.
    pub fn attempt(&self, sandbox: &Sandbox, name: &str) -> Result<AttemptOutcome, Failed> {
        let command = sandbox
            .command("/attempt", self.arguments(name))
            .env(VARIABLE, "the caller's");
        match command.output() {
            Ok(_) => Ok(AttemptOutcome::GotOut),
            Err(ProcessError::Failed { status, tail, .. }) => match status.code() {
                Some(REFUSED) => Ok(AttemptOutcome::Refused(tail.join("\n"))),
                Some(KILLED_BY_FILTER) => Ok(AttemptOutcome::Refused("killed by the seccomp filter".to_owned())),
                Some(SKIPPED) => Ok(AttemptOutcome::Skipped(tail.join("\n"))),
                _ => Err(format!("{name} ended with {status}: {}", tail.join("\n")).into()),
            },
            Err(error) => Err(basalt_process::chain(&error).into()),
        }
    }
}

/// A sandbox on the folder of a fixture.
pub fn sandbox_of(folder: &Utf8Path, scratch: Option<Utf8PathBuf>) -> Sandbox {
    let bind = |from: Utf8PathBuf, to: &str, writable| Mount::Bind {
        from,
        to: to.into(),
        writable,
    };
    let ourselves = Utf8PathBuf::from_path_buf(std::env::current_exe().expect("a path")).expect("UTF-8");
    Sandbox::new(Root {
        layers: vec![folder.join("base")],
        scratch,
    })
    .mount(bind("/usr".into(), "/usr", false))
    .mount(bind(ourselves, "/attempt", false))
    .mount(bind(folder.join("work"), "/work", true))
    .mount(bind(folder.join("shown"), "/shown", false))
    .env("PATH", "/usr/bin")
}

/// Runs an attempt inside the sandbox and ends the process with [`REFUSED`], [`SKIPPED`], or 0 if it got out.
#[expect(clippy::print_stdout, reason = "the test outside reads it")]
pub fn run_inside(arguments: &[String]) {
    let target = AttemptTarget {
        folder: arguments[1].clone(),
        process: arguments[2].parse().expect("a process id"),
        port: arguments[3].parse().expect("a port"),
        user: arguments[4].parse().expect("a user id"),
    };
    let found = attempts().into_iter().find(|attempt| attempt.name == arguments[0]);
    let run = found
        .map(|attempt| attempt.run)
        .or_else(|| match arguments[0].as_str() {
            name if name.starts_with("limits/") => Some(crate::limits::inside(name)),
            name if name.starts_with("lifetime/") => Some(crate::lifetime::inside(name)),
            name if name.starts_with("outputs/") => Some(crate::outputs::inside(name)),
            _ => None,
        });
    match run.expect("a known attempt")(&target) {
        Ok(()) => std::process::exit(0),
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported && error.raw_os_error().is_none() => {
            println!("{error}");
            std::process::exit(SKIPPED);
        }
        Err(error) => {
            println!("{error}");
            std::process::exit(REFUSED);
        }
    }
}

/// The error of an attempt that this machine cannot make.
pub fn unsupported(why: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::Unsupported, why)
}

/// The error of an attempt that did not find what it looked for.
pub fn nothing(why: &str) -> std::io::Error {
    std::io::Error::other(why.to_owned())
}

/// The result of a system call.
pub fn done(result: impl Into<i64>) -> std::io::Result<()> {
    if result.into() < 0 {
        Err(std::io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Returns an error if a system call was refused (EPERM, ENOSYS); any other error means that it reached the kernel's
/// code.
pub fn reached(result: impl Into<i64>) -> std::io::Result<()> {
    match done(result) {
        Err(error) if !matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => Ok(()),
        other => other,
    }
}
