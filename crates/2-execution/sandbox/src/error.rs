//! Failures of a sandbox.

use camino::Utf8PathBuf;
use miette::Diagnostic;
use rustix::io::Errno;
use thiserror::Error;

use crate::LimitReached;

/// A sandbox could not be entered.
#[derive(Debug, Error, Diagnostic)]
pub enum SandboxError {
    /// The description was not understood: a bug of ours.
    #[error("the description of the sandbox cannot be read: {0}")]
    #[diagnostic(
        code(sandbox::description),
        help("is the limit of open files reached (`ulimit -n`)? If not, this is a bug in basalt")
    )]
    Description(String),
    /// The kernel gives us no namespaces.
    #[error("the kernel refuses new namespaces")]
    #[diagnostic(
        code(sandbox::namespaces),
        help(
            "basalt needs unprivileged user namespaces. As root: `sysctl -w user.max_user_namespaces=15000`; on Ubuntu \
             also `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`; on older Debian also \
             `sysctl -w kernel.unprivileged_userns_clone=1`"
        )
    )]
    Namespaces(#[source] Errno),
    /// The user and group ids could not be mapped.
    #[error("cannot map the user into the namespace: {file}")]
    #[diagnostic(code(sandbox::ids))]
    Ids {
        /// The file of /proc that refused.
        file: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// A mount failed.
    #[error("cannot mount {what} at `{path}`")]
    #[diagnostic(code(sandbox::mount))]
    Mount {
        /// Kind of the mount, such as `proc` or `a tree`.
        what: String,
        /// Mount point, as a path in the sandbox.
        path: Utf8PathBuf,
        /// Advice, where the cause is known.
        #[help]
        help: Option<String>,
        /// The system's error.
        source: Errno,
    },
    /// An overlay of more trees than the kernel stacks (`OVL_MAX_STACK`).
    #[error("{count} trees cannot be stacked: the kernel takes {most} at most")]
    #[diagnostic(
        code(sandbox::layers),
        help("let the package ask for fewer packages, or merge their trees into one before")
    )]
    Layers {
        /// Number of trees that were to be stacked.
        count: usize,
        /// The limit of the kernel.
        most: usize,
    },
    /// A part of the confinement (a [`ConfinementLayer`](crate::ConfinementLayer)) could not be set up.
    #[error("cannot confine the program: {layer}")]
    #[diagnostic(
        code(sandbox::confine),
        help(
            "basalt needs Linux 5.15 or newer with seccomp and user namespaces; in a container, one that allows both"
        )
    )]
    Confine {
        /// Part of the confinement that failed.
        layer: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// A hard limit of the calling process (`setrlimit(2)`) that is below the limit of all sandboxes.
    #[error("a hard limit of the process that started basalt is too low: {ours} (`{command}` asks for more)")]
    #[diagnostic(
        code(sandbox::caller_limit),
        help(
            "results depend on this limit, so it is the same in every build. Where basalt is started, `{command}` has to work: \
             raise the hard limit in /etc/security/limits.conf, or in the settings of the container or service"
        )
    )]
    CallerLimit {
        /// Command of a shell that sets the limit that is needed.
        command: &'static str,
        /// The caller's hard limit, in the unit of `getrlimit(2)`.
        ours: u64,
    },
    /// A limit was reached.
    #[error("{0}")]
    #[diagnostic(
        code(sandbox::limit),
        help("everything that ran in the sandbox was ended. A package that needs more says so in its data")
    )]
    Limit(LimitReached),
    /// Use of resources that process 1 could not measure, so that the limits would not hold.
    #[error("cannot measure what the sandbox uses")]
    #[diagnostic(
        code(sandbox::measure),
        help(
            "everything that ran in the sandbox was ended, since its limits would not hold. Either the machine is out of \
             memory or of open files, or the program tries to escape its limits"
        )
    )]
    Measure {
        /// The system's error.
        source: std::io::Error,
    },
    /// A sandbox that could not be set up, or that was ended from outside, as its stages said it.
    #[error("the sandbox failed: {message}")]
    #[diagnostic(code(sandbox::failed))]
    Failed {
        /// Message of the stage that failed.
        message: String,
        /// Its advice, where it had one.
        #[help]
        help: Option<String>,
    },
    /// The report is none.
    #[error("`{path}` is not the report of a sandbox")]
    #[diagnostic(code(sandbox::report), help("this is a bug in basalt"))]
    Report {
        /// Path of the report on the host.
        path: Utf8PathBuf,
        /// Error of the JSON parser.
        source: serde_json::Error,
    },
    /// A file among the outputs that is not safe to follow or read.
    #[error("`{}` is {what}, which no build may leave among its outputs", path.escape_debug())]
    #[diagnostic(
        code(sandbox::output),
        help("let %install leave only regular files with plain names there")
    )]
    Output {
        /// Path below the folder of outputs, with replacement characters where it is not UTF-8.
        path: String,
        /// The rule that the file breaks, as a noun phrase: `a symbolic link`.
        what: &'static str,
    },
    /// A file or folder could not be made, opened, read or written.
    #[error("cannot make or open `{path}`")]
    #[diagnostic(code(sandbox::path))]
    Path {
        /// Path of the file or folder.
        path: Utf8PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Some other system call failed.
    #[error("{call} failed")]
    #[diagnostic(code(sandbox::call))]
    Call {
        /// Name of the system call, with arguments that matter.
        call: &'static str,
        /// The system's error.
        source: Errno,
    },
    /// The program could not be started.
    #[error("cannot start `{program}`")]
    #[diagnostic(code(sandbox::start))]
    Start {
        /// Name of the program.
        program: String,
        /// The system's error.
        source: std::io::Error,
    },
}

