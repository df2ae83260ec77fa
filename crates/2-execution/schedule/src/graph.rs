//! The job graph: jobs, what each needs, and the critical path through them.

use std::collections::BTreeSet;

use crate::{Idx, IndexVec, JobGraphError};

/// Index of a job in its [`JobGraph`]: the position at which it was given to [`JobGraph::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u32);

impl JobId {
    /// The id of the job at a position.
    ///
    /// A position past `u32::MAX` becomes that number, which no graph has, so that [`JobGraph::new`] refuses it.
    pub fn new(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The position, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl Idx for JobId {
    fn index(self) -> usize {
        Self::index(self)
    }
}

/// Expected cost of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Wall time, in seconds: the last measurement, or a guess.
    pub seconds: u64,
    /// Peak memory, in MiB.
    pub memory_mib: u64,
}

/// A unit of work: a package to build, a source to fetch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Job {
    /// Name for errors and timings.
    pub name: String,
    /// Jobs that must have succeeded before this one starts.
    pub needs: Vec<JobId>,
    /// Expected cost.
    pub estimate: Estimate,
}

/// Jobs and their dependencies, known to be free of cycles.
#[derive(Debug, Clone)]
pub struct JobGraph {
    jobs: IndexVec<JobId, Job>,
    dependents: IndexVec<JobId, Vec<JobId>>,
    /// Seconds of the longest chain of jobs that begins with each job, itself included.
    urgency: IndexVec<JobId, u64>,
}

impl JobGraph {
    /// Checks the jobs and works out the critical path. Repeated needs count once. Time is linear in jobs and
    /// dependencies; nothing recurses, so the depth of the graph is bounded by memory only.
    ///
    /// # Errors
    /// [`JobGraphError::UnknownJob`] when a job needs one that is not there, [`JobGraphError::Cycle`] when jobs need
    /// one another in a circle.
    pub fn new(mut jobs: Vec<Job>) -> Result<Self, JobGraphError> {
        let count = jobs.len();
        let mut dependents = vec![Vec::new(); count];
        for (index, job) in jobs.iter_mut().enumerate() {
            job.needs.sort_unstable();
            job.needs.dedup();
            for need in &job.needs {
                let users = dependents
                    .get_mut(need.index())
                    .ok_or_else(|| JobGraphError::UnknownJob {
                        job: job.name.clone(),
                        index: need.index(),
                        count,
                    })?;
                users.push(JobId::new(index));
            }
        }
        let (jobs, dependents) = (jobs.into(), dependents.into());
        let order = topological_order(&jobs, &dependents)?;
        let urgency = longest_chains(&jobs, &dependents, &order);
        Ok(Self {
            jobs,
            dependents,
            urgency,
        })
    }

    /// Jobs that need nothing of one another.
    pub fn independent(jobs: impl IntoIterator<Item = (String, Estimate)>) -> Self {
        let jobs: IndexVec<JobId, _> = jobs
            .into_iter()
            .map(|(name, estimate)| Job {
                name,
                needs: Vec::new(),
                estimate,
            })
            .collect();
        Self {
            dependents: IndexVec::filled(Vec::new(), jobs.len()),
            urgency: jobs.iter().map(|job| job.estimate.seconds.max(1)).collect(),
            jobs,
        }
    }

    /// Number of jobs.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// True for a graph without jobs.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Ids of all jobs, in order.
    pub fn ids(&self) -> impl Iterator<Item = JobId> + use<> {
        ids(self.jobs.len())
    }

    /// The job of an id of this graph.
    pub fn job(&self, id: JobId) -> &Job {
        &self.jobs[id]
    }

    /// Jobs that need this one directly.
    pub fn dependents(&self, id: JobId) -> &[JobId] {
        &self.dependents[id]
    }

    /// Seconds of the longest chain of jobs that begins with this one: the job's priority.
    pub fn urgency(&self, id: JobId) -> u64 {
        self.urgency[id]
    }

    /// The targets and all that they need, directly or not.
    pub fn closure(&self, targets: impl IntoIterator<Item = JobId>) -> BTreeSet<JobId> {
        let mut found = BTreeSet::new();
        let mut open: Vec<JobId> = targets.into_iter().collect();
        while let Some(id) = open.pop() {
            if found.insert(id) {
                open.extend(&self.job(id).needs);
            }
        }
        found
    }
}

fn ids(count: usize) -> impl Iterator<Item = JobId> + use<> {
    (0..count).map(JobId::new)
}

