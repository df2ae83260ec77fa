//! Sandboxes for untrusted programs: the files, system calls and resources that one may use.
//!
//! A [`Sandbox`] says what a program shall see: a root stacked from trees, folders bound into it, a network or none, and
//! how much it may use ([`SandboxLimits`]). [`Sandbox::command`] turns it into an ordinary
//! [`Command`](basalt_process::Command), which starts our own executable again; the description goes along in a sealed
//! file in memory, never in the arguments. The executable's `main` calls [`enter_if_asked`] first, which recognizes that
//! call and does the work in three stages, each a process that begins with a single thread:
//!
//! ```text
//! caller ── outer: first user namespace, PID, network, IPC and UTS namespaces; measures time and disk; writes the report
//!             └── init: process 1; mounts, pivots, reaps, measures memory and processes, dies with outer
//!                    └── the program: second user and mount namespace, no capabilities, Landlock, seccomp
//! ```
//!
//! No privileges are needed: the user is root inside, and only there. When the caller ends, the kernel ends all of it.
//!
//! # Layers of confinement
//!
//! The program is taken to be hostile. Most of what it could try is stopped twice, by parts of the kernel that have little
//! code in common. In the order in which they are put up:
//!
//! 1. *Namespaces* (`outer.rs`): no process, network, shared memory or host name of the host.
//! 2. *Mounts* (`mounts/`): a root of its own, from which the host's is unmounted. Whatever comes from the host is opened
//!    before the first mount and closed before the program starts; mount points are made by `openat2` with
//!    RESOLVE_IN_ROOT, because trees may hold links that lead anywhere. `/proc` is masked and read-only, as are `/sys` and
//!    the nodes of a small `/dev`: modes of files there are those of the whole machine, and root may change what it owns.
//! 3. *Process 1* (`init.rs`) is not dumpable and has no environment, so that nothing is read from it.
//! 4. *A second user namespace* (`confinement.rs`): mounts of the first are locked in it, and nothing that belongs to the
//!    first may be changed from it.
//! 5. *Capabilities* are dropped from all sets, with securebits locked and `no_new_privs`: root inside owns its files and
//!    may do nothing else.
//! 6. *Landlock*: no file that is not below the root, even by a descriptor; no signal and no abstract socket to a process
//!    outside. As much of it as the kernel has.
//! 7. *seccomp* (`system_calls.rs`): no mounts, namespaces, tracing, keyrings, BPF, io_uring, device nodes, rare sockets,
//!    no typing into terminals, no calls of another ABI.
//!
//! [`Relaxation`] names the exceptions and who needs them. [`ConfinementLayer`] names the layers, for the tests in
//! `tests/escape/`, which try each way out with all layers and once more without those that stop it.
//! `docs/build/sandbox.md` is the same for reviewers, with kernels, tests, and what is not promised.
//!
//! [`outputs`] lists and opens what a program left behind, without following where it leads. [`namespace`] offers
//! namespaces to a long-lived process of ours, for the local cluster.
//!
//! This is the one crate that may hold `unsafe` code, for the system calls that the standard library does not know.

#![expect(
    clippy::disallowed_methods,
    reason = "std::fs, because fs_err's errors have no error number, which tells a process that ended from a failure; \
              SandboxError::path names paths"
)]

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
mod processes;
mod report;
mod rlimits;
mod sockets;
mod syscalls;
mod system_calls;
mod system_v;
mod walk;

use std::ffi::OsString;
use std::io::Write as _;

pub use description::{Mount, Network, Root, Sandbox};
pub use error::SandboxError;
pub use limits::{Limit, LimitReached, SandboxLimits};
pub use mounts::{OVERLAYFS_HELP, is_overlayfs};
pub use policy::{ConfinementLayer, Relaxation};
pub use report::{FAILED, SandboxReport, Termination};

/// The first argument that makes our executable enter a sandbox instead of doing what it is for.
pub(crate) const OUTER: &str = "__sandbox";
/// The first argument of the second stage.
pub(crate) const INIT: &str = "__sandbox-init";

/// Runs a stage of a sandbox if this process was started as one, and then does not return. Must be called first in
/// `main`, before any thread starts.
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
            print_error(&error);
            std::process::exit(FAILED);
        }
    }
}

/// Writes the error to standard error, which the caller reads as the program's own output.
fn print_error(error: &SandboxError) {
    // The reader may be gone.
    drop(writeln!(std::io::stderr(), "{}", error.said()));
}
