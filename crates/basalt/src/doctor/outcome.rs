//! Outcomes of the programs that checks run.

use basalt_process::{Output, ProcessError, chain};

/// Description of a program that did not end in its time.
pub const TIMED_OUT: &str = "no end within the time limit";

/// Outcome of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramOutcome {
    /// The program succeeded, and wrote this to standard output.
    Succeeded(String),
    /// There is no such program.
    Missing,
    /// The program did not end in its time.
    TimedOut,
    /// The program failed, with these last lines.
    Failed(String),
}

impl ProgramOutcome {
    /// Describes a failure; `None` for success.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Succeeded(_) => None,
            Self::Missing => Some("there is no such program"),
            Self::TimedOut => Some(TIMED_OUT),
            Self::Failed(text) => Some(text),
        }
    }

    /// Returns `true` if the program succeeded.
    pub fn succeeded(&self) -> bool {
        self.failure().is_none()
    }
}

impl From<Result<Output, ProcessError>> for ProgramOutcome {
    fn from(result: Result<Output, ProcessError>) -> Self {
        match result {
            Ok(output) => Self::Succeeded(output.text()),
            Err(ProcessError::Missing { .. }) => Self::Missing,
            Err(ProcessError::TimedOut { .. }) => Self::TimedOut,
            Err(ProcessError::Failed { status, tail, .. }) if tail.is_empty() => Self::Failed(status.to_string()),
            Err(ProcessError::Failed { tail, .. }) => Self::Failed(tail.join("\n")),
            Err(error) => Self::Failed(chain(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use basalt_process::Command;

    use super::*;

    #[test]
    fn ends_of_programs_are_told_apart() {
        let run = |script: &str| {
            let command = Command::new("sh").args(["-c", script]);
            ProgramOutcome::from(command.time_limit(Duration::from_secs(2)).output())
        };
        assert_eq!(run("echo 1.2; echo x >&2"), ProgramOutcome::Succeeded("1.2".to_owned()));
        assert_eq!(run("echo no >&2; exit 3"), ProgramOutcome::Failed("no".to_owned()));
        assert!(matches!(run("exit 3"), ProgramOutcome::Failed(text) if text.contains('3')));
        assert_eq!(run("sleep 60"), ProgramOutcome::TimedOut);
        assert_eq!(
            ProgramOutcome::from(Command::new("no-such-program-here").output()),
            ProgramOutcome::Missing
        );
    }
}