/// Beginning of each line that a stage of the sandbox writes about its own failure.
const STAGE: &str = "sandbox: ";
/// Beginning of the line with its advice.
const STAGE_HELP: &str = "sandbox: help: ";

impl SandboxError {
    /// Reads what a stage said of its failure from the last lines of a command's output. The command's program may have
    /// written any of them: only the [report](crate::SandboxReport) tells whether the sandbox failed.
    pub fn of_stages(lines: &[String]) -> Self {
        let mut advice = lines.iter().filter_map(|line| line.strip_prefix(STAGE_HELP));
        let said = lines.iter().filter(|line| !line.starts_with(STAGE_HELP));
        let message = said.filter_map(|line| line.strip_prefix(STAGE)).next_back();
        match message {
            Some(message) => Self::Failed {
                message: message.to_owned(),
                help: advice.next_back().map(str::to_owned),
            },
            None => Self::Failed {
                message: "it was ended from outside".to_owned(),
                help: Some(
                    "the kernel does so when the machine is out of memory (`dmesg` has the reason). Run the same command \
                     again"
                        .to_owned(),
                ),
            },
        }
    }

    /// Lines by which a stage says its failure: the opposite of [`of_stages`](Self::of_stages).
    pub(crate) fn said(&self) -> String {
        let mut text = format!("{STAGE}{}", basalt_process::chain(self));
        if let Some(help) = self.help() {
            text += &format!("\n{STAGE_HELP}{help}");
        }
        text
    }

    pub(crate) fn call(call: &'static str) -> impl FnOnce(Errno) -> Self {
        move |source| Self::Call { call, source }
    }

    pub(crate) fn confine(layer: &'static str) -> impl FnOnce(Errno) -> Self {
        move |source| Self::Confine {
            layer,
            source: source.into(),
        }
    }

    pub(crate) fn path(path: impl Into<Utf8PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Path { path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stage_says_is_read_again() {
        let error = SandboxError::Namespaces(Errno::PERM);
        let said: Vec<_> = error.said().lines().map(str::to_owned).collect();
        let lines = [vec!["make: entering".to_owned()], said].concat();
        let read = SandboxError::of_stages(&lines);
        let text = read.to_string();
        assert!(
            text.starts_with("the sandbox failed: the kernel refuses new namespaces"),
            "{text}"
        );
        let help = read.help().map(|help| help.to_string()).unwrap_or_default();
        assert!(help.contains("user.max_user_namespaces"), "{help}");
    }

    #[test]
    fn a_sandbox_that_says_nothing_was_ended_from_outside() {
        let read = SandboxError::of_stages(&["gcc -c a.c".to_owned()]);
        assert!(read.to_string().contains("ended from outside") && read.help().is_some());
    }
}
