//! Namespaces, overlays, and what a build may see.
//!
//! A [`Sandbox`] says what a program shall see: a root stacked from trees, folders bound into it, a network or none.
//! [`Sandbox::command`] turns it into an ordinary [`Command`](basalt_process::Command), which starts our own
//! executable again with the description as its argument. The executable's `main` calls [`enter_if_asked`] first,
//! which recognizes that call and does the work in two stages, each a single-threaded process:
//!
//! ```text
//! basalt ── outer: new user, mount, pid, (network) namespaces; maps the ids
//!              └── init: process 1 of the sandbox; mounts, pivots, starts the program, reaps, dies with outer
//!                     └── the program
//! ```
//!
//! No privileges are needed: the user is root inside, and only there. When the caller dies, the kernel ends all of it.
//! [`namespace`] offers the same namespaces to a long-lived process of ours, for the local cluster.
//!
//! This is the one room that may hold `unsafe` code, for the system calls that the standard library does not know.

mod confinement;
mod description;
mod disk;
mod error;
mod inherited;
mod init;
mod limits;
mod measure;
mod mounts;
pub mod namespace;
mod outcome;
mod outer;
pub mod outputs;
mod policy;
mod report;
mod syscalls;
mod system_calls;

use std::ffi::OsString;

pub use description::{Mount, Network, Root, Sandbox};
pub use error::SandboxError;
pub use limits::{Limit, LimitReached, Limits};
pub use policy::{Relaxation, Wall};
pub use report::{Ending, FAILED, Report};

/// The first argument that makes our executable enter a sandbox instead of doing what it is for.
pub(crate) const OUTER: &str = "__sandbox";
/// The first argument of the second stage.
pub(crate) const INIT: &str = "__sandbox-init";

/// Call it first in `main`, before any thread starts: when this process was started to become a sandbox, it does so
/// and does not return.
pub fn enter_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    let stage = match arguments.next() {
        Some(verb) if verb == OUTER => outer::run,
        Some(verb) if verb == INIT => init::run,
        _ => return,
    };
    let arguments: Vec<OsString> = arguments.collect();
    match stage(&arguments) {
        Ok(code) => std::process::exit(code),
        Err(error) => {
            complain(&error);
            std::process::exit(FAILED);
        }
    }
}

/// Whoever started us reads what we write as the program's own words.
#[expect(clippy::print_stderr, reason = "this process is a program of its own")]
fn complain(error: &SandboxError) {
    let mut text = format!("sandbox: {}", basalt_process::chain(error));
    if let Some(help) = miette::Diagnostic::help(error) {
        text += &format!("\nsandbox: help: {help}");
    }
    eprintln!("{text}");
}
