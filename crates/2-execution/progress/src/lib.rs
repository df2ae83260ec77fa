//! Progress reporting of long operations.
//!
//! Operations take a `&dyn Reporter`, open a [`Task`] for each thing that may take over a second, and advance it.
//! They never print. The command line implements [`Reporter`] with bars on a terminal and plain lines elsewhere;
//! tests and scripts use [`Silent`].

/// Unit of a task's counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, shown as KiB, MiB and GiB.
    Bytes,
    /// Packages, files, steps.
    Items,
}

/// Outcome of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The work was done now.
    Done,
    /// The result was known, so that nothing was left to do.
    Cached,
    /// The work failed; the error that is returned says why.
    Failed,
}

/// A long operation under way. Dropping it without [`Task::finish`] counts as a failure.
pub trait Task: Send + Sync {
    /// Adds to what has been done, in the task's unit.
    fn advance(&self, by: u64);
    /// Names the present step in a few words.
    fn detail(&self, text: &str);
    /// Closes the task.
    fn finish(self: Box<Self>, outcome: Outcome);
}

/// Receiver of progress reports.
pub trait Reporter: Send + Sync {
    /// Opens a task. `total` is how much there is to do, if that is known.
    fn task(&self, title: &str, unit: Unit, total: Option<u64>) -> Box<dyn Task>;
    /// Reports one line without a task.
    fn note(&self, text: &str);
    /// Reports a warning, one line: the work goes on.
    fn warn(&self, text: &str);
}

/// Reporter that discards everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn task(&self, _: &str, _: Unit, _: Option<u64>) -> Box<dyn Task> {
        Box::new(Self)
    }
    fn note(&self, _: &str) {}
    fn warn(&self, _: &str) {}
}

impl Task for Silent {
    fn advance(&self, _: u64) {}
    fn detail(&self, _: &str) {}
    fn finish(self: Box<Self>, _: Outcome) {}
}
