//! Limits of what one sandbox may use.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits of a sandbox. None applies unless set.
///
/// They need no privileges and no delegated cgroup: the first two stages of the sandbox measure, and end it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxLimits {
    /// Time from the start of the sandbox to its end.
    pub wall_time: Option<Duration>,
    /// Bytes of memory of all processes together, with the files in memory (tmpfs).
    pub memory: Option<u64>,
    /// Processes and threads at one time.
    pub processes: Option<u64>,
    /// Bytes on disk in the folders that are writable, the scratch of the root and binds, and in what is
    /// [counted](crate::Sandbox::count) besides. A file or folder counts for 4 KiB at least.
    pub disk: Option<u64>,
}

/// One of the [`SandboxLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// In milliseconds.
    WallTime,
    /// In bytes.
    Memory,
    /// A number.
    Processes,
    /// In bytes.
    Disk,
}

/// A limit that was reached, which ended the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitReached {
    /// The limit.
    pub limit: Limit,
    /// Configured value, in the unit of the limit.
    pub value: u64,
    /// Value measured when the sandbox was ended, in the same unit.
    pub measured: u64,
}

impl LimitReached {
    /// A limit that the measured value exceeds.
    pub(crate) fn check(limit: Limit, value: Option<u64>, measured: u64) -> Option<Self> {
        value
            .filter(|value| measured > *value)
            .map(|value| Self { limit, value, measured })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::WallTime => "time",
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::Disk => "disk space",
        })
    }
}

impl fmt::Display for LimitReached {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: u64| match self.limit {
            Limit::WallTime => format!("{}.{:03} s", value / 1000, value % 1000),
            Limit::Memory | Limit::Disk => format!("{} MiB", value >> 20),
            Limit::Processes => value.to_string(),
        };
        let (limit, value, measured) = (self.limit, shown(self.value), shown(self.measured));
        write!(formatter, "the limit of {limit} was reached: {measured} of {value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_reached_above_its_value() {
        assert_eq!(LimitReached::check(Limit::Memory, None, u64::MAX), None);
        assert_eq!(LimitReached::check(Limit::Memory, Some(5), 5), None);
        let reached = LimitReached::check(Limit::Processes, Some(5), 6).expect("reached");
        assert_eq!(reached.to_string(), "the limit of processes was reached: 6 of 5");
    }

    #[test]
    fn limits_are_shown_in_their_units() {
        for (limit, value, shown) in [
            (Limit::WallTime, 1_500, "1.500 s"),
            (Limit::Memory, 64 << 20, "64 MiB"),
            (Limit::Disk, 1 << 30, "1024 MiB"),
        ] {
            let reached = LimitReached {
                limit,
                value,
                measured: value,
            };
            assert!(
                reached.to_string().ends_with(&format!("{shown} of {shown}")),
                "{reached}"
            );
        }
    }
}