/// Kahn's algorithm: every job after all that it needs.
fn topological_order(
    jobs: &IndexVec<JobId, Job>,
    dependents: &IndexVec<JobId, Vec<JobId>>,
) -> Result<Vec<JobId>, JobGraphError> {
    let mut missing: IndexVec<JobId, usize> = jobs.iter().map(|job| job.needs.len()).collect();
    let mut order: Vec<JobId> = ids(jobs.len()).filter(|id| missing[*id] == 0).collect();
    let mut next = 0;
    while let Some(id) = order.get(next).copied() {
        next += 1;
        for dependent in &dependents[id] {
            missing[*dependent] -= 1;
            if missing[*dependent] == 0 {
                order.push(*dependent);
            }
        }
    }
    if order.len() == jobs.len() {
        Ok(order)
    } else {
        Err(JobGraphError::Cycle {
            names: cycle(jobs, &missing),
        })
    }
}

/// Names along one cycle, each needing the next, the first repeated at the end. Jobs with `missing` needs are in a cycle
/// or need something that is, so that going from need to need comes round.
fn cycle(jobs: &IndexVec<JobId, Job>, missing: &IndexVec<JobId, usize>) -> Vec<String> {
    let stuck = |id: &JobId| missing[*id] > 0;
    let mut path: Vec<JobId> = Vec::new();
    let mut position = IndexVec::<JobId, _>::filled(None, jobs.len());
    let mut current = ids(jobs.len()).find(stuck);
    while let Some(id) = current {
        if let Some(start) = position[id] {
            path.push(id);
            return path.iter().skip(start).map(|id| jobs[*id].name.clone()).collect();
        }
        position[id] = Some(path.len());
        path.push(id);
        current = jobs[id].needs.iter().copied().find(stuck);
    }
    Vec::new()
}

fn longest_chains(
    jobs: &IndexVec<JobId, Job>,
    dependents: &IndexVec<JobId, Vec<JobId>>,
    order: &[JobId],
) -> IndexVec<JobId, u64> {
    let mut chains = IndexVec::<JobId, u64>::filled(0, jobs.len());
    for &id in order.iter().rev() {
        let above = dependents[id].iter().map(|dependent| chains[*dependent]).max();
        // A job of no time still is one: among equals, the longer chain goes first.
        chains[id] = above.unwrap_or(0).saturating_add(jobs[id].estimate.seconds.max(1));
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(needs: &[&[usize]]) -> Result<JobGraph, JobGraphError> {
        let jobs = needs.iter().enumerate().map(|(index, needs)| Job {
            name: format!("job{index}"),
            needs: needs.iter().copied().map(JobId::new).collect(),
            estimate: Estimate {
                seconds: 10,
                memory_mib: 1,
            },
        });
        JobGraph::new(jobs.collect())
    }

    #[test]
    fn urgency_is_the_longest_chain_of_dependents() {
        let graph = graph(&[&[], &[0], &[1, 0, 0], &[]]).expect("no cycle");
        let urgency: Vec<_> = graph.ids().map(|id| graph.urgency(id)).collect();
        assert_eq!(urgency, [30, 20, 10, 10]);
        assert_eq!(graph.dependents(JobId::new(0)), [JobId::new(1), JobId::new(2)]);
    }

    #[test]
    fn a_cycle_is_an_error_that_names_it() {
        let error = graph(&[&[], &[0, 3], &[1], &[2], &[3]]).expect_err("1, 3 and 2 need one another");
        let JobGraphError::Cycle { names } = error else {
            panic!("{error:?}")
        };
        assert_eq!(names, ["job1", "job3", "job2", "job1"]);
        assert!(matches!(graph(&[&[0]]), Err(JobGraphError::Cycle { .. })));
    }

    #[test]
    fn an_unknown_need_is_an_error() {
        let error = graph(&[&[], &[7]]).expect_err("there is no job 7");
        assert!(matches!(error, JobGraphError::UnknownJob { index: 7, count: 2, .. }));
    }

    #[test]
    fn a_chain_of_a_million_jobs_does_not_overflow_the_stack() {
        let count = 1_000_000;
        let jobs = (0..count).map(|index: usize| Job {
            needs: index.checked_sub(1).map(JobId::new).into_iter().collect(),
            ..Job::default()
        });
        let graph = JobGraph::new(jobs.collect()).expect("no cycle");
        assert_eq!(graph.urgency(JobId::new(0)), count as u64);
        assert_eq!(graph.closure([JobId::new(count - 1)]).len(), count);
    }
}
