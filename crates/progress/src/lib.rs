//! How long work tells the person in front of it how far it has come.
//!
//! Operations take a `&dyn Reporter`, open a [`Task`] for each thing that may take over a second, and advance it.
//! They never print. The command line implements [`Reporter`] with bars on a terminal and plain lines elsewhere;
//! tests and scripts use [`Silent`].

/// What a task counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, shown as KiB, MiB and GiB.
    Bytes,
    /// Things: packages, files, steps.
    Items,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The work was done.
    Done,
    /// It had been done before, so that nothing was left to do.
    Cached,
    /// It failed; the error that is returned says why.
    Failed,
}

/// Something long under way. Dropping it without [`Task::finish`] counts as a failure.
pub trait Task: Send + Sync {
    /// Adds to what has been done, in the task's unit.
    fn advance(&self, by: u64);
    /// Says what it is at just now, in a few words.
    fn detail(&self, text: &str);
    /// Closes the task.
    fn finish(self: Box<Self>, outcome: Outcome);
}

/// Where progress goes.
pub trait Reporter: Send + Sync {
    /// Opens a task. `total` is how much there is to do, if that is known.
    fn task(&self, title: &str, unit: Unit, total: Option<u64>) -> Box<dyn Task>;
    /// One line for the reader, without a task.
    fn note(&self, text: &str);
    /// One line that warns: the work goes on, the reader should know.
    fn warn(&self, text: &str);
}

/// Reports to nobody.
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
