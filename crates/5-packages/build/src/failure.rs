//! Causes of the failure of a program in a sandbox, by the sandbox's report.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use basalt_process::ProcessError;
use basalt_sandbox::{LimitReached, SandboxError, SandboxReport, Termination};

use crate::BuildError;
use crate::error::full_disk;

/// Cause of a failure.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The program, which ended with another exit status than 0.
    Program(ProcessError),
    /// A limit that the program reached.
    Limit(LimitReached),
    /// The sandbox, which could not be set up or was ended from outside; or an interruption.
    Other(BuildError),
}

/// Tells the cause of a failure, with the report of the sandbox. A sandbox that could not be entered leaves none.
pub(crate) fn cause(error: ProcessError, report: Result<Option<SandboxReport>, SandboxError>) -> Cause {
    let ProcessError::Failed {
        program,
        command,
        status,
        tail,
    } = error
    else {
        return Cause::Other(error.into());
    };
    let failed = |status, tail| {
        Cause::Program(ProcessError::Failed {
            program,
            command,
            status,
            tail,
        })
    };
    match report.map(|report| report.map(|report| report.ended)) {
        Ok(Some(Termination::Limit(reached))) => Cause::Limit(reached),
        Ok(Some(Termination::Exited(_))) => failed(status, tail),
        // The sandbox itself ended with a status that only encodes the signal.
        Ok(Some(Termination::Signalled(signal))) => failed(ExitStatus::from_raw(signal), tail),
        Ok(Some(Termination::Failed) | None) => Cause::Other(sandbox_failed(&tail)),
        Err(unreadable) => Cause::Other(unreadable.into()),
    }
}

/// Error of a sandbox that failed, from the last lines that it wrote.
fn sandbox_failed(tail: &[String]) -> BuildError {
    let error = match SandboxError::of_stages(tail) {
        SandboxError::Failed { message, help: None } => SandboxError::Failed {
            message,
            help: full_disk(tail),
        },
        error => error,
    };
    error.into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use basalt_sandbox::Limit;
    use miette::Diagnostic as _;

    use super::*;

    fn failed(tail: &[&str]) -> ProcessError {
        ProcessError::Failed {
            program: "rpmbuild".to_owned(),
            command: "rpmbuild -bb x.spec".to_owned(),
            status: ExitStatus::from_raw(125 << 8),
            tail: tail.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    fn ended(ended: Termination) -> Result<Option<SandboxReport>, SandboxError> {
        Ok(Some(SandboxReport {
            ended,
            wall_time: Duration::ZERO,
            user_time: Duration::ZERO,
            system_time: Duration::ZERO,
            peak_memory: 0,
            peak_processes: 0,
            peak_disk: 0,
        }))
    }

    #[test]
    fn the_program_is_blamed_for_its_own_end_only() {
        let reached = LimitReached {
            limit: Limit::Memory,
            value: 1,
            measured: 2,
        };
        // The words are no proof: any program may write them.
        let words = ["sandbox: the kernel refuses new namespaces"];
        for (report, expected) in [
            (ended(Termination::Exited(1)), "program"),
            (ended(Termination::Signalled(9)), "program"),
            (ended(Termination::Limit(reached)), "limit"),
            (ended(Termination::Failed), "sandbox"),
            (Ok(None), "sandbox"),
        ] {
            let shown = format!("{report:?}");
            let cause = match cause(failed(&words), report) {
                Cause::Program(_) => "program",
                Cause::Limit(_) => "limit",
                Cause::Other(BuildError::Sandbox(SandboxError::Failed { .. })) => "sandbox",
                Cause::Other(_) => "another",
            };
            assert_eq!(cause, expected, "{shown}");
        }
    }

    #[test]
    fn a_signal_is_named() {
        for (end, expected) in [
            (Termination::Exited(125), "`rpmbuild` failed (exit status 125)"),
            (Termination::Signalled(9), "`rpmbuild` failed (killed by signal 9)"),
        ] {
            let Cause::Program(error) = cause(failed(&["last words"]), ended(end)) else {
                panic!("the program failed")
            };
            let text = error.to_string();
            assert!(text.starts_with(expected) && text.contains("last words"), "{text}");
        }
    }

    #[test]
    fn an_interruption_is_one_whatever_the_report_says() {
        for report in [Ok(None), ended(Termination::Failed)] {
            let cause = cause(ProcessError::Interrupted, report);
            assert!(
                matches!(&cause, Cause::Other(error) if error.is_interrupt()),
                "{cause:?}"
            );
        }
    }

    #[test]
    fn a_full_disk_is_told() {
        let words = ["sandbox: cannot make `/store/tmp/1/report.json`: No space left on device (os error 28)"];
        let Cause::Other(error) = cause(failed(&words), Ok(None)) else {
            panic!("the sandbox failed")
        };
        let help = error.help().map(|help| help.to_string()).unwrap_or_default();
        assert!(help.contains("./basalt clean"), "{help}");
    }
}
