//! GNU jobserver over all jobs: tokens, one for each process that may compute, in one named FIFO per job.
//!
//! Protocol: GNU make's manual, "POSIX Jobserver Interaction", in the style `--jobserver-auth=fifo:PATH` (GNU make 4.4,
//! ninja 1.13, cargo and rustc). Written by hand because the crate `jobserver` makes anonymous pipes only, which do not reach
//! into a sandbox, and because it serves one FIFO that all share.
//!
//! ```text
//! Jobserver::acquire ──▶ Token: the job's implicit token, its FIFO ──(bind mount)──▶ make, ninja, cargo, rustc of that job
//!                          relay thread: count ──▶ Ledger: who gets, who gives back ──▶ put into, take out of the FIFOs
//! ```
//!
//! **Accounting.** There are as many tokens as cores. A client has one process for nothing, its implicit token, and
//! takes another token for each further one. [`Jobserver::acquire`] takes that implicit token out of the same number
//! for each job in work, so that all processes of all jobs together never exceed the tokens.
//!
//! **One FIFO per job.** A build is code of others, and a client may write and read as it likes. In a FIFO of its own
//! it reaches nobody: bytes that it makes up are taken out, mode and content of the FIFO are its own affair, and what
//! it took and lost is free again when its job ends. [`Ledger`] says how tokens are shared, and what becomes of those
//! that a job keeps while others wait.
//!
//! **Clock.** A FIFO tells nobody that it was read, so the relay looks every [`IDLE`] at how many tokens each job has
//! left, as long as there are jobs. Clients take and give back among themselves without it. What a job with more than
//! its share gives back while others want tokens is waited for with `poll`, and the relay competes with the job's own
//! processes for it. Make, cargo and rustc wait for tokens; ninja asks only when one of its processes ends, and so gets
//! fewer beside them.
//!
//! **In a sandbox.** Bind-mount the FIFO itself, writable: through an overlay it would be another FIFO of the same name.
//! The path inside must have no white space. A command line that says `-jN` overrules the jobserver in make, so
//! `%{_smp_mflags}` is to be empty; ninja 1.13 does the same.

mod fifo;
mod ledger;
mod relay;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::JobserverError;
use fifo::Fifo;
pub use ledger::{IDLE, JobNumber, Ledger, PATIENCE, SATED};
use relay::Relay;

/// Interval at which a wait for a token looks whether to give up.
const TICK: Duration = Duration::from_millis(100);

/// The server's side: owner of the FIFOs and of the count of all tokens.
#[derive(Debug)]
pub struct Jobserver {
    folder: Utf8PathBuf,
    /// Number of the next FIFO.
    next: AtomicU64,
    relay: Arc<Relay>,
    thread: Option<JoinHandle<()>>,
}

/// A job's implicit token and its FIFO; dropping gives back all of the job's tokens. To be dropped after the job's
/// processes have ended.
#[derive(Debug)]
pub struct Token<'a> {
    /// None for runs without a jobserver.
    held: Option<Held<'a>>,
}

#[derive(Debug)]
struct Held<'a> {
    jobserver: &'a Jobserver,
    job: JobNumber,
    fifo: Arc<Fifo>,
}

impl Token<'_> {
    /// The token of a run without a jobserver.
    pub(crate) fn none() -> Self {
        Self { held: None }
    }

    /// The job's FIFO on the host; none in a run without a jobserver.
    pub fn fifo(&self) -> Option<&Utf8Path> {
        self.held.as_ref().map(|held| held.fifo.path())
    }
}

impl Drop for Token<'_> {
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            held.jobserver.relay.end(held.job);
        }
    }
}

impl Jobserver {
    /// Makes a server of so many tokens (at least one), whose FIFOs will be in a folder of the caller's. The folder
    /// must not be shared with another jobserver.
    ///
    /// # Errors
    /// When the thread that hands tokens out cannot be started.
    pub fn create(folder: &Utf8Path, tokens: usize) -> Result<Self, JobserverError> {
        Self::with_patience(folder, tokens, PATIENCE)
    }

    fn with_patience(folder: &Utf8Path, tokens: usize, patience: Duration) -> Result<Self, JobserverError> {
        let error = |source| JobserverError {
            action: "watch",
            path: folder.to_owned(),
            source,
        };
        let relay = Arc::new(Relay::new(Ledger::new(tokens.max(1), patience)).map_err(error)?);
        let shared = Arc::clone(&relay);
        let thread = std::thread::Builder::new().name("jobserver".to_owned());
        let thread = thread.spawn(move || shared.run()).map_err(error)?;
        Ok(Self {
            folder: folder.to_owned(),
            next: AtomicU64::new(0),
            relay,
            thread: Some(thread),
        })
    }

    /// Number of tokens in all.
    pub fn total(&self) -> usize {
        self.relay.lock().ledger.total()
    }

    /// Variables for clients, with the FIFO's path as they see it: `MAKEFLAGS` for make and ninja, `CARGO_MAKEFLAGS` for
    /// cargo and rustc.
    pub fn environment(&self, path: &Utf8Path) -> [(&'static str, String); 2] {
        let flags = format!("-j{} --jobserver-auth=fifo:{path}", self.total());
        [("MAKEFLAGS", flags.clone()), ("CARGO_MAKEFLAGS", flags)]
    }

    /// Waits for a job's implicit token, and makes the job's FIFO. Returns nothing when `stop` says so first, which is
    /// asked ten times per second.
    ///
    /// # Errors
    /// When the FIFO cannot be made.
    pub fn acquire(&self, stop: impl Fn() -> bool) -> Result<Option<Token<'_>>, JobserverError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let fifo = Arc::new(Fifo::create(self.folder.join(format!("jobserver-{number}")))?);
        let job = self.relay.begin(&fifo, &stop, TICK);
        Ok(job.map(|job| Token {
            held: Some(Held {
                jobserver: self,
                job,
                fifo,
            }),
        }))
    }

    /// Number of tokens that nobody uses: those that are free, and those that jobs have not taken out of their FIFOs.
    pub fn unused(&self) -> usize {
        self.relay.unused()
    }
}

impl Drop for Jobserver {
    fn drop(&mut self) {
        self.relay.close();
        // A panic of the thread was reported by its hook; nobody waits for tokens any more.
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests;
