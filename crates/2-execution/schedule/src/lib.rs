//! Runs jobs that need one another, on all cores and within the memory there is.
//!
//! ```text
//! [Job] ──(JobGraph::new: cycles, critical path)──▶ JobGraph
//!     JobGraph + results from before + memory ──(Executor::run)──▶ Run: results, failures, spans
//!         worker threads ◀──(Schedule: the most urgent ready job that fits)── one queue
//!         JobContext::acquire ──▶ Token ◀───(its FIFO)──▶ make, ninja, cargo, rustc in the sandboxes
//!     spans + CPU time ──(timings)──▶ an HTML page and JSON
//! ```
//!
//! [`JobGraph`] and [`Schedule`] are pure; [`Executor`] adds the threads, [`Jobserver`] the tokens that bound the
//! processes of all jobs together. [`each`] is for many small items that need nothing of one another. A panic in a job
//! is a [`Panic`] that fails the run; Ctrl-C ([`basalt_process::interrupt`]) ends it within a tenth of a second, plus what
//! the jobs in work need to notice it.

mod context;
mod each;
mod error;
mod executor;
mod graph;
mod index_vec;
pub mod jobserver;
mod panic;
pub mod schedule;
pub mod timings;

pub use context::{AcquireError, JobContext};
pub use each::{EachError, each, each_on};
pub use error::{Failure, JobError, JobGraphError, JobserverError, RunError};
pub use executor::{Completion, Ended, Executor, JobEvent, JobSpan, Observer, RunResult};
pub use graph::{Estimate, Job, JobGraph, JobId};
pub use index_vec::{Idx, IndexVec};
pub use jobserver::{Jobserver, Token};
pub use panic::Panic;
pub use schedule::Schedule;

/// Number of cores that this process may use, at least 1.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
