//! The `basalt` command as a child process.

use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use basalt_process::{Command, interrupt};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::File;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::Failed;

/// Interval at which a condition is checked.
const TICK: Duration = Duration::from_millis(50);

/// The command with the variables that say what it works on.
#[derive(Debug, Clone)]
pub struct Cli {
    program: Utf8PathBuf,
    variables: Vec<(String, String)>,
}

/// A call that has ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code, or 128 and the number of the signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    call: String,
}

/// A call under way. Dropping it kills it.
#[derive(Debug)]
pub struct Started {
    child: Child,
    call: String,
    stdout: Utf8PathBuf,
    stderr: Utf8PathBuf,
    _folder: tempfile::TempDir,
}

impl Cli {
    /// The command on a checkout. Errors come as plain text, which does not break where a line is full.
    pub fn new(program: &Utf8Path, checkout: &Utf8Path) -> Self {
        let cli = Self {
            program: program.to_owned(),
            variables: Vec::new(),
        };
        cli.env("BASALT_ROOT", checkout).env("NO_GRAPHICS", "1")
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.variables.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The command with arguments. Signals have their default actions: a shell has programs in the background ignore
    /// SIGINT, which would make the command under test ignore it, too.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let command = Command::new("env").args(["--default-signal=HUP,INT,TERM", self.program.as_str()]);
        self.within(command.args(arguments))
    }

    /// Another command that calls ours, with the same variables.
    pub fn within(&self, command: Command) -> Command {
        self.variables
            .iter()
            .fold(command, |command, (name, value)| command.env(name, value))
    }

    /// The path of the command.
    pub fn program(&self) -> &Utf8Path {
        &self.program
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it takes longer than `timeout`, and when we are interrupted.
    pub fn run(&self, arguments: &[&str], timeout: Duration) -> Result<Ran, Failed> {
        self.start(arguments)?.wait(timeout)
    }

    /// Runs it to its end; what it answers in JSON.
    ///
    /// # Errors
    /// As of [`Self::run`], when it ends with another code, and when its answer is not JSON.
    pub fn json(&self, arguments: &[&str], timeout: Duration, code: i32) -> Result<serde_json::Value, Failed> {
        let ran = self.run(&[&["--json"], arguments].concat(), timeout)?;
        Ok(serde_json::from_str(&ran.ended_with(code)?.stdout)?)
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, arguments: &[&str]) -> Result<Started, Failed> {
        Started::new(&self.command(arguments))
    }
}

impl Started {
    /// Starts a command with its outputs in files.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn new(command: &Command) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| Utf8PathBuf::try_from(folder.path().join(name));
        let (stdout, stderr) = (path("stdout")?, path("stderr")?);
        let mut std = command.to_std();
        std::os::unix::process::CommandExt::process_group(&mut std, 0);
        let child = std
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?.into_file())
            .stderr(File::create(&stderr)?.into_file())
            .spawn()?;
        Ok(Self {
            child,
            call: command.pasteable(),
            stdout,
            stderr,
            _folder: folder,
        })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it takes longer than `timeout`, and when we are interrupted; it is killed then.
    pub fn wait(mut self, timeout: Duration) -> Result<Ran, Failed> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(self.ran(status));
            }
            interrupt::check()?;
            if began.elapsed() > timeout {
                let text = format!(
                    "this took longer than {timeout:?}: {}\n{}",
                    self.call,
                    self.stderr_so_far()
                );
                return Err(text.into());
            }
            std::thread::sleep(TICK);
        }
    }

    /// Returns `true` if it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal, to itself alone.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<(), Failed> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let id = id.ok_or("a process has a number")?;
        Ok(kill_process(id, signal)?)
    }

    /// Sends a signal to it and to what it started in the foreground, as Ctrl-C on a terminal does.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal_all(&self, signal: Signal) -> Result<(), Failed> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let id = id.ok_or("a process has a number")?;
        Ok(kill_process_group(id, signal)?)
    }

    /// Standard error so far.
    pub fn stderr_so_far(&self) -> String {
        fs_err::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Standard output so far.
    pub fn stdout_so_far(&self) -> String {
        fs_err::read_to_string(&self.stdout).unwrap_or_default()
    }

    fn ran(&self, status: ExitStatus) -> Ran {
        use std::os::unix::process::ExitStatusExt as _;
        Ran {
            code: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
            stdout: self.stdout_so_far(),
            stderr: self.stderr_so_far(),
            call: self.call.clone(),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

impl Ran {
    /// Fails, with all that was written, unless it ended with this code.
    ///
    /// # Errors
    /// When it did not.
    pub fn ended_with(self, code: i32) -> Result<Self, Failed> {
        if self.code == code {
            return Ok(self);
        }
        let Self {
            code: actual,
            stdout,
            stderr,
            call,
        } = self;
        Err(format!("exit code {actual}, not {code}, of: {call}\n{stdout}\n{stderr}").into())
    }
}

/// Waits until something holds.
///
/// # Errors
/// When it does not come about in time, and when we are interrupted.
pub fn until(what: &str, timeout: Duration, holds: impl FnMut() -> bool) -> Result<(), Failed> {
    until_every(TICK, what, timeout, holds)
}

/// Waits for a time that is what is tested, such as an outage.
///
/// # Errors
/// When we are interrupted.
pub fn pause(time: Duration) -> Result<(), Failed> {
    let began = Instant::now();
    while began.elapsed() < time {
        interrupt::check()?;
        std::thread::sleep(TICK);
    }
    Ok(())
}

/// Waits until something holds that is dear to look at: a call of kubectl may cost a machine without KVM more than what is
/// waited for.
///
/// # Errors
/// As of [`until`].
pub fn until_every(
    interval: Duration,
    what: &str,
    timeout: Duration,
    mut holds: impl FnMut() -> bool,
) -> Result<(), Failed> {
    let began = Instant::now();
    while !holds() {
        interrupt::check()?;
        if began.elapsed() > timeout {
            return Err(format!("waited {timeout:?} in vain until {what}").into());
        }
        std::thread::sleep(interval);
    }
    Ok(())
}

/// The processes of this machine whose command line has this text in it, our own left out.
pub fn marked_processes(mark: &str) -> Vec<String> {
    let Ok(processes) = fs_err::read_dir("/proc") else {
        return Vec::new();
    };
    let own = std::process::id().to_string();
    processes
        .flatten()
        .filter(|entry| entry.file_name() != *own)
        .filter_map(|entry| {
            let line = fs_err::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(mark)
                .then(|| format!("{} {line}", entry.file_name().to_string_lossy()))
        })
        .collect()
}
