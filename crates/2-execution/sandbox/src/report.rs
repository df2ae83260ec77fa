//! The report of a sandbox: how it ended and what it used.

use std::time::Duration;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::{LimitReached, SandboxError};

/// Outcome and resource use of a sandbox, in the JSON file that [`Sandbox::report`](crate::Sandbox::report) names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SandboxReport {
    /// End of the sandbox.
    pub ended: Termination,
    /// Time from the start of the sandbox to its end.
    pub wall_time: Duration,
    /// Processor time in user mode, of all processes.
    pub user_time: Duration,
    /// Processor time in the kernel, of all processes.
    pub system_time: Duration,
    /// The largest memory use that was seen, in bytes: of all processes together where it was sampled, and at least
    /// that of the largest process (its resident set).
    pub peak_memory: u64,
    /// The most processes and threads that were seen at one time.
    pub peak_processes: u64,
    /// The most bytes that were seen on disk, where there is a limit.
    pub peak_disk: u64,
}

/// End of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Termination {
    /// The program ended with this exit status.
    Exited(i32),
    /// A signal ended the program.
    Signalled(i32),
    /// A limit was reached, and everything in the sandbox was ended.
    Limit(LimitReached),
    /// The sandbox could not be made, or its process 1 was killed; standard error has the reason.
    Failed,
}

/// The exit status of the sandbox where it failed or reached a limit.
pub const FAILED: i32 = 125;

impl SandboxReport {
    /// Reads the report of a sandbox that has ended. There is none where the sandbox itself was killed.
    ///
    /// # Errors
    /// When there is a file that cannot be read or is no report.
    pub fn read(path: &Utf8Path) -> Result<Option<Self>, SandboxError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SandboxError::path(path)(error)),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|source| SandboxError::Report {
                path: path.to_owned(),
                source,
            })
    }

    /// The limit that ended the sandbox, if one did.
    pub fn limit(&self) -> Option<LimitReached> {
        match self.ended {
            Termination::Limit(reached) => Some(reached),
            _ => None,
        }
    }

    /// Writes it under another name and renames it into place.
    pub(crate) fn write(&self, path: &Utf8Path) -> Result<(), SandboxError> {
        let partial = path.with_extension("partial");
        let text = serde_json::to_vec(self).map_err(|source| SandboxError::Report {
            path: path.to_owned(),
            source,
        })?;
        std::fs::write(&partial, text)
            .and_then(|()| std::fs::rename(&partial, path))
            .map_err(SandboxError::path(path))
    }
}

impl Termination {
    /// Exit status of the sandbox, as shells encode it: 128 and the signal's number for a signal.
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Signalled(signal) => 128 + signal,
            Self::Limit(_) | Self::Failed => FAILED,
        }
    }
}
