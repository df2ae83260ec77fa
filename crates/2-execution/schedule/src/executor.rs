//! The executor: worker threads that carry a [`JobGraph`] out.
//!
//! Worker threads take jobs from one [`Schedule`] under a lock and wait on a condition variable, which the end of every
//! job signals. The thread that called [`Executor::run`] watches for Ctrl-C; it alone wakes on a clock. Whatever
//! happens in a job, a panic too, its end is recorded and signalled, so that nobody waits for ever.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use basalt_process::{Cancellation, interrupt};

use crate::context::JobContext;
use crate::panic;
use crate::schedule::{End, Next, Schedule};
use crate::{Failure, IndexVec, JobError, JobGraph, JobId, Jobserver, RunError, cores};

/// Interval at which an interruption is looked for.
const TICK: Duration = Duration::from_millis(100);

/// Success of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion<T> {
    /// The work was done now.
    Executed(T),
    /// The result was there already.
    Cached(T),
}

/// End of a job as observers and timings see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Done now.
    Executed,
    /// Known from before.
    Cached,
    /// Returned an error.
    Failed,
    /// Panicked.
    Panicked,
    /// Gave up because the run is ending.
    Stopped,
}

/// Event in the life of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEvent {
    /// A worker took the job.
    Started,
    /// The job ended.
    Ended(Ended),
    /// The job will not be started, because one that it needs failed.
    Skipped,
}

/// Receiver of events; called by worker threads, several at once, without a lock held.
pub trait Observer: Sync {
    /// Takes an event.
    fn event(&self, job: JobId, event: JobEvent);
}

impl Observer for () {
    fn event(&self, _: JobId, _: JobEvent) {}
}

/// Part of a run in which a job was in work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobSpan {
    /// The job.
    pub job: JobId,
    /// Number of the worker thread, from 0.
    pub worker: usize,
    /// Start, since the start of the run.
    pub start: Duration,
    /// End, since the start of the run.
    pub end: Duration,
    /// End of the job.
    pub ended: Ended,
}

/// All that a run leaves, failed or not.
#[derive(Debug)]
pub struct RunResult<T, E> {
    /// Results by the job's position: those that were known, and those of jobs that succeeded.
    pub results: Vec<Option<T>>,
    /// Jobs that were in work, in the order of their ends.
    pub spans: Vec<JobSpan>,
    /// Jobs that failed, in the order of their ends.
    pub failures: Vec<Failure<E>>,
    /// Ctrl-C or a signal ended the run before everything was done.
    pub interrupted: bool,
}

impl<T, E> RunResult<T, E> {
    /// The results, if the run succeeded as a whole.
    ///
    /// # Errors
    /// [`RunError::Interrupted`], or the failures.
    pub fn into_results(self) -> Result<Vec<Option<T>>, RunError<E>> {
        if self.interrupted {
            return Err(RunError::Interrupted);
        }
        let mut failures = self.failures.into_iter();
        match failures.next() {
            None => Ok(self.results),
            Some(first) => Err(RunError::Failed {
                first,
                others: failures.collect(),
            }),
        }
    }
}

/// A graph with the conditions under which to carry it out.
pub struct Executor<'a> {
    graph: &'a JobGraph,
    only: Option<&'a BTreeSet<JobId>>,
    workers: usize,
    memory_mib: u64,
    keep_going: bool,
    both_ends: bool,
    jobserver: Option<&'a Jobserver>,
    cancellation: Option<&'a Cancellation>,
    observer: &'a dyn Observer,
}

impl<'a> Executor<'a> {
    /// All jobs of the graph, on as many workers as there are cores, without a bound of memory, until the first failure.
    pub fn new(graph: &'a JobGraph) -> Self {
        Self {
            graph,
            only: None,
            workers: cores(),
            memory_mib: u64::MAX,
            keep_going: false,
            both_ends: false,
            jobserver: None,
            cancellation: None,
            observer: &(),
        }
    }

    /// Runs these jobs only, as if all others were done: see [`JobGraph::closure`].
    pub fn only(self, jobs: &'a BTreeSet<JobId>) -> Self {
        Self {
            only: Some(jobs),
            ..self
        }
    }

    /// Number of jobs in work at once, at least one. With a jobserver it may well be more than the cores: then workers
    /// fetch and look things up while the tokens bound what computes.
    pub fn workers(self, workers: usize) -> Self {
        Self {
            workers: workers.max(1),
            ..self
        }
    }

