//! Failures of running a program.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use miette::Diagnostic;
use thiserror::Error;

/// A program could not be run, or ended badly.
#[derive(Debug, Error, Diagnostic)]
pub enum ProcessError {
    /// The program is not there.
    #[error("`{program}` is not on this machine{}", purpose.map(|purpose| format!(": it {purpose}")).unwrap_or_default())]
    #[diagnostic(code(process::missing))]
    Missing {
        /// The program's name or path.
        program: String,
        /// Purpose of the program, a verb phrase: `resolves the SDK's packages`.
        purpose: Option<&'static str>,
        /// Advice on how to install the program.
        #[help]
        help: Option<String>,
    },
    /// The program exists but could not be started.
    #[error("could not start `{program}`")]
    #[diagnostic(code(process::start), help("the command was:\n{command}"))]
    Start {
        /// The program's name or path.
        program: String,
        /// The whole command, for pasting.
        command: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The program ended with another exit status than 0, or by a signal.
    #[error("`{program}` failed ({}){}", describe(status), last_words(tail))]
    #[diagnostic(code(process::failed), help("{}", rerun_help(command)))]
    Failed {
        /// The program's name or path.
        program: String,
        /// The whole command, for pasting.
        command: String,
        /// Exit status, or the signal that ended the program.
        status: ExitStatus,
        /// The last lines it wrote.
        tail: Vec<String>,
    },
    /// The program had not ended after the time that it was given, and was ended.
    #[error("`{program}` did not end within {} s", limit.as_secs_f64())]
    #[diagnostic(code(process::timed_out), help("{}", rerun_help(command)))]
    TimedOut {
        /// The program's name or path.
        program: String,
        /// The whole command, for pasting.
        command: String,
        /// Time that it was given.
        limit: Duration,
    },
    /// The output or the exit status could not be read.
    #[error("lost the output of `{program}`")]
    #[diagnostic(code(process::output))]
    Output {
        /// The program's name or path.
        program: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The program wrote more than is kept of its output, and was ended.
    #[error("`{program}` was ended: it wrote more than {} MiB", most >> 20)]
    #[diagnostic(code(process::output_too_long), help("the command was:\n{command}"))]
    OutputTooLong {
        /// The program's name or path.
        program: String,
        /// The whole command, for pasting.
        command: String,
        /// Most bytes that are kept, of both outputs together.
        most: usize,
    },
    /// The user pressed Ctrl-C, or the process was asked to end.
    #[error("interrupted")]
    #[diagnostic(code(process::interrupted))]
    Interrupted,
}

impl ProcessError {
    /// Returns `true` for an end from outside: Ctrl-C or a signal to this process.
    pub fn is_interrupt(&self) -> bool {
        matches!(self, Self::Interrupted)
    }
}

fn describe(status: &ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "unknown end".to_owned(),
    }
}

/// Advice with the command of a failed program, on a line of its own, and whether it can be run again as it stands:
/// workspaces are gone soon after a failure.
pub fn rerun_help(command: &str) -> String {
    match missing_path(command) {
        None => format!("to run it again:\n{command}"),
        Some(path) => format!("the command was (it needs {path}, which is not there any more):\n{command}"),
    }
}

/// First absolute path among the words of a command that does not exist.
fn missing_path(command: &str) -> Option<&str> {
    command
        .split(|letter: char| letter.is_whitespace() || "'=;,:&".contains(letter))
        .find(|word| word.starts_with('/') && !Path::new(word).exists())
}

fn last_words(tail: &[String]) -> String {
    tail.iter().fold(String::new(), |text, line| text + "\n  " + line)
}

/// An error with its causes in one line: `cannot read x: permission denied`. For logs, and for what holds only text.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_run_again_is_not_offered() {
        let offered = "cd / && env A=/tmp /bin/sh -c 'exit 1'";
        assert_eq!(rerun_help(offered), format!("to run it again:\n{offered}"));
        let gone = "rpmbuild --define=_topdir=/no/such/workspace/7 -bb x.spec";
        let text = rerun_help(gone);
        assert!(text.contains("/no/such/workspace/7, which is not there"), "{text}");
        assert!(text.ends_with(&format!("\n{gone}")), "{text}");
    }
}
