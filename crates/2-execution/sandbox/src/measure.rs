//! Resource use of a sandbox's processes, measured by process 1 from its `/proc`.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Mode, OFlags};

use crate::outcome::Sender;
use crate::report::{FAILED, Termination};
use crate::{Limit, LimitReached, Mount, Sandbox, SandboxError, SandboxLimits};

/// Interval of measurements while more than a quarter of a limit is used.
const OFTEN: Duration = Duration::from_millis(50);
/// Interval of measurements otherwise.
const SELDOM: Duration = Duration::from_millis(250);

/// Figures of one process from `/proc/<id>/status`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Process {
    /// Bytes of memory that belong to no file: anonymous and shared.
    memory: u64,
    threads: u64,
}

/// Measurements of a sandbox, whose filesystems in memory are opened before the program starts: it may rename folders
/// on the way to them.
pub(crate) struct Sampler {
    limits: SandboxLimits,
    /// Folders, one on each filesystem whose files are in memory.
    folders: Vec<OwnedFd>,
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
        Ok(Some(Self {
            limits,
            folders: folders.collect::<Result<_, _>>()?,
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
        let (mut memory, processes) = processes()?;
        memory += self.used_by_files()?;
        if self.limits.memory.is_some_and(|limit| memory > limit) {
            // Pages that processes share were counted more than once.
            memory = exact_memory()? + self.used_by_files()?;
        }
        Ok((memory, processes))
    }

    /// Bytes of files in memory.
    fn used_by_files(&self) -> io::Result<u64> {
        self.folders.iter().map(used_on).sum()
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
    mounted.chain(root).chain([Utf8PathBuf::from("/dev/shm")]).collect()
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

/// The processes of our PID namespace but ourselves, added up: bytes of memory, and threads.
fn processes() -> io::Result<(u64, u64)> {
    let mut sum = (0, 0);
    for id in ids()? {
        let process = status(id)?;
        sum.0 += process.memory;
        sum.1 += process.threads;
    }
    Ok(sum)
}

fn ids() -> io::Result<Vec<u32>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.parse::<u32>().ok());
        ids.extend(id.filter(|id| *id != 1));
    }
    Ok(ids)
}

/// As [`processes`], but with each page counted once. It costs the kernel a walk over all of it.
fn exact_memory() -> io::Result<u64> {
    ids()?.into_iter().map(exact_memory_of).sum()
}

/// Memory of a process, its part of shared pages; all of them where the kernel does not tell.
fn exact_memory_of(id: u32) -> io::Result<u64> {
    match read(id, "smaps_rollup") {
        Ok(Some(text)) => Ok(kibibytes(&text, "Pss_Anon") + kibibytes(&text, "Pss_Shmem")),
        Ok(None) | Err(_) => Ok(status(id)?.memory),
    }
}

/// Figures of a process; one that has ended meanwhile uses nothing.
fn status(id: u32) -> io::Result<Process> {
    Ok(read(id, "status")?.map_or_else(Process::default, |text| parse_status(&text)))
}

/// Text of a file of a process; none where the process has ended. A program names its processes with any bytes, which
/// are part of this text.
fn read(id: u32, file: &str) -> io::Result<Option<String>> {
    match fs::read(format!("/proc/{id}/{file}")) {
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Err(error) if has_ended(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns `true` if the error says that there is no such process any more.
fn has_ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

fn parse_status(text: &str) -> Process {
    Process {
        memory: kibibytes(text, "RssAnon") + kibibytes(text, "RssShmem"),
        threads: field(text, "Threads").unwrap_or_default(),
    }
}

/// The bytes of a field like `RssAnon:     1234 kB`.
fn kibibytes(text: &str, name: &str) -> u64 {
    field(text, name).unwrap_or_default().saturating_mul(1024)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_threads_are_read_from_the_status() {
        let text = "Name:\tRssAnon: 7\nVmRSS:\t  900 kB\nRssAnon:\t  100 kB\nRssFile:\t  700 kB\nRssShmem:\t 28 kB\nThreads:\t3\n";
        let process = parse_status(text);
        assert_eq!((process.memory, process.threads), (128 * 1024, 3));
        assert_eq!(parse_status(""), Process::default());
        assert_eq!(kibibytes("Pss_Anon:  5 kB\nPss_Shmem: x\n", "Pss_Anon"), 5120);
    }

    #[test]
    fn a_process_that_has_ended_uses_nothing() {
        // Above the largest id that a kernel gives (PID_MAX_LIMIT).
        assert_eq!(status(4_194_305).expect("no error"), Process::default());
        assert_eq!(exact_memory_of(4_194_305).expect("no error"), 0);
        assert!(has_ended(&io::Error::from_raw_os_error(libc::ESRCH)));
        assert!(!has_ended(&io::Error::from_raw_os_error(libc::EMFILE)));
    }

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
