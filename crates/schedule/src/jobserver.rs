//! GNU jobserver over all jobs: a named FIFO of tokens, one for each process that may compute.
//!
//! Protocol: GNU make's manual, "POSIX Jobserver Interaction", in the style `--jobserver-auth=fifo:PATH` (GNU make 4.4,
//! ninja 1.13, cargo and rustc). Written by hand because the crate `jobserver` makes anonymous pipes only, which do not reach
//! into a sandbox.
//!
//! **Accounting.** The FIFO holds as many tokens as there are cores. A client has one process for nothing, its implicit
//! token, and takes another token for each further one. [`Jobserver::acquire`] takes that implicit token out of the same
//! FIFO for each job in work, so that all processes of all jobs together never exceed the tokens.
//!
//! **Losses.** A client that is killed takes its tokens with it, and nobody can tell which tokens a client holds. No job
//! stops for that: the implicit token is counted in this process. What is lost comes back in two ways, see [`Ledger`]:
//! at once when no job is in work, since nobody can hold anything then; and some time after a job ended badly, as far as
//! tokens were missing all that time. Should these have been in use after all, one process too many runs until more
//! tokens are seen than there should be, and the surplus is taken out.
//!
//! **In a sandbox.** Bind-mount the FIFO itself, writable: through an overlay it would be another FIFO of the same name.
//! The path inside must have no white space. A command line that says `-jN` overrules the jobserver in make, so
//! `%{_smp_mflags}` is to be empty; ninja 1.13 does the same.

mod ledger;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};

use crate::JobserverError;
pub use ledger::{Correction, LOSS_PATIENCE, Ledger};

/// Name of the FIFO in its folder.
const FILE: &str = "jobserver";
/// Byte of a token; GNU make's own choice.
const TOKEN: u8 = b'+';
/// Interval at which a wait for a token looks whether to give up.
const TICK: Duration = Duration::from_millis(100);

/// The server's side: owner of the FIFO and of the count of its tokens.
#[derive(Debug)]
pub struct Jobserver {
    path: Utf8PathBuf,
    /// Open for reading and writing, so that tokens stay while no client is there.
    fifo: File,
    ledger: Mutex<Ledger>,
}

/// A job's token; dropping gives it back. To be dropped after the job's processes have ended.
#[derive(Debug)]
pub struct Token<'a> {
    /// None for runs without a jobserver.
    jobserver: Option<&'a Jobserver>,
}

impl Token<'_> {
    /// The token of a run without a jobserver.
    pub(crate) fn none() -> Self {
        Self { jobserver: None }
    }
}

impl Drop for Token<'_> {
    fn drop(&mut self) {
        if let Some(jobserver) = self.jobserver {
            jobserver.release();
        }
    }
}

impl Jobserver {
    /// Makes the FIFO in a folder of the caller's, mode 0600, with so many tokens (at least one). The folder must not be
    /// shared with another jobserver. Dropping takes the FIFO away.
    ///
    /// # Errors
    /// When the FIFO cannot be made or filled.
    pub fn create(folder: &Utf8Path, tokens: usize) -> Result<Self, JobserverError> {
        let path = folder.join(FILE);
        let error = |action, source| JobserverError {
            action,
            path: path.clone(),
            source,
        };
        mkfifoat(CWD, path.as_std_path(), Mode::RUSR | Mode::WUSR).map_err(|source| error("create", source.into()))?;
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let fifo = File::options()
            .read(true)
            .write(true)
            .custom_flags(nonblocking)
            .open(&path)
            .map_err(|source| error("open", source))?;
        let jobserver = Self {
            path: path.clone(),
            fifo,
            ledger: Mutex::new(Ledger::new(tokens.max(1))),
        };
        jobserver.put(tokens.max(1)).map_err(|source| error("write", source))?;
        Ok(jobserver)
    }

    /// The FIFO on the host.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Number of tokens in all.
    pub fn total(&self) -> usize {
        self.lock().total()
    }

    /// Variables for clients, with the FIFO's path as they see it: `MAKEFLAGS` for make and ninja, `CARGO_MAKEFLAGS` for
    /// cargo and rustc.
    pub fn environment(&self, path: &Utf8Path) -> [(&'static str, String); 2] {
        let flags = format!("-j{} --jobserver-auth=fifo:{path}", self.total());
        [("MAKEFLAGS", flags.clone()), ("CARGO_MAKEFLAGS", flags)]
    }

    /// Waits for a token. Returns nothing when `stop` says so first, which is asked ten times per second.
    ///
    /// # Errors
    /// When the FIFO fails.
    pub fn acquire(&self, stop: impl Fn() -> bool) -> Result<Option<Token<'_>>, JobserverError> {
        while !stop() {
            if let Some(token) = self.try_acquire().map_err(|source| self.error("read", source))? {
                return Ok(Some(token));
            }
            self.wait_readable().map_err(|source| self.error("read", source))?;
        }
        Ok(None)
    }

    fn try_acquire(&self) -> std::io::Result<Option<Token<'_>>> {
        let mut ledger = self.lock();
        if self.take(1)? == 0 {
            return Ok(None);
        }
        ledger.begin_job();
        Ok(Some(Token { jobserver: Some(self) }))
    }

    /// Notes that a job ended badly, so that its clients may have been killed with tokens in their hands.
    pub fn suspect_loss(&self) {
        self.lock().suspect(Instant::now());
    }

    /// Puts tokens back that are lost and takes out those that are too many. The executor calls it ten times per second.
    pub fn reconcile(&self, now: Instant) {
        self.correct(&mut self.lock(), now);
    }

    /// Number of tokens in the FIFO: those that are free.
    ///
    /// # Errors
    /// When the system call fails.
    pub fn free(&self) -> std::io::Result<usize> {
        let bytes = rustix::io::ioctl_fionread(&self.fifo)?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    fn release(&self) {
        let mut ledger = self.lock();
        ledger.end_job();
        // What could not be put back is missing, and comes back as what is lost does.
        if let Err(error) = self.put(1) {
            tracing::warn!(%error, fifo = %self.path, "a token could not be given back");
        }
        self.correct(&mut ledger, Instant::now());
    }

    fn correct(&self, ledger: &mut Ledger, now: Instant) {
        let corrected = self.free().and_then(|free| match ledger.observe(now, free) {
            Correction::None => Ok(()),
            Correction::Add(count) => {
                tracing::debug!(count, "tokens of the jobserver were lost; putting others in");
                self.put(count)
            }
            Correction::Remove(count) => self.take(count).map(drop),
        });
        if let Err(error) = corrected {
            tracing::warn!(%error, fifo = %self.path, "the jobserver's tokens could not be counted");
        }
    }

    /// Reads up to so many tokens without waiting; returns how many there were.
    fn take(&self, count: usize) -> std::io::Result<usize> {
        let mut bytes = vec![0; count];
        loop {
            match (&self.fifo).read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
                outcome => return outcome,
            }
        }
    }

    fn put(&self, count: usize) -> std::io::Result<()> {
        (&self.fifo).write_all(&vec![TOKEN; count])
    }

    fn wait_readable(&self) -> std::io::Result<()> {
        let timeout = Timespec::try_from(TICK).ok();
        let mut descriptors = [PollFd::new(&self.fifo, PollFlags::IN)];
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn error(&self, action: &'static str, source: std::io::Error) -> JobserverError {
        JobserverError {
            action,
            path: self.path.clone(),
            source,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Jobserver {
    fn drop(&mut self) {
        // The folder goes away with the run anyhow.
        drop(fs_err::remove_file(&self.path));
    }
}

#[cfg(test)]
mod tests;
