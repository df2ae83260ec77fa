//! The scheduler: a state machine without clocks, threads or processes.
//!
//! A job is ready when all that it needs is done. Of those that are ready, the one with the longest chain of work still
//! depending on it goes first, as long as the memory that it may take is free. Smaller jobs may go before one that does
//! not fit, but only [`BACKFILL_LIMIT`] times: after that, memory is kept for it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::{IndexVec, JobGraph, JobId};

/// Number of jobs that may be started before a more urgent one that waits for memory.
pub const BACKFILL_LIMIT: u32 = 16;

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Needs are missing, or no worker has taken it.
    Waiting,
    /// Returned by [`Schedule::start`], not ended.
    Running,
    /// Succeeded.
    Done,
    /// Failed itself.
    Failed,
    /// Never started, because something that it needs failed.
    Skipped,
}

/// Answer of [`Schedule::start`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Start this job; it counts as running from now on.
    Start(JobId),
    /// Nothing can be started until a running job ends.
    Wait,
    /// Nothing runs and nothing is left that could be started.
    Finished,
}

/// End of the queue from which a worker takes jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum End {
    /// The job with the longest chain of dependents: shortest time for the whole.
    #[default]
    Urgent,
    /// The job with the shortest chain: first results soon.
    Quick,
}

/// Urgency and id of a ready job; the greatest is the most urgent, and of equals the one that was given first.
type Rank = (u64, Reverse<JobId>);

/// A plan in the course of being carried out.
#[derive(Debug)]
pub struct Schedule<'a> {
    graph: &'a JobGraph,
    states: IndexVec<JobId, JobState>,
    /// Number of needs of each job that are not done.
    missing: IndexVec<JobId, usize>,
    /// Ready jobs by estimated memory, so that those that fit are found without a look at those that do not.
    ready: BTreeMap<u64, BTreeSet<Rank>>,
    memory_mib: u64,
    used_mib: u64,
    running: usize,
    passed_over: Option<(JobId, u32)>,
}

impl<'a> Schedule<'a> {
    /// A schedule of all jobs of the graph, with so much memory for those that run at the same time.
    pub fn new(graph: &'a JobGraph, memory_mib: u64) -> Self {
        let mut schedule = Self {
            graph,
            states: IndexVec::filled(JobState::Waiting, graph.len()),
            missing: graph.ids().map(|id| graph.job(id).needs.len()).collect(),
            ready: BTreeMap::new(),
            memory_mib,
            used_mib: 0,
            running: 0,
            passed_over: None,
        };
        for id in graph.ids().filter(|id| graph.job(*id).needs.is_empty()) {
            schedule.enqueue(id);
        }
        schedule
    }

    /// State of a job.
    pub fn state(&self, id: JobId) -> JobState {
        self.states[id]
    }

    /// Number of running jobs.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Estimated memory of the running jobs, in MiB.
    pub fn used_mib(&self) -> u64 {
        self.used_mib
    }

    /// Jobs that wait, the most urgent first: the order in which to fetch their sources.
    pub fn pending(&self) -> Vec<JobId> {
        let waiting = |id: &JobId| self.state(*id) == JobState::Waiting;
        let mut pending: Vec<_> = self.graph.ids().filter(waiting).collect();
        pending.sort_by_key(|id| (Reverse(self.graph.urgency(*id)), *id));
        pending
    }

    /// Takes the next job, which counts as running until it is [`done`](Self::done) or [`failed`](Self::failed). A job
    /// that wants more memory than there is at all is started when nothing else runs.
    pub fn start(&mut self, end: End) -> Next {
        let fits = if self.running == 0 {
            Some(u64::MAX)
        } else {
            // Beside one that takes more than there is, nothing is started, however small.
            self.memory_mib.checked_sub(self.used_mib)
        };
        let Some((rank, memory)) = fits.and_then(|fits| self.best(fits, end)) else {
            return if self.running == 0 { Next::Finished } else { Next::Wait };
        };
        let id = rank.1.0;
        if end == End::Urgent && !self.may_go_before_others(id) {
            return Next::Wait;
        }
        self.dequeue(rank, memory);
        self.states[id] = JobState::Running;
        self.running += 1;
        self.used_mib = self.used_mib.saturating_add(memory);
        Next::Start(id)
    }

    /// Marks a job as succeeded, or as known from before; what waited for it may become ready.
    pub fn done(&mut self, id: JobId) {
        if matches!(self.state(id), JobState::Waiting | JobState::Running) {
            self.end(id, JobState::Done);
            for dependent in self.graph.dependents(id) {
                self.missing[*dependent] -= 1;
                if self.missing[*dependent] == 0 && self.state(*dependent) == JobState::Waiting {
                    self.enqueue(*dependent);
                }
            }
        }
    }

    /// Marks a job as failed, and returns what is skipped for that: all that needs it, directly or not.
    pub fn failed(&mut self, id: JobId) -> Vec<JobId> {
        self.end(id, JobState::Failed);
        let mut skipped = Vec::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            for dependent in self.graph.dependents(id) {
                if self.state(*dependent) == JobState::Waiting {
                    self.states[*dependent] = JobState::Skipped;
                    skipped.push(*dependent);
                    open.push(*dependent);
                }
            }
        }
        skipped
    }

    fn end(&mut self, id: JobId, state: JobState) {
        let memory = self.graph.job(id).estimate.memory_mib;
        match self.state(id) {
            JobState::Running => {
                self.running -= 1;
                self.used_mib = self.used_mib.saturating_sub(memory);
            }
            _ => self.dequeue(self.rank(id), memory),
        }
        self.states[id] = state;
    }

    /// The ready job at one end of the queue whose memory fits, and that memory.
    fn best(&self, fits: u64, end: End) -> Option<(Rank, u64)> {
        let of_each_size = self.ready.range(..=fits).filter_map(|(memory, ranks)| {
            let rank = match end {
                End::Urgent => ranks.last(),
                End::Quick => ranks.first(),
            };
            rank.map(|rank| (*rank, *memory))
        });
        match end {
            End::Urgent => of_each_size.max(),
            End::Quick => of_each_size.min(),
        }
    }

    /// False when a more urgent job has waited for memory while [`BACKFILL_LIMIT`] others were started.
    fn may_go_before_others(&mut self, id: JobId) -> bool {
        let Some((most_urgent, _)) = self.best(u64::MAX, End::Urgent) else {
            return true;
        };
        let first = most_urgent.1.0;
        if first == id {
            self.passed_over = None;
            return true;
        }
        let times = match self.passed_over {
            Some((waiting, times)) if waiting == first => times,
            _ => 0,
        };
        // With nothing running there is nothing to wait for.
        let may = times < BACKFILL_LIMIT || self.running == 0;
        if may {
            self.passed_over = Some((first, times.saturating_add(1)));
        }
        may
    }

    fn rank(&self, id: JobId) -> Rank {
        (self.graph.urgency(id), Reverse(id))
    }

    fn enqueue(&mut self, id: JobId) {
        let memory = self.graph.job(id).estimate.memory_mib;
        let rank = self.rank(id);
        self.ready.entry(memory).or_default().insert(rank);
    }

    fn dequeue(&mut self, rank: Rank, memory: u64) {
        if let Some(ranks) = self.ready.get_mut(&memory) {
            ranks.remove(&rank);
            if ranks.is_empty() {
                self.ready.remove(&memory);
            }
        }
    }
}

#[cfg(test)]
mod tests;
