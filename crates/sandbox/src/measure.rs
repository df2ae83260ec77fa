//! Resource use of a sandbox's processes, measured by process 1 from its `/proc`.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;

use crate::outcome::Sender;
use crate::report::{FAILED, Termination};
use crate::{Limit, LimitReached, Mount, Sandbox, SandboxLimits};

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

/// Starts a thread that measures, if there is a limit or a report. Reaching a limit ends this process and so the
/// sandbox.
pub(crate) fn start(sandbox: &Sandbox, sender: Arc<Sender>) {
    let limits = sandbox.limits;
    if limits.memory.is_none() && limits.processes.is_none() && sandbox.report.is_none() {
        return;
    }
    let folders = folders_in_memory(sandbox);
    std::thread::spawn(move || {
        loop {
            let (mut memory, processes) = processes();
            memory += folders.iter().map(used_on).sum::<u64>();
            if limits.memory.is_some_and(|limit| memory > limit) {
                // Pages that processes share were counted more than once.
                memory = exact_memory() + folders.iter().map(used_on).sum::<u64>();
            }
            sender.measured(memory, processes);
            if let Some(reached) = reached(&limits, memory, processes) {
                sender.send(Termination::Limit(reached));
                std::process::exit(FAILED);
            }
            std::thread::sleep(pause(&limits, memory, processes));
        }
    });
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

/// The bytes used on the filesystem of a folder.
fn used_on(folder: &Utf8PathBuf) -> u64 {
    rustix::fs::statvfs(folder.as_std_path())
        .map(|status| {
            status
                .f_blocks
                .saturating_sub(status.f_bfree)
                .saturating_mul(status.f_frsize)
        })
        .unwrap_or_default()
}

/// The processes of our PID namespace but ourselves, added up: bytes of memory, and threads.
fn processes() -> (u64, u64) {
    let mut sum = (0, 0);
    for id in ids() {
        // One that has ended meanwhile uses nothing.
        let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let process = parse_status(&text);
        sum.0 += process.memory;
        sum.1 += process.threads;
    }
    sum
}

fn ids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|id| *id != 1)
}

/// As [`processes`], but with each page counted once. It costs the kernel a walk over all of it.
fn exact_memory() -> u64 {
    ids()
        .map(|id| fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default())
        .map(|text| kibibytes(&text, "Pss_Anon") + kibibytes(&text, "Pss_Shmem"))
        .sum()
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
