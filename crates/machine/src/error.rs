//! What can go wrong with a machine.

use std::time::Duration;

use basalt_process::ProcessError;
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

/// A machine could not be made, started, watched or stopped.
#[derive(Debug, Error, Diagnostic)]
pub enum MachineError {
    /// A file of the machine could not be read or written.
    #[error("could not {action}")]
    #[diagnostic(code(machine::file))]
    File {
        /// What was being done.
        action: String,
        /// What the system said; it names the path.
        source: std::io::Error,
    },
    /// A program of QEMU failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
    /// The description asks for something that cannot be.
    #[error("the machine `{machine}` cannot be made: {reason}")]
    #[diagnostic(code(machine::description))]
    Description {
        /// Its name.
        machine: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// QEMU ended, although nobody had asked it to.
    #[error("QEMU ended ({status}) while {doing}{}", tail(last))]
    #[diagnostic(
        code(machine::ended),
        help("the machine's console.log and QEMU's own qemu.log are in {folder}; to run it again: {command}")
    )]
    Ended {
        /// What we were waiting for.
        doing: String,
        /// How it ended.
        status: String,
        /// QEMU's last words, or the console's.
        last: Vec<String>,
        /// The machine's folder.
        folder: Utf8PathBuf,
        /// The command, for pasting.
        command: String,
    },
    /// Something did not show up on the console in time.
    #[error("`{pattern}` did not appear on the console of `{machine}` within {}{}", seconds(*waited), tail(last))]
    #[diagnostic(code(machine::console), help("the whole console is in {console}"))]
    Silent {
        /// The machine's name.
        machine: String,
        /// What was waited for.
        pattern: String,
        /// How long.
        waited: Duration,
        /// The last lines of the console.
        last: Vec<String>,
        /// The log of the console.
        console: Utf8PathBuf,
    },
    /// The control socket did not work.
    #[error("could not control the machine: {doing}")]
    #[diagnostic(
        code(machine::control),
        help("is QEMU still running? Its control socket is {socket}; only one program at a time may use it")
    )]
    Control {
        /// What was being done.
        doing: String,
        /// The socket.
        socket: Utf8PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// QEMU answered a command with an error.
    #[error("QEMU refused `{command}`: {answer}")]
    #[diagnostic(code(machine::refused))]
    Refused {
        /// The command.
        command: String,
        /// What it said.
        answer: String,
    },
    /// The terminal could not be connected to the console.
    #[error("could not connect the terminal to the console")]
    #[diagnostic(code(machine::terminal), help("standard input and output must be a terminal"))]
    Terminal {
        /// What the system said.
        source: std::io::Error,
    },
}

impl MachineError {
    /// For `map_err` on file operations.
    pub(crate) fn file(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::File { action, source }
    }
}

fn tail(last: &[String]) -> String {
    last.iter().fold(String::new(), |text, line| text + "\n  " + line)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