    /// Memory for all jobs that are in work at once, in MiB.
    pub fn memory_mib(self, memory_mib: u64) -> Self {
        Self { memory_mib, ..self }
    }

    /// Goes on after a failure with all that does not need what failed.
    pub fn keep_going(self, keep_going: bool) -> Self {
        Self { keep_going, ..self }
    }

    /// Lets the first of several workers take the most urgent jobs and the others the quickest: first results come soon,
    /// and the longest job does not come last.
    pub fn both_ends(self, both_ends: bool) -> Self {
        Self { both_ends, ..self }
    }

    /// Tokens for all that computes at once: see [`JobContext::acquire`].
    pub fn jobserver(self, jobserver: &'a Jobserver) -> Self {
        Self {
            jobserver: Some(jobserver),
            ..self
        }
    }

    /// Cancellation that the run requests when it is ending because of a failure or Ctrl-C, so that work beside it
    /// ends, too.
    pub fn cancellation(self, cancellation: &'a Cancellation) -> Self {
        Self {
            cancellation: Some(cancellation),
            ..self
        }
    }

    /// Receiver of events.
    pub fn observer(self, observer: &'a dyn Observer) -> Self {
        Self { observer, ..self }
    }

    /// Carries the jobs out. `known` are results from before, whose jobs are not run. `work` is called for each other job
    /// in a worker thread, after all that the job needs succeeded; a panic in it counts as a failure that ends the run
    /// even with [`keep_going`](Self::keep_going).
    pub fn run<T, E>(
        &self,
        known: impl IntoIterator<Item = (JobId, T)>,
        work: impl Fn(&JobContext<'_, T>) -> Result<Completion<T>, E> + Sync,
    ) -> RunResult<T, E>
    where
        T: Send + Sync,
        E: Send,
    {
        let results: IndexVec<JobId, OnceLock<T>> = self.graph.ids().map(|_| OnceLock::new()).collect();
        let mut schedule = Schedule::new(self.graph, self.memory_mib);
        for (job, result) in known {
            drop(results[job].set(result));
            schedule.done(job);
        }
        if let Some(only) = self.only {
            self.graph
                .ids()
                .filter(|job| !only.contains(job))
                .for_each(|job| schedule.done(job));
        }
        let shared = Shared {
            executor: self,
            results: &results,
            began: Instant::now(),
            stop: self.cancellation.cloned().unwrap_or_default(),
            state: Mutex::new(Progress {
                schedule,
                spans: Vec::new(),
                failures: Vec::new(),
                cut_short: false,
                workers: self.workers,
            }),
            changed: Condvar::new(),
            left: Condvar::new(),
        };
        std::thread::scope(|scope| {
            for worker in 0..self.workers {
                let (shared, work) = (&shared, &work);
                scope.spawn(move || shared.worker(worker, work));
            }
            shared.watch();
        });
        let progress = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (spans, failures, interrupted) = (progress.spans, progress.failures, progress.cut_short);
        RunResult {
            results: results.into_vec().into_iter().map(OnceLock::into_inner).collect(),
            spans,
            failures,
            interrupted,
        }
    }
}

/// All that the threads of a run share.
struct Shared<'a, T, E> {
    executor: &'a Executor<'a>,
    results: &'a IndexVec<JobId, OnceLock<T>>,
    began: Instant,
    stop: Cancellation,
    state: Mutex<Progress<'a, E>>,
    /// A job ended, or the run is to stop.
    changed: Condvar,
    /// The last worker has left.
    left: Condvar,
}

struct Progress<'a, E> {
    schedule: Schedule<'a>,
    spans: Vec<JobSpan>,
    failures: Vec<Failure<E>>,
    /// An interruption kept a job from being started or finished.
    cut_short: bool,
    workers: usize,
}

