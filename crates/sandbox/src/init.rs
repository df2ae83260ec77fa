//! The second stage: process 1 of the sandbox.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use rustix::process::{Signal, WaitOptions, WaitStatus, set_parent_process_death_signal};
use rustix::thread::CpuSet;

use crate::{Sandbox, SandboxError, mounts, namespace};

/// Makes the sandbox's view of the world, runs the program in it, reaps whatever it leaves, and returns its status.
pub(crate) fn run(sandbox: &Sandbox) -> Result<i32, SandboxError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(SandboxError::call("prctl"))?;
    rustix::system::sethostname(sandbox.hostname.as_bytes()).map_err(SandboxError::call("sethostname"))?;
    mounts::enter(sandbox)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(sandbox.umask));
    if let Some(number) = sandbox.processor {
        keep_to(number)?;
    }
    if sandbox.user != 0 {
        namespace::become_user(sandbox.user)?;
        // As in the first stage, that took the signal away.
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(SandboxError::call("prctl"))?;
    }
    let program = &sandbox.arguments[0];
    let child = Command::new(program)
        .args(&sandbox.arguments[1..])
        .env_clear()
        .envs(sandbox.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&sandbox.directory)
        .spawn()
        .map_err(|source| SandboxError::Start {
            program: program.clone(),
            source,
        })?;
    let child = i32::try_from(child.id()).unwrap_or(i32::MAX);
    loop {
        // Orphans of the sandbox come to process 1; the end of the program is the end of all.
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((id, status))) if id.as_raw_nonzero().get() == child => return Ok(wait_code(status)),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(source) => return Err(SandboxError::Call { call: "wait", source }),
        }
    }
}

/// Leaves one processor of those that we may use.
fn keep_to(number: usize) -> Result<(), SandboxError> {
    let ours = rustix::thread::sched_getaffinity(None).map_err(SandboxError::call("sched_getaffinity"))?;
    let allowed: Vec<_> = (0..CpuSet::MAX_CPU).filter(|cpu| ours.is_set(*cpu)).collect();
    let mut one = CpuSet::new();
    if let Some(cpu) = allowed.get(number % allowed.len().max(1)) {
        one.set(*cpu);
    }
    rustix::thread::sched_setaffinity(None, &one).map_err(SandboxError::call("sched_setaffinity"))
}

fn wait_code(status: WaitStatus) -> i32 {
    status
        .exit_status()
        .or_else(|| status.terminating_signal().map(|signal| 128 + signal))
        .unwrap_or(125)
}

/// The exit code that tells of a status, as shells do.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(125)
}
