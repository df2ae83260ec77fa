//! Timings of a run: where the time went, as an HTML page and as JSON.
//!
//! [`jobs`] takes what the executor measured and adds what the caller did (CPU time, memory); [`Timings::new`] works out
//! the critical path and the use of the cores; [`Timings::html`] and [`Timings::json`] show it. Pure: nothing is written.

mod chart;
mod page;
mod text;

use std::time::Duration;

use serde::Serialize;

use crate::{Ended, Estimate, IndexVec, Job, JobGraph, JobGraphError, JobId, JobSpan};

/// Outcome of a job in the timings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobOutcome {
    /// Built now.
    Built,
    /// Found in the store.
    Cached,
    /// Failed, panicked or was stopped.
    Failed,
}

/// A job as it was measured. Times are seconds since the start of the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimedJob {
    /// Name of the job.
    pub name: String,
    /// Start.
    pub start: f64,
    /// End.
    pub end: f64,
    /// User and system CPU time of all its processes, in seconds.
    pub cpu: Option<f64>,
    /// Peak memory of all its processes together, in MiB.
    pub peak_memory_mib: Option<u64>,
    /// Outcome.
    pub outcome: JobOutcome,
    /// Positions, in the list of timed jobs, of the jobs that it needed.
    pub needs: Vec<usize>,
}

impl TimedJob {
    /// Wall time, in seconds.
    pub fn wall(&self) -> f64 {
        (self.end - self.start).max(0.0)
    }

    /// Cores that it used on average.
    pub fn cores_used(&self) -> Option<f64> {
        let wall = self.wall();
        self.cpu.filter(|_| wall > 0.0).map(|cpu| cpu / wall)
    }
}

/// Measurements of a job that the executor does not take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measurement {
    /// User and system CPU time of all its processes.
    pub cpu: Option<Duration>,
    /// Peak memory of all its processes together, in MiB.
    pub peak_memory_mib: Option<u64>,
}

/// Timed jobs of a run, in the order of their starts. Jobs that were not in work are left out.
pub fn jobs(graph: &JobGraph, spans: &[JobSpan], measured: impl Fn(JobId) -> Measurement) -> Vec<TimedJob> {
    let mut spans: Vec<&JobSpan> = spans.iter().collect();
    spans.sort_by_key(|span| (span.start, span.job));
    let mut positions = IndexVec::filled(None, graph.len());
    for (position, span) in spans.iter().enumerate() {
        positions[span.job] = Some(position);
    }
    let timed = |span: &&JobSpan| {
        let job = graph.job(span.job);
        let measurement = measured(span.job);
        TimedJob {
            name: job.name.clone(),
            start: span.start.as_secs_f64(),
            end: span.end.as_secs_f64(),
            cpu: measurement.cpu.map(|cpu| cpu.as_secs_f64()),
            peak_memory_mib: measurement.peak_memory_mib,
            outcome: match span.ended {
                Ended::Executed => JobOutcome::Built,
                Ended::Cached => JobOutcome::Cached,
                Ended::Failed | Ended::Panicked | Ended::Stopped => JobOutcome::Failed,
            },
            needs: job.needs.iter().filter_map(|need| positions[*need]).collect(),
        }
    };
    spans.iter().map(timed).collect()
}

/// Timings of a run, with what follows from them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timings {
    /// Heading of the page: the command.
    pub title: String,
    /// Cores of the machine that the run might use.
    pub cores: usize,
    /// End of the last job, in seconds.
    pub wall: f64,
    /// CPU time of all jobs that report theirs, in seconds.
    pub cpu: f64,
    /// Part of the cores' time that was used, from 0 to 1.
    pub busy: f64,
    /// Positions of the jobs of the critical path, from the first to the last: the chain of needs with the most wall time.
    pub critical_path: Vec<usize>,
    /// Wall time along the critical path, in seconds: no number of cores makes the run shorter, unless jobs become quicker.
    pub critical_wall: f64,
    /// Jobs, in the order given.
    pub jobs: Vec<TimedJob>,
}

impl Timings {
    /// Works out the critical path and the sums.
    ///
    /// # Errors
    /// When the needs name jobs that are not there, or form a cycle.
    pub fn new(title: impl Into<String>, cores: usize, jobs: Vec<TimedJob>) -> Result<Self, JobGraphError> {
        let critical_path = critical_path(&jobs)?;
        let wall = jobs.iter().map(|job| job.end).fold(0.0, f64::max);
        let cpu = total(jobs.iter().filter_map(|job| job.cpu));
        let available = wall * float(cores);
        Ok(Self {
            title: title.into(),
            cores,
            wall,
            cpu,
            busy: if available > 0.0 { cpu / available } else { 0.0 },
            critical_wall: total(
                critical_path
                    .iter()
                    .filter_map(|index| jobs.get(*index))
                    .map(TimedJob::wall),
            ),
            critical_path,
            jobs,
        })
    }

    /// The page: self-contained, without scripts.
    pub fn html(&self) -> String {
        page::html(self)
    }

    /// All numbers, as indented JSON.
    ///
    /// # Errors
    /// When a time is no finite number.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

/// Sum of times, in seconds. That of none is 0: `Iterator::sum` has -0.0 for it, which is shown as such.
fn total(seconds: impl Iterator<Item = f64>) -> f64 {
    seconds.fold(0.0, |sum, more| sum + more)
}

/// A count of jobs, cores or letters for the arithmetic of charts.
fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The chain of needs with the most wall time, by the same arithmetic as the scheduler's, in milliseconds.
fn critical_path(jobs: &[TimedJob]) -> Result<Vec<usize>, JobGraphError> {
    let weighted = jobs.iter().map(|job| Job {
        name: job.name.clone(),
        needs: job.needs.iter().copied().map(JobId::new).collect(),
        estimate: Estimate {
            seconds: Duration::try_from_secs_f64(job.wall())
                .map_or(0, |wall| u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)),
            memory_mib: 0,
        },
    });
    let graph = JobGraph::new(weighted.collect())?;
    let heaviest =
        |jobs: &mut dyn Iterator<Item = JobId>| jobs.max_by_key(|id| (graph.urgency(*id), std::cmp::Reverse(*id)));
    let mut path = Vec::new();
    let mut next = heaviest(&mut graph.ids());
    while let Some(id) = next {
        path.push(id.index());
        next = heaviest(&mut graph.dependents(id).iter().copied());
    }
    Ok(path)
}

#[cfg(test)]
mod tests;