impl<'a, T: Send + Sync, E: Send> Shared<'a, T, E> {
    fn worker(&self, number: usize, work: &(impl Fn(&JobContext<'_, T>) -> Result<Completion<T>, E> + Sync)) {
        let _leaving = WorkerExit(self);
        while let Some(job) = self.take(number) {
            self.carry_out(job, number, work);
        }
    }

    /// The next job, as soon as there is one; none when the run is over.
    fn take(&self, worker: usize) -> Option<JobId> {
        let end = if self.executor.both_ends && worker > 0 {
            End::Quick
        } else {
            End::Urgent
        };
        let mut state = self.lock();
        loop {
            if interrupt::requested() {
                state.cut_short |= state.schedule.start(end) != Next::Finished;
                self.stop.request();
                self.changed.notify_all();
                return None;
            }
            if self.stop.requested() {
                return None;
            }
            match state.schedule.start(end) {
                Next::Start(job) => return Some(job),
                Next::Wait => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Next::Finished => {
                    self.changed.notify_all();
                    return None;
                }
            }
        }
    }

    fn carry_out(
        &self,
        job: JobId,
        worker: usize,
        work: &(impl Fn(&JobContext<'_, T>) -> Result<Completion<T>, E> + Sync),
    ) {
        let name = &self.executor.graph.job(job).name;
        let context = JobContext::new(
            job,
            worker,
            self.results.as_slice(),
            self.executor.jobserver,
            &self.stop,
        );
        let start = self.began.elapsed();
        let outcome = panic::catch(
            || name.clone(),
            || {
                self.executor.observer.event(job, JobEvent::Started);
                work(&context)
            },
        );
        let (ended, failure) = match outcome {
            Ok(Ok(Completion::Executed(result))) => (Ended::Executed, self.keep(job, result)),
            Ok(Ok(Completion::Cached(result))) => (Ended::Cached, self.keep(job, result)),
            Ok(Err(_)) if context.was_stopped() || interrupt::requested() => (Ended::Stopped, None),
            Ok(Err(error)) => (Ended::Failed, Some(JobError::Failed(error))),
            Err(panic) => (Ended::Panicked, Some(JobError::Panicked(panic))),
        };
        let span = JobSpan {
            job,
            worker,
            start,
            end: self.began.elapsed(),
            ended,
        };
        let skipped = self.record(span, failure);
        let told = panic::catch(
            || name.clone(),
            || {
                self.executor.observer.event(job, JobEvent::Ended(ended));
                for job in skipped {
                    self.executor.observer.event(job, JobEvent::Skipped);
                }
            },
        );
        if let Err(panic) = told {
            self.fail(job, JobError::Panicked(panic), &mut self.lock());
        }
    }

    fn keep(&self, job: JobId, result: T) -> Option<JobError<E>> {
        drop(self.results[job].set(result));
        None
    }

    /// Writes the end of a job down and wakes those who wait. Returns the jobs that are skipped for it.
    fn record(&self, span: JobSpan, failure: Option<JobError<E>>) -> Vec<JobId> {
        let mut state = self.lock();
        state.spans.push(span);
        let skipped = match failure {
            None if span.ended == Ended::Stopped => {
                state.cut_short |= interrupt::requested();
                state.schedule.failed(span.job)
            }
            None => {
                state.schedule.done(span.job);
                Vec::new()
            }
            Some(error) => {
                self.fail(span.job, error, &mut state);
                state.schedule.failed(span.job)
            }
        };
        self.changed.notify_all();
        skipped
    }

    fn fail(&self, job: JobId, error: JobError<E>, state: &mut Progress<'a, E>) {
        if !self.executor.keep_going || matches!(error, JobError::Panicked(_)) {
            self.stop.request();
        }
        state.failures.push(Failure {
            job,
            name: self.executor.graph.job(job).name.clone(),
            error,
        });
        self.changed.notify_all();
    }

    /// Waits for the last worker. Meanwhile, passes an interruption on to those who wait.
    fn watch(&self) {
        let mut state = self.lock();
        while state.workers > 0 {
            let (guard, _) = self
                .left
                .wait_timeout(state, TICK)
                .unwrap_or_else(PoisonError::into_inner);
            if interrupt::requested() {
                self.stop.request();
                self.changed.notify_all();
            }
            state = guard;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress<'a, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Signs a worker off, also when it panics outside of a job: then the others stop, and the scope passes the panic on.
struct WorkerExit<'s, 'a, T: Send + Sync, E: Send>(&'s Shared<'a, T, E>);

impl<T: Send + Sync, E: Send> Drop for WorkerExit<'_, '_, T, E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop.request();
        }
        let mut state = self.0.lock();
        state.workers -= 1;
        self.0.changed.notify_all();
        self.0.left.notify_all();
    }
}
