//! Resource use of a sandbox, measured by process 1: its processes, its files in memory, and what the kernel keeps for
//! it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Mode, OFlags};

use crate::outcome::Sender;
use crate::processes::{self, CountedFiles};
use crate::report::{FAILED, Termination};
use crate::sockets::SocketSampler;
use crate::{Limit, LimitReached, Mount, Network, Sandbox, SandboxError, SandboxLimits, system_v};

/// Interval of measurements while more than a quarter of a limit is used.
const OFTEN: Duration = Duration::from_millis(50);
/// Interval of measurements otherwise.
const SELDOM: Duration = Duration::from_millis(250);

/// Measurements of a sandbox, whose filesystems in memory are opened before the program starts: it may rename folders
/// on the way to them.
pub(crate) struct Sampler {
    limits: SandboxLimits,
    /// Folders, one on each filesystem whose files are in memory.
    folders: Vec<OwnedFd>,
    /// Files that are counted whether a process maps them or not.
    counted: CountedFiles,
    /// None where the sockets are those of the caller's network.
    sockets: Option<SocketSampler>,
}

impl Sampler {
    /// None where nothing is to be measured: there is neither a limit nor a report.
    ///
    /// # Errors
    /// When a folder of the sandbox cannot be opened.
    pub(crate) fn new(sandbox: &Sandbox) -> Result<Option<Self>, SandboxError> {
        let limits = sandbox.limits;
        if limits.memory.is_none() && limits.processes.is_none() && sandbox.report.is_none() {
            return Ok(None);
        }
        let folders = folders_in_memory(sandbox);
        let folders = folders.iter().map(|path| open_folder(path));
        let folders = folders.collect::<Result<Vec<_>, _>>()?;
        let cannot = |source| SandboxError::Measure { source };
        let sockets = (sandbox.network == Network::None).then(SocketSampler::new);
        Ok(Some(Self {
            limits,
            counted: CountedFiles::on(&folders).map_err(cannot)?,
            sockets: sockets.transpose().map_err(cannot)?,
            folders,
        }))
    }

    /// Starts a thread that measures. Reaching a limit ends this process and so the sandbox; so does a failure to
    /// measure where there are limits, which would not hold.
    pub(crate) fn start(self, sender: Arc<Sender>) {
        std::thread::spawn(move || {
            loop {
                let pause = match self.sample() {
                    Ok((memory, processes)) => {
                        sender.measured(memory, processes);
                        if let Some(reached) = reached(&self.limits, memory, processes) {
                            sender.send(Termination::Limit(reached));
                            std::process::exit(FAILED);
                        }
                        pause(&self.limits, memory, processes)
                    }
                    // Only the report lacks this measurement.
                    Err(_) if self.limits.memory.is_none() && self.limits.processes.is_none() => SELDOM,
                    Err(source) => {
                        crate::print_error(&SandboxError::Measure { source });
                        sender.send(Termination::Failed);
                        std::process::exit(FAILED);
                    }
                };
                std::thread::sleep(pause);
            }
        });
    }

    /// Bytes of memory, and the number of processes and threads.
    fn sample(&self) -> io::Result<(u64, u64)> {
        let processes = processes::sum()?;
        let mut memory = processes.memory.saturating_add(self.outside_of_processes()?);
        if self.limits.memory.is_some_and(|limit| memory > limit) {
            // Pages that processes share, and files that they map, were counted more than once.
            let exact = processes::exact_memory(&self.counted)?;
            memory = exact.saturating_add(self.outside_of_processes()?);
        }
        Ok((memory, processes.threads))
    }

    /// Bytes of memory that is not a process's: of files in memory, of System V objects, of sockets.
    fn outside_of_processes(&self) -> io::Result<u64> {
        let enough = self.limits.memory.unwrap_or(u64::MAX);
        let mut sum = system_v::memory()?;
        for folder in &self.folders {
            sum = sum.saturating_add(used_on(folder)?);
        }
        let sockets = self.sockets.as_ref().map(|sockets| sockets.memory(enough));
        Ok(sum.saturating_add(sockets.transpose()?.unwrap_or_default()))
    }
}

fn reached(limits: &SandboxLimits, memory: u64, processes: u64) -> Option<LimitReached> {
    LimitReached::check(Limit::Processes, limits.processes, processes)
        .or_else(|| LimitReached::check(Limit::Memory, limits.memory, memory))
}

/// Nearer to a limit, less time until the next look.
fn pause(limits: &SandboxLimits, memory: u64, processes: u64) -> Duration {
    let near = |limit: Option<u64>, used: u64| limit.is_some_and(|limit| used > limit / 4);
    if near(limits.memory, memory) || near(limits.processes, processes) {
        OFTEN
    } else {
        SELDOM
    }
}

/// The folders of the sandbox whose files are in memory.
fn folders_in_memory(sandbox: &Sandbox) -> Vec<Utf8PathBuf> {
    let mounted = sandbox.mounts.iter().filter_map(|mount| match mount {
        Mount::Memory { to } => Some(to.clone()),
        _ => None,
    });
    let root = sandbox.root.scratch.is_none().then(|| Utf8PathBuf::from("/"));
    let devices = ["/dev", "/dev/shm"].map(Utf8PathBuf::from);
    mounted.chain(root).chain(devices).collect()
}

fn open_folder(path: &Utf8Path) -> Result<OwnedFd, SandboxError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path.as_std_path(), flags, Mode::empty()).map_err(|source| SandboxError::path(path)(source.into()))
}

/// The bytes used on the filesystem of a folder.
fn used_on(folder: &OwnedFd) -> io::Result<u64> {
    let status = rustix::fs::fstatvfs(folder)?;
    let blocks = status.f_blocks.saturating_sub(status.f_bfree);
    Ok(blocks.saturating_mul(status.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_more_often_near_a_limit() {
        let limits = SandboxLimits {
            memory: Some(1000),
            ..SandboxLimits::default()
        };
        assert_eq!(pause(&limits, 100, 9), SELDOM);
        assert_eq!(pause(&limits, 600, 9), OFTEN);
        assert_eq!(pause(&SandboxLimits::default(), u64::MAX, u64::MAX), SELDOM);
    }

    #[test]
    fn processes_are_named_before_memory() {
        let limits = SandboxLimits {
            memory: Some(1),
            processes: Some(1),
            ..SandboxLimits::default()
        };
        assert_eq!(
            reached(&limits, 2, 2).map(|reached| reached.limit),
            Some(Limit::Processes)
        );
        assert_eq!(reached(&limits, 2, 1).map(|reached| reached.limit), Some(Limit::Memory));
        assert_eq!(reached(&limits, 1, 1), None);
    }
}
