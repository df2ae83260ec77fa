//! Errors of virtual machines.

use std::time::Duration;

use basalt_process::ProcessError;
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

/// Failure to make, start, watch or stop a machine.
#[derive(Debug, Error, Diagnostic)]
pub enum MachineError {
    /// A file of the machine could not be read or written.
    #[error("could not {action}")]
    #[diagnostic(code(machine::file))]
    File {
        /// Operation that failed, as `make QEMU's log`.
        action: String,
        /// Error of the operating system, which names the path.
        source: std::io::Error,
    },
    /// A program of QEMU failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
    /// The description of a machine is invalid.
    #[error("the machine `{machine}` cannot be made: {reason}")]
    #[diagnostic(code(machine::description))]
    Description {
        /// Name of the machine.
        machine: String,
        /// Problem of the description.
        reason: String,
        /// Advice on how to solve the problem.
        #[help]
        help: Option<String>,
    },
    /// QEMU ended unexpectedly.
    #[error("QEMU ended ({status}) while {doing}{}", tail(last))]
    #[diagnostic(
        code(machine::ended),
        help(
            "the machine's console.log and QEMU's own qemu.log are in {folder}; {}",
            basalt_process::rerun_help(command)
        )
    )]
    Ended {
        /// Operation during which QEMU ended.
        doing: String,
        /// Exit status of QEMU.
        status: String,
        /// Last lines of QEMU's log, or of the console where that is empty.
        last: Vec<String>,
        /// Folder of the machine.
        folder: Utf8PathBuf,
        /// Command line of QEMU, to be pasted into a shell.
        command: String,
    },
    /// Expected text did not appear on the console in time.
    #[error("`{pattern}` did not appear on the console of `{machine}` within {}{}", seconds(*waited), tail(last))]
    #[diagnostic(code(machine::console), help("the whole console is in {console}"))]
    Silent {
        /// Name of the machine.
        machine: String,
        /// Expected text.
        pattern: String,
        /// Time-out of the wait.
        waited: Duration,
        /// Last lines of the console.
        last: Vec<String>,
        /// Path of the console's log.
        console: Utf8PathBuf,
    },
    /// The control socket failed.
    #[error("could not control the machine: {doing}")]
    #[diagnostic(
        code(machine::control),
        help("is QEMU still running? Its control socket is {socket}; only one program at a time may use it")
    )]
    Control {
        /// Operation that failed.
        doing: String,
        /// Path of the control socket.
        socket: Utf8PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// QEMU answered a command with an error.
    #[error("QEMU refused `{command}`: {answer}")]
    #[diagnostic(code(machine::refused))]
    Refused {
        /// Name of the QMP command.
        command: String,
        /// Description of the error, by QEMU.
        answer: String,
    },
    /// The terminal could not be connected to the console.
    #[error("could not connect the terminal to the console")]
    #[diagnostic(code(machine::terminal), help("standard input and output must be a terminal"))]
    Terminal {
        /// Error of the operating system.
        source: std::io::Error,
    },
}

impl MachineError {
    /// Wraps the error of a file operation; for `map_err`.
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
