//! Checks of the kernel's version, the architecture, processors, memory and open files.

use std::env::consts::ARCH;

use basalt_release::Arch;
use rustix::process::Resource;

use super::Context;
use super::report::{BUILDING, CheckFinding, CheckStatus, RUNNING};
use crate::memory::Memory;

const KERNEL: &str = "kernel";
const CORES: &str = "processors";
const MEMORY: &str = "memory";
const FILES: &str = "open files";

/// Oldest kernel that the sandbox works with: `mount_setattr`, `openat2`, overlayfs in user namespaces with `userxattr`.
const OLDEST: (u32, u32) = (5, 15);
/// MiB of the largest build (kubernetes in distro/packages/resources.toml), of which builds may use three quarters.
const COMFORTABLE: u64 = 8000;
/// MiB of one node of `up` (2048) with the control plane beside it.
const LEAST: u64 = 3500;
/// Open files that a root of several hundred layers needs.
const LAYERS: u64 = 1024;

/// Examines version and architecture of the kernel.
pub fn kernel(_: &Context) -> Vec<CheckFinding> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    vec![assess_kernel(&release, ARCH)]
}

/// Examines processors, memory and open files.
pub fn capacity(_: &Context) -> Vec<CheckFinding> {
    let files = rustix::process::getrlimit(Resource::Nofile).maximum;
    vec![
        assess_cores(basalt_schedule::cores()),
        assess_memory(&Memory::read()),
        assess_files(files),
    ]
}

fn assess_kernel(release: &str, architecture: &str) -> CheckFinding {
    let tried = "uname";
    let result = format!("Linux {release} on {architecture}");
    let wanted = Arch::X86_64.name();
    if architecture != wanted {
        return CheckFinding::new(KERNEL, CheckStatus::Failed, tried, result)
            .means(BUILDING, format!("the build tools are programs for {wanted}"))
            .help(format!("use a machine of {wanted}"));
    }
    match version(release) {
        Some(found) if found < OLDEST => {
            let (major, minor) = OLDEST;
            CheckFinding::new(KERNEL, CheckStatus::Failed, tried, result)
                .means(BUILDING, format!("sandboxes need Linux {major}.{minor} or newer"))
                .help("install a newer kernel, and boot it")
        }
        _ => CheckFinding::passed(KERNEL, tried, result),
    }
}

/// Parses the beginning of a version, such as that of `6.12.9-amd64`.
pub fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn assess_cores(cores: usize) -> CheckFinding {
    let tried = "sched_getaffinity, cpu.max";
    let finding = |status| CheckFinding::new(CORES, status, tried, format!("{cores} may be used"));
    if cores >= 2 {
        return finding(CheckStatus::Passed);
    }
    finding(CheckStatus::Warning)
        .means(
            RUNNING,
            "a node has two virtual processors, which then share one: some waits may end too early",
        )
        .help("give this machine or container two processors or more")
}

fn assess_memory(memory: &Memory) -> CheckFinding {
    let mebi = |bytes: u64| bytes / (1024 * 1024);
    let usable = mebi(memory.usable());
    let (tried, result) = match &memory.limit {
        Some(limit) if limit.bytes < memory.ram => (
            format!("cat {}", limit.file),
            format!("{usable} MiB may be used, of {} MiB", mebi(memory.ram)),
        ),
        _ => ("sysinfo, and limits of cgroups".to_owned(), format!("{usable} MiB")),
    };
    if usable >= COMFORTABLE {
        return CheckFinding::passed(MEMORY, tried, result);
    }
    let (status, meaning) = if usable >= LEAST {
        (
            CheckStatus::Warning,
            format!("the largest packages are built alone and may run out of memory below {COMFORTABLE} MiB"),
        )
    } else {
        (
            CheckStatus::Failed,
            format!("a node and its control plane need some {LEAST} MiB, the largest packages {COMFORTABLE} MiB"),
        )
    };
    let help = match &memory.limit {
        Some(limit) if limit.bytes < memory.ram => {
            format!(
                "raise the limit of the container or service, which {} holds",
                limit.file
            )
        }
        _ => "use a shared cache that has the packages (docs/build/cache.md), or a machine with more memory".to_owned(),
    };
    CheckFinding::new(MEMORY, status, tried, result)
        .means(BUILDING, meaning)
        .help(help)
}

/// Assesses the hard limit of open files; `None` is unlimited.
fn assess_files(limit: Option<u64>) -> CheckFinding {
    let tried = "ulimit -Hn";
    match limit {
        Some(limit) if limit < LAYERS => CheckFinding::new(FILES, CheckStatus::Failed, tried, limit.to_string())
            .means(
                BUILDING,
                "each package in a build's root is an open folder while the root is mounted",
            )
            .help(format!(
                "raise the hard limit to {LAYERS} or more: `nofile` in /etc/security/limits.conf"
            )),
        limit => CheckFinding::passed(
            FILES,
            tried,
            limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryLimit;

    #[test]
    fn kernels_are_assessed_by_version_and_architecture() {
        for (release, architecture, status) in [
            ("6.12.9-amd64", "x86_64", CheckStatus::Passed),
            ("5.15.0-91-generic", "x86_64", CheckStatus::Passed),
            ("5.10.0", "x86_64", CheckStatus::Failed),
            ("4.18.0-553.el8", "x86_64", CheckStatus::Failed),
            ("6.12.9", "aarch64", CheckStatus::Failed),
            // Nothing is concluded from what is not understood: the sandbox is tried anyhow.
            ("custom", "x86_64", CheckStatus::Passed),
        ] {
            assert_eq!(
                assess_kernel(release, architecture).status,
                status,
                "{release} {architecture}"
            );
        }
    }

    #[test]
    fn versions_are_parsed() {
        for (text, parsed) in [
            ("6.12.9-amd64", Some((6, 12))),
            ("1.95.0 (0123456 2026-04-01)", Some((1, 95))),
            ("1.98.0-nightly", Some((1, 98))),
            ("6", None),
            ("", None),
        ] {
            assert_eq!(version(text), parsed, "{text}");
        }
    }

    #[test]
    fn memory_is_assessed_by_what_may_be_used() {
        for (ram, limit, status) in [
            (16_000, None, CheckStatus::Passed),
            (16_000, Some(6_000), CheckStatus::Warning),
            (16_000, Some(2_000), CheckStatus::Failed),
            (16_000, Some(64_000), CheckStatus::Passed),
            (2_000, None, CheckStatus::Failed),
        ] {
            let mebi = 1024 * 1024;
            let limit = limit.map(|limit: u64| MemoryLimit {
                bytes: limit * mebi,
                file: "/sys/fs/cgroup/memory.max".into(),
            });
            let memory = Memory { ram: ram * mebi, limit };
            let finding = assess_memory(&memory);
            assert_eq!(finding.status, status, "{memory:?}");
            assert_eq!(finding.help.is_some(), status != CheckStatus::Passed);
        }
    }

    #[test]
    fn cores_and_open_files_have_lower_bounds() {
        assert_eq!(assess_cores(1).status, CheckStatus::Warning);
        assert_eq!(assess_cores(2).status, CheckStatus::Passed);
        assert_eq!(assess_files(Some(256)).status, CheckStatus::Failed);
        assert_eq!(assess_files(Some(4096)).status, CheckStatus::Passed);
        assert_eq!(assess_files(None).status, CheckStatus::Passed);
    }
}
