//! The first stage: namespaces, the second stage as their process 1, the limits that need the host's view, the report.

use std::ffi::OsString;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use basalt_process::Command;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use rustix::process::Signal;
use rustix::thread::UnshareFlags;

use crate::disk::{self, Measured};
use crate::outcome::Outcome;
use crate::report::{FAILED, Termination};
use crate::{
    ConfinementLayer, INIT, Limit, LimitReached, Mount, Network, Sandbox, SandboxError, SandboxReport, inherited,
    namespace, rlimits, syscalls,
};

/// Enters the namespaces, runs the second stage, and returns the exit status that tells how it ended.
///
/// The argument is the number of the inherited descriptor with the description.
pub(crate) fn run(arguments: &[OsString]) -> Result<i32, SandboxError> {
    let began = Instant::now();
    let description = inherited::descriptor(arguments.first())?;
    let sandbox = inherited::read(&description)?;
    die_with_owner(&sandbox)?;
    leave_groups();
    rlimits::raise_open_files()?;
    namespace::enter_first(namespaces(&sandbox))?;
    // A change of credentials has taken the signal away again.
    die_with_owner(&sandbox)?;
    let mut watched = Watched {
        disk: Measured::new(&sandbox)?,
        sandbox: &sandbox,
        began,
    };
    let (socket, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(SandboxError::call("socketpair"))?;
    let mut init = start(&sandbox, &description, &theirs)?;
    drop((description, theirs));
    let outcome = watched.wait(&socket, &mut init);
    init.wait().map_err(start_failed)?;
    let report = watched.report(outcome);
    if let Termination::Limit(reached) = report.ended {
        crate::print_error(&SandboxError::Limit(reached));
    }
    if let Some(path) = &sandbox.report {
        report.write(path)?;
    }
    Ok(report.ended.code())
}

/// Ends with the process that started us, which may have ended already.
fn die_with_owner(sandbox: &Sandbox) -> Result<(), SandboxError> {
    if !sandbox.policy.is_enforced(ConfinementLayer::ParentDeath) {
        return Ok(());
    }
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(SandboxError::call("prctl"))?;
    let parent = rustix::process::getppid().map(|id| id.as_raw_nonzero().get().unsigned_abs());
    if parent != Some(sandbox.owner) {
        std::process::exit(FAILED);
    }
    Ok(())
}

/// Leaves the supplementary groups of root, which programs see and by which they may read files of the host. Without
/// the privilege for it they are kept: an ordinary user's show as the overflow group (65534).
fn leave_groups() {
    if rustix::process::geteuid().is_root()
        && let Err(error) = rustix::thread::set_thread_groups(&[])
    {
        tracing::debug!(%error, "the supplementary groups are kept");
    }
}

fn namespaces(sandbox: &Sandbox) -> UnshareFlags {
    let mut flags = UnshareFlags::NEWUTS;
    flags.set(UnshareFlags::NEWNET, sandbox.network == Network::None);
    flags.set(
        UnshareFlags::NEWPID,
        sandbox.policy.is_enforced(ConfinementLayer::ProcessNamespace),
    );
    flags.set(
        UnshareFlags::NEWIPC,
        sandbox.policy.is_enforced(ConfinementLayer::IpcNamespace),
    );
    flags
}

/// Starts the second stage, which inherits two descriptors.
fn start(sandbox: &Sandbox, description: &OwnedFd, socket: &OwnedFd) -> Result<Child, SandboxError> {
    for descriptor in [description, socket] {
        rustix::io::fcntl_setfd(descriptor, FdFlags::empty()).map_err(SandboxError::call("fcntl"))?;
    }
    let mut command = Command::new("/proc/self/exe")
        .arg(INIT)
        .arg(description.as_raw_fd().to_string())
        .arg(socket.as_raw_fd().to_string());
    if sandbox.policy.is_enforced(ConfinementLayer::Environment) {
        command = command.env_clear();
    }
    command.to_std().spawn().map_err(start_failed)
}

fn start_failed(source: std::io::Error) -> SandboxError {
    SandboxError::Start {
        program: "/proc/self/exe".to_owned(),
        source,
    }
}

/// The sandbox as it is seen from outside.
struct Watched<'a> {
    sandbox: &'a Sandbox,
    began: Instant,
    disk: Measured,
}

