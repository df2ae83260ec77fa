//! Resource limits of the kernel (`setrlimit(2)`) for programs in a sandbox.
//!
//! Programs read their limits, and some write into their results what follows from them: `getconf ARG_MAX` is a
//! quarter of the limit of the stack, and libtool keeps it as the longest command. So the limits are the same whoever
//! the caller is. A hard limit of the caller can only be lowered: where one is below a limit that results may depend
//! on, there is no sandbox.

use rustix::process::{Resource, Rlimit};

use crate::{SandboxError, SandboxLimits};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// RLIM_INFINITY.
const INFINITE: u64 = u64::MAX;

/// Bytes that a single file may have beyond the limit of the disk: the limit itself is measured, several times a
/// second, and named; this bound is for what writes faster than that.
const LARGEST_EXCESS: u64 = 4 * GIB;

/// Limits of one resource, in its unit of `getrlimit(2)`.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    resource: Resource,
    soft: u64,
    hard: u64,
    /// Command that sets the soft limit in a shell, where results may depend on it: a lower hard limit of the caller
    /// is an error then.
    needed: Option<&'static str>,
}

impl Wanted {
    const fn new(resource: Resource, soft: u64, hard: u64) -> Self {
        Self {
            resource,
            soft,
            hard,
            needed: None,
        }
    }

    /// The limits to set where the caller has this hard limit; none is infinite.
    fn within(self, ours: Option<u64>) -> Result<Rlimit, SandboxError> {
        let ours = ours.unwrap_or(INFINITE);
        if let Some(command) = self.needed.filter(|_| ours < self.soft) {
            return Err(SandboxError::CallerLimit { command, ours });
        }
        let hard = self.hard.min(ours);
        let finite = |value: u64| (value != INFINITE).then_some(value);
        Ok(Rlimit {
            current: finite(self.soft.min(hard)),
            maximum: finite(hard),
        })
    }
}

/// Limits that are the same in all sandboxes: what Debian gives to a user's session. The hard limits leave programs
/// what they raise for themselves: GCC its stack, Go the number of open files.
const FIXED: &[Wanted] = &[
    Wanted {
        needed: Some("ulimit -s 8192"),
        ..Wanted::new(Resource::Stack, 8 * MIB, INFINITE)
    },
    Wanted {
        needed: Some("ulimit -n 1024"),
        ..Wanted::new(Resource::Nofile, 1024, 512 * KIB)
    },
    Wanted::new(Resource::Core, 0, 0),
    Wanted::new(Resource::Memlock, 8 * MIB, 8 * MIB),
    Wanted::new(Resource::Sigpending, 4096, 4096),
    Wanted::new(Resource::Msgqueue, 800 * KIB, 800 * KIB),
    Wanted::new(Resource::Nice, 0, 0),
    Wanted::new(Resource::Rtprio, 0, 0),
    Wanted::new(Resource::Rttime, INFINITE, INFINITE),
    Wanted::new(Resource::Cpu, INFINITE, INFINITE),
    Wanted::new(Resource::As, INFINITE, INFINITE),
    Wanted::new(Resource::Data, INFINITE, INFINITE),
    Wanted::new(Resource::Rss, INFINITE, INFINITE),
    Wanted::new(Resource::Locks, INFINITE, INFINITE),
];

/// Sets the limits of this process for good. Those that belong to limits of the sandbox only stop what grows faster
/// than it is measured: reaching one makes a program fail in words of its own, so that they lie above those that end
/// the sandbox.
pub(crate) fn apply(limits: &SandboxLimits) -> Result<(), SandboxError> {
    let processes = limits.processes;
    let processes = processes.map_or(INFINITE, |processes| processes.saturating_add(processes / 4 + 16));
    let disk = limits.disk.map_or(INFINITE, |disk| disk.saturating_add(LARGEST_EXCESS));
    let variable = [
        Wanted::new(Resource::Nproc, processes, processes),
        Wanted::new(Resource::Fsize, disk, disk),
    ];
    for wanted in FIXED.iter().chain(&variable) {
        let ours = rustix::process::getrlimit(wanted.resource).maximum;
        rustix::process::setrlimit(wanted.resource, wanted.within(ours)?)
            .map_err(SandboxError::confine("resource limits"))?;
    }
    Ok(())
}

/// Lets our own stages open as many files as they may: each layer of an overlay is one, and each folder on the way to a
/// deep one. The program gets a limit of its own.
pub(crate) fn raise_open_files() -> Result<(), SandboxError> {
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    rustix::process::setrlimit(Resource::Nofile, raised).map_err(SandboxError::call("setrlimit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FILES: Wanted = Wanted {
        needed: Some("ulimit -n 1024"),
        ..Wanted::new(Resource::Nofile, 1024, 4096)
    };

    #[test]
    fn the_limits_are_the_same_above_the_wanted_ones() {
        for ours in [None, Some(4096), Some(1 << 20)] {
            let limit = OPEN_FILES.within(ours).expect("enough");
            assert_eq!((limit.current, limit.maximum), (Some(1024), Some(4096)));
        }
        let limit = OPEN_FILES.within(Some(2000)).expect("enough");
        assert_eq!((limit.current, limit.maximum), (Some(1024), Some(2000)));
    }

    #[test]
    fn a_hard_limit_that_is_too_low_is_named() {
        let error = OPEN_FILES.within(Some(1000)).expect_err("too low");
        assert!(error.to_string().contains("1000"), "{error}");
        let help = miette::Diagnostic::help(&error)
            .map(|help| help.to_string())
            .unwrap_or_default();
        assert!(help.contains("`ulimit -n 1024`"), "{help}");
    }

    #[test]
    fn what_no_result_depends_on_may_be_lower() {
        let memory = Wanted::new(Resource::As, INFINITE, INFINITE);
        let limit = memory.within(None).expect("infinite");
        assert_eq!((limit.current, limit.maximum), (None, None));
        let limit = memory.within(Some(7)).expect("lower");
        assert_eq!((limit.current, limit.maximum), (Some(7), Some(7)));
    }
}
