//! Context of a job while it runs.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use basalt_process::Cancellation;
use miette::Diagnostic;
use thiserror::Error;

use crate::jobserver::{Jobserver, Token};
use crate::{JobId, JobserverError};

/// A job did not get its token.
#[derive(Debug, Error, Diagnostic)]
pub enum AcquireError {
    /// The run is ending: another job failed, or Ctrl-C. The executor does not count the job's error as a failure then.
    #[error("the run is ending")]
    #[diagnostic(code(schedule::stopped))]
    Stopped,
    /// The jobserver failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Jobserver(#[from] JobserverError),
}

/// A job in work: its id, the results that it may use, and its token.
pub struct JobContext<'a, T> {
    job: JobId,
    worker: usize,
    results: &'a [OnceLock<T>],
    jobserver: Option<&'a Jobserver>,
    stop: &'a Cancellation,
    stopped: AtomicBool,
}

impl<'a, T> JobContext<'a, T> {
    pub(crate) fn new(
        job: JobId,
        worker: usize,
        results: &'a [OnceLock<T>],
        jobserver: Option<&'a Jobserver>,
        stop: &'a Cancellation,
    ) -> Self {
        Self {
            job,
            worker,
            results,
            jobserver,
            stop,
            stopped: AtomicBool::new(false),
        }
    }

    /// The job.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// Number of the worker thread, from 0.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Result of a job that has succeeded or was known; certain to be there for all that this job needs.
    pub fn result(&self, job: JobId) -> Option<&'a T> {
        self.results.get(job.index()).and_then(OnceLock::get)
    }

    /// True when the run is ending because another job failed or because of Ctrl-C: long work may give up.
    pub fn is_stopping(&self) -> bool {
        self.stop.requested()
    }

    /// Does work that is given up when the run is ending: whatever it waits for then ends with an interruption, as on
    /// Ctrl-C. For what looks up and fetches: what computes is not to be lost because another job failed.
    ///
    /// # Errors
    /// Those of the work. The executor does not count them as failures when the run is ending.
    pub fn until_stopping<R, E>(&self, work: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        let outcome = self.stop.scope(work);
        if outcome.is_err() && self.stop.requested() {
            self.stopped.store(true, Ordering::SeqCst);
        }
        outcome
    }

    /// Waits for the job's token of the jobserver and holds it until the value is dropped, with the job's FIFO. To be
    /// called once per job and right before what computes, not for what looks up or fetches. Without a jobserver it
    /// returns at once.
    ///
    /// # Errors
    /// [`AcquireError::Stopped`] when the run ends meanwhile.
    pub fn acquire(&self) -> Result<Token<'a>, AcquireError> {
        let Some(jobserver) = self.jobserver else {
            return Ok(Token::none());
        };
        match jobserver.acquire(|| self.stop.requested())? {
            Some(token) => Ok(token),
            None => {
                self.stopped.store(true, Ordering::SeqCst);
                Err(AcquireError::Stopped)
            }
        }
    }

    pub(crate) fn was_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}