impl Watched<'_> {
    /// Waits for the message of process 1 or for its end, and for the limits that are measured here.
    fn wait(&mut self, socket: &OwnedFd, init: &mut Child) -> Outcome {
        let failed = |ending| Outcome {
            ending,
            peak_memory: 0,
            peak_processes: 0,
        };
        loop {
            if let Some(ending) = self.ending() {
                // The end of process 1 is the end of all processes of its namespace. Where it sends a message, it is
                // ending by itself, and may still have to say why.
                drop(init.kill());
                return failed(ending);
            }
            let mut polled = [PollFd::new(socket, PollFlags::IN)];
            let pause = self.pause().map(timespec);
            match poll(&mut polled, pause.as_ref()) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(_) => return failed(Termination::Failed),
            }
            let mut text = vec![0; 4096];
            let length = rustix::net::recv(socket, &mut text, RecvFlags::empty()).map_or(0, |(length, _)| length);
            text.truncate(length);
            let mut outcome: Outcome = serde_json::from_slice(&text).unwrap_or_else(|_| failed(Termination::Failed));
            if let Termination::Exited(_) = outcome.ending {
                let used = self.disk.used_at_the_end();
                outcome.ending = self.ending_by_disk(used).unwrap_or(outcome.ending);
            }
            return outcome;
        }
    }

    /// End of the sandbox at a limit: it was reached, or cannot be measured.
    fn ending(&mut self) -> Option<Termination> {
        let limits = &self.sandbox.limits;
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let time = limits.wall_time.map(milliseconds);
        if let Some(reached) = LimitReached::check(Limit::WallTime, time, milliseconds(self.began.elapsed())) {
            return Some(Termination::Limit(reached));
        }
        let used = self.disk.used();
        self.ending_by_disk(used)
    }

    /// End of the sandbox where it uses too much of the disk, or nobody knows how much.
    fn ending_by_disk(&self, used: std::io::Result<u64>) -> Option<Termination> {
        match used {
            Ok(used) => LimitReached::check(Limit::Disk, self.sandbox.limits.disk, used).map(Termination::Limit),
            Err(source) => {
                crate::print_error(&SandboxError::Measure { source });
                Some(Termination::Failed)
            }
        }
    }

    /// Time until the next limit is due to be checked; `None` where there is no limit.
    fn pause(&self) -> Option<Duration> {
        let limits = &self.sandbox.limits;
        let millisecond = Duration::from_millis(1);
        let time = limits
            .wall_time
            .map(|limit| limit.saturating_sub(self.began.elapsed()) + millisecond);
        let disk = limits.disk.map(|_| self.disk.pause());
        time.into_iter().chain(disk).min()
    }

    fn report(&self, outcome: Outcome) -> SandboxReport {
        let usage = syscalls::usage_of_children();
        SandboxReport {
            ended: outcome.ending,
            wall_time: self.began.elapsed(),
            user_time: usage.user,
            system_time: usage.system,
            peak_memory: outcome.peak_memory.max(usage.largest),
            peak_processes: outcome.peak_processes,
            peak_disk: self.disk.peak(),
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

impl Measured {
    /// The folders of the host that the sandbox writes to, and what its caller writes for it.
    fn new(sandbox: &Sandbox) -> Result<Self, SandboxError> {
        let scratch = sandbox.root.scratch.iter().map(|scratch| scratch.join("upper"));
        let binds = sandbox.mounts.iter().filter_map(|mount| match mount {
            Mount::Bind {
                from, writable: true, ..
            } => Some(from.clone()),
            _ => None,
        });
        let counted = sandbox.counted.iter().cloned();
        disk::Measured::of(scratch.chain(binds).chain(counted).collect(), sandbox.limits.disk)
            .map_err(|source| SandboxError::Measure { source })
    }
}
