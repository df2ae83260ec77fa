//! Causes of the failure of a program in a sandbox, by the sandbox's report.

use std::collections::VecDeque;
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

/// Last lines of an output that a stage of the sandbox may have written about its own failure. They need not be the last
/// of the output: what the program had written before may be read after them.
#[derive(Debug, Default)]
pub(crate) struct StageLines(VecDeque<String>);

impl StageLines {
    /// Beginning of these lines.
    const BEGINNING: &str = "sandbox: ";
    /// Number of lines that are kept.
    const KEPT: usize = 20;
    /// Most characters that are kept of a line.
    const LONGEST: usize = 4000;

    /// Reads the next line of the output.
    pub(crate) fn line(&mut self, line: &str) {
        if line.starts_with(Self::BEGINNING) {
            if self.0.len() == Self::KEPT {
                self.0.pop_front();
            }
            self.0.push_back(line.chars().take(Self::LONGEST).collect());
        }
    }
}

/// Tells the cause of a failure, with the report of the sandbox and the lines of its stages; without any of these, the
/// last lines of the output count. A sandbox that could not be entered leaves no report.
pub(crate) fn cause(
    error: ProcessError,
    report: Result<Option<SandboxReport>, SandboxError>,
    stages: &StageLines,
) -> Cause {
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
        Ok(Some(Termination::Failed) | None) if stages.0.is_empty() => Cause::Other(sandbox_failed(&tail)),
        Ok(Some(Termination::Failed) | None) => {
            let lines: Vec<String> = stages.0.iter().cloned().collect();
            Cause::Other(sandbox_failed(&lines))
        }
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
            let cause = match cause(failed(&words), report, &StageLines::default()) {
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
            let Cause::Program(error) = cause(failed(&["last words"]), ended(end), &StageLines::default()) else {
                panic!("the program failed")
            };
            let text = error.to_string();
            assert!(text.starts_with(expected) && text.contains("last words"), "{text}");
        }
    }

    #[test]
    fn an_interruption_is_one_whatever_the_report_says() {
        for report in [Ok(None), ended(Termination::Failed)] {
            let cause = cause(ProcessError::Interrupted, report, &StageLines::default());
            assert!(
                matches!(&cause, Cause::Other(error) if error.is_interrupt()),
                "{cause:?}"
            );
        }
    }

    #[test]
    fn a_full_disk_is_told() {
        let words = ["sandbox: cannot make `/store/tmp/1/report.json`: No space left on device (os error 28)"];
        let help = |tail: &[&str], stages: &StageLines| {
            let Cause::Other(error) = cause(failed(tail), Ok(None), stages) else {
                panic!("the sandbox failed")
            };
            error.help().map(|help| help.to_string()).unwrap_or_default()
        };
        let told = help(&words, &StageLines::default());
        assert!(told.contains("./basalt clean"), "{told}");
        // The words of a stage, and behind them what the program had written before.
        let mut stages = StageLines::default();
        stages.line(words[0]);
        for number in 0..1000 {
            stages.line(&format!("compiling {number}"));
        }
        let told = help(&["compiling 999"], &stages);
        assert!(told.contains("./basalt clean"), "{told}");
        for _ in 0..1000 {
            stages.line("sandbox: one of many");
        }
        assert_eq!(stages.0.len(), StageLines::KEPT);
    }
}
