//! How running a program goes wrong.

use std::process::ExitStatus;

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
        /// What it is needed for.
        purpose: Option<&'static str>,
        /// How to come by it.
        #[help]
        remedy: Option<String>,
    },
    /// It is there but could not be started.
    #[error("could not start `{program}`")]
    #[diagnostic(code(process::start), help("the command was: {command}"))]
    Start {
        /// The program's name or path.
        program: String,
        /// The whole command, for pasting.
        command: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ran and failed.
    #[error("`{program}` failed ({}){}", describe(status), last_words(tail))]
    #[diagnostic(code(process::failed), help("to run it again: {command}"))]
    Failed {
        /// The program's name or path.
        program: String,
        /// The whole command, for pasting.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines it wrote.
        tail: Vec<String>,
    },
    /// What it wrote could not be read or stored.
    #[error("lost the output of `{program}`")]
    #[diagnostic(code(process::output))]
    Output {
        /// The program's name or path.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The user pressed Ctrl-C, or the process was asked to end.
    #[error("interrupted")]
    #[diagnostic(code(process::interrupted))]
    Interrupted,
}

impl ProcessError {
    /// Whether the end came from outside, by Ctrl-C or a signal to us.
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
