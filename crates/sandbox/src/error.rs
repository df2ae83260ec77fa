//! How a sandbox goes wrong.

use camino::Utf8PathBuf;
use miette::Diagnostic;
use rustix::io::Errno;
use thiserror::Error;

/// A sandbox could not be entered.
#[derive(Debug, Error, Diagnostic)]
pub enum SandboxError {
    /// The description was not understood: a bug of ours.
    #[error("the description of the sandbox cannot be read: {0}")]
    #[diagnostic(code(sandbox::description), help("this is a bug in basalt"))]
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
        /// What the system said.
        source: std::io::Error,
    },
    /// A mount failed.
    #[error("cannot mount {what} at `{path}`")]
    #[diagnostic(code(sandbox::mount))]
    Mount {
        /// What was mounted.
        what: String,
        /// Where, in the sandbox.
        path: Utf8PathBuf,
        /// What the system said.
        source: Errno,
    },
    /// A file or folder could not be made.
    #[error("cannot make `{path}`")]
    #[diagnostic(code(sandbox::path))]
    Path {
        /// What.
        path: Utf8PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Some other system call failed.
    #[error("{call} failed")]
    #[diagnostic(code(sandbox::call))]
    Call {
        /// Which.
        call: &'static str,
        /// What the system said.
        source: Errno,
    },
    /// The program could not be started.
    #[error("cannot start `{program}`")]
    #[diagnostic(code(sandbox::start))]
    Start {
        /// Which.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl SandboxError {
    pub(crate) fn call(call: &'static str) -> impl FnOnce(Errno) -> Self {
        move |source| Self::Call { call, source }
    }

    pub(crate) fn path(path: impl Into<Utf8PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Path { path, source }
    }
}
