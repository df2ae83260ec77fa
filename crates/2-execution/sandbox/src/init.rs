//! The second stage: process 1 of the sandbox.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::sync::Arc;

use basalt_process::Command;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::PipeFlags;
use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions, WaitStatus};
use rustix::thread::{CpuSet, UnshareFlags};

use crate::measure::Sampler;
use crate::outcome::Sender;
use crate::report::{FAILED, Termination};
use crate::{ConfinementLayer, Sandbox, SandboxError, confinement, inherited, mounts, syscalls};

/// Makes the sandbox's view of the world, runs the program in it, reaps whatever it leaves, and returns its status.
///
/// The arguments are the numbers of two inherited descriptors: the description, and the socket to the first stage.
pub(crate) fn run(arguments: &[OsString]) -> Result<i32, SandboxError> {
    let sandbox = inherited::description(arguments.first())?;
    let outer = inherited::descriptor(arguments.get(1))?;
    if sandbox.policy.is_enforced(ConfinementLayer::ParentDeath) {
        die_with_outer(&outer)?;
    }
    syscalls::unshare(UnshareFlags::NEWNS).map_err(SandboxError::Namespaces)?;
    rustix::system::sethostname(sandbox.hostname.as_bytes()).map_err(SandboxError::call("sethostname"))?;
    let proc = mounts::enter(&sandbox)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(sandbox.umask));
    if let Some(number) = sandbox.processor {
        keep_to(number)?;
    }
    if sandbox.policy.is_enforced(ConfinementLayer::Undumpable) {
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(SandboxError::confine("an undumpable process 1"))?;
    }
    let sampler = Sampler::new(&sandbox)?;
    leave_session(&sandbox)?;
    let (child, failure) = start(&sandbox, proc)?;
    let sender = Arc::new(Sender::new(outer));
    if let Some(sampler) = sampler {
        sampler.start(Arc::clone(&sender));
    }
    let status = reap(child)?;
    // The program's side of the pipe is closed by execve, and by its end.
    let failed = rustix::io::read(&failure, &mut [0; 1]).is_ok_and(|length| length > 0);
    let ending = if failed { Termination::Failed } else { ending(status) };
    sender.send(ending);
    Ok(ending.code())
}

/// Ends with the first stage, which may have ended already.
fn die_with_outer(outer: &OwnedFd) -> Result<(), SandboxError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(SandboxError::call("prctl"))?;
    // Its other end is closed when the first stage is gone, which says so even where the signal came too early for us.
    let mut polled = [PollFd::new(outer, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&now)).map_err(SandboxError::call("poll"))?;
    if polled[0].revents().contains(PollFlags::HUP) {
        std::process::exit(FAILED);
    }
    Ok(())
}

/// Leaves the caller's session: through `/proc/1/autogroup`, the priority of the whole session can be lowered that
/// process 1 is in.
fn leave_session(sandbox: &Sandbox) -> Result<(), SandboxError> {
    if confinement::has_own_session(&sandbox.policy) {
        rustix::process::setsid().map_err(SandboxError::confine("a session of its own"))?;
    }
    Ok(())
}

/// Starts the program, which still needs a writable `proc`. One byte comes out of the descriptor if it could not be.
fn start(sandbox: &Sandbox, proc: OwnedFd) -> Result<(Pid, OwnedFd), SandboxError> {
    let (failure, report) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(SandboxError::call("pipe"))?;
    if let Some(child) = syscalls::fork().map_err(SandboxError::call("fork"))? {
        return Ok((child, failure));
    }
    let error = become_program(sandbox, &proc);
    crate::print_error(&error);
    // A failure is ignored: no process is left to report it to.
    let _ = rustix::io::write(&report, b"!");
    std::process::exit(FAILED);
}

/// Confines this process and becomes the program. It returns where that fails.
fn become_program(sandbox: &Sandbox, proc: &OwnedFd) -> SandboxError {
    let Some((program, arguments)) = sandbox.arguments.split_first() else {
        return SandboxError::Description("it names no program".to_owned());
    };
    let command = Command::new(program).args(arguments).env_clear();
    let command = sandbox
        .environment
        .iter()
        .fold(command, |command, (name, value)| command.env(name, value));
    let command = command.current_dir(&sandbox.directory);
    if let Err(error) = confinement::confine(sandbox, proc) {
        return error;
    }
    SandboxError::Start {
        program: program.clone(),
        source: command.to_std().exec(),
    }
}

/// Waits for the program, and reaps orphans of the sandbox, which become children of process 1. The end of the program
/// ends all.
fn reap(child: Pid) -> Result<WaitStatus, SandboxError> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((id, status))) if id == child => return Ok(status),
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

fn ending(status: WaitStatus) -> Termination {
    let exited = status.exit_status().map(Termination::Exited);
    let signalled = || status.terminating_signal().map(Termination::Signalled);
    exited.or_else(signalled).unwrap_or(Termination::Failed)
}
