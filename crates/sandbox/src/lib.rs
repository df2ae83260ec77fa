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

mod description;
mod error;
mod init;
mod mounts;
pub mod namespace;
mod outer;

pub use description::{Mount, Network, Root, Sandbox};
pub use error::SandboxError;

/// The first argument that makes our executable enter a sandbox instead of doing what it is for.
pub(crate) const OUTER: &str = "__sandbox";
/// The first argument of the second stage.
pub(crate) const INIT: &str = "__sandbox-init";

/// Call it first in `main`, before any thread starts: when this process was started to become a sandbox, it does so
/// and does not return.
pub fn enter_if_asked() {
    let mut arguments = std::env::args().skip(1);
    let stage = match arguments.next().as_deref() {
        Some(OUTER) => outer::run,
        Some(INIT) => init::run,
        _ => return,
    };
    let status = arguments
        .next()
        .ok_or_else(|| "no description was given".to_owned())
        .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
        .map_err(SandboxError::Description)
        .and_then(|sandbox| stage(&sandbox));
    match status {
        Ok(code) => std::process::exit(code),
        Err(error) => {
            complain(&error);
            std::process::exit(125);
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
