//! Transport: kubectl, which knows kubeconfigs, exec plug-ins, proxies and the protocol of `exec`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use basalt_process::{Command, ProcessError};
use serde_json::Value;

use crate::AccessError;

/// Time limit of a request: longer than the API server's own for a kubelet that does not answer (30 s).
const REQUEST: Duration = Duration::from_secs(60);
/// Time limit of a clean-up, which Ctrl-C does not end.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// kubectl with the choice of a cluster.
#[derive(Debug, Clone)]
pub struct Kubectl {
    base: Command,
}

impl Kubectl {
    /// Takes a command that runs kubectl on a cluster: its program, `--kubeconfig`, `--context`, environment. Arguments are
    /// added to it.
    pub fn new(base: Command) -> Self {
        Self { base }
    }

    /// Command with more arguments, not started.
    pub fn command<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned());
        self.base.clone().args(arguments)
    }

    /// Runs kubectl and returns what it wrote. `doing` is for errors, as `reading node node-1`.
    pub(crate) fn output<A: AsRef<str>>(
        &self,
        doing: impl Into<String>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Vec<u8>, AccessError> {
        let output = self.command(arguments).time_limit(REQUEST).output();
        Ok(output.map_err(AccessError::kubectl(doing))?.stdout)
    }

    /// Gets a path of the API server (`kubectl get --raw`).
    pub(crate) fn raw(&self, doing: impl Into<String>, path: &str) -> Result<Vec<u8>, AccessError> {
        self.output(doing, ["get", "--raw", path])
    }

    /// Runs kubectl with `--output=json` and parses the object.
    pub(crate) fn json<A: AsRef<str>>(
        &self,
        doing: impl Into<String>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Value, AccessError> {
        let command = self.command(arguments).arg("--output=json").time_limit(REQUEST);
        let output = command.output().map_err(AccessError::kubectl(doing))?;
        serde_json::from_slice(&output.stdout).map_err(|error| AccessError::Answer {
            what: "an object of the API server",
            reason: error.to_string(),
        })
    }

    /// Creates an object (`kubectl create --filename -`).
    pub(crate) fn create(&self, doing: impl Into<String>, object: &Value) -> Result<(), AccessError> {
        let command = self
            .command(["create", "--filename=-", "--output=name"])
            .input(object.to_string())
            .time_limit(REQUEST);
        command.output().map(drop).map_err(AccessError::kubectl(doing))
    }

    /// Runs kubectl to its end although Ctrl-C was pressed: in a process group of its own, which the terminal's signals do
    /// not reach, and for at most ten seconds. Failures are logged, since nobody is left to act on them.
    pub(crate) fn clean_up<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) {
        let command = self.command(arguments);
        if let Err(error) = run_detached(&command) {
            tracing::warn!(%error, command = command.pasteable(), "clean-up failed");
        }
    }
}

fn run_detached(command: &Command) -> std::io::Result<()> {
    use std::os::unix::process::CommandExt as _;
    let mut program = command.to_std();
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = program.process_group(0).spawn()?;
    let deadline = Instant::now() + CLEAN_UP;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(std::io::Error::other(status.to_string())),
            None if Instant::now() >= deadline => {
                child.kill()?;
                child.wait()?;
                return Err(std::io::ErrorKind::TimedOut.into());
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Last lines of a failed kubectl that tell of an object that does not exist.
pub(crate) fn is_not_found(error: &AccessError) -> bool {
    let AccessError::Kubectl {
        source: ProcessError::Failed { tail, .. },
        ..
    } = error
    else {
        return false;
    };
    tail.iter().any(|line| line.contains("(NotFound)"))
}
