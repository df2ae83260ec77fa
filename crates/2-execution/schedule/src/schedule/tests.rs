use proptest::prelude::*;

use super::*;
use crate::{Estimate, Job};

fn graph(jobs: &[(&[usize], u64, u64)]) -> JobGraph {
    let jobs = jobs.iter().enumerate().map(|(index, (needs, seconds, memory))| Job {
        name: index.to_string(),
        needs: needs.iter().copied().map(JobId::new).collect(),
        estimate: Estimate {
            seconds: *seconds,
            memory_mib: *memory,
        },
    });
    JobGraph::new(jobs.collect()).expect("no cycle")
}

/// One step of a table: what happens, or what is asked and answered.
enum Step {
    Start(Next),
    Quick(Next),
    Done(usize),
    Failed(usize, &'static [usize]),
}

fn carry_out(graph: &JobGraph, memory: u64, steps: &[Step]) {
    let mut schedule = Schedule::new(graph, memory);
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Start(next) => assert_eq!(schedule.start(End::Urgent), *next, "step {number}"),
            Step::Quick(next) => assert_eq!(schedule.start(End::Quick), *next, "step {number}"),
            Step::Done(job) => schedule.done(JobId::new(*job)),
            Step::Failed(job, skipped) => {
                let mut all = schedule.failed(JobId::new(*job));
                all.sort_unstable();
                let skipped: Vec<_> = skipped.iter().copied().map(JobId::new).collect();
                assert_eq!(all, skipped, "step {number}");
            }
        }
    }
}

fn start(job: usize) -> Step {
    Step::Start(Next::Start(JobId::new(job)))
}

const WAIT: Step = Step::Start(Next::Wait);
const FINISHED: Step = Step::Start(Next::Finished);

#[test]
fn plans_go_step_by_step() {
    use Step::{Done, Failed, Quick};
    type Table<'a> = (&'a str, JobGraph, u64, Vec<Step>);
    let tables: [Table<'_>; 6] = [
        (
            "the critical path goes first: 0 is long but carries nothing, 1 carries 2",
            graph(&[(&[], 50, 1), (&[], 5, 1), (&[1], 60, 1)]),
            8,
            vec![start(1), start(0), WAIT, Done(1), start(2), Done(0), Done(2), FINISHED],
        ),
        (
            "of equals, the one that was given first",
            graph(&[(&[], 5, 1), (&[], 5, 2), (&[], 5, 1)]),
            8,
            vec![start(0), start(1), start(2), WAIT],
        ),
        (
            "more memory than there is at all is given to a job that is alone",
            graph(&[(&[], 9, 100), (&[], 8, 100), (&[], 7, 1)]),
            10,
            vec![start(0), WAIT, Done(0), start(1), Done(1), start(2), Done(2), FINISHED],
        ),
        (
            "what fits goes before what does not",
            graph(&[(&[], 9, 6), (&[], 8, 6), (&[], 7, 4)]),
            10,
            vec![start(0), start(2), WAIT, Done(2), WAIT, Done(0), start(1)],
        ),
        (
            "what needs a failure is skipped",
            graph(&[(&[], 9, 1), (&[0], 1, 1), (&[1], 1, 1), (&[], 1, 1)]),
            8,
            vec![start(0), Failed(0, &[1, 2]), start(3), Done(3), FINISHED],
        ),
        (
            "the quick end",
            graph(&[(&[], 9, 1), (&[], 3, 2), (&[], 5, 1)]),
            8,
            vec![
                start(0),
                Quick(Next::Start(JobId::new(1))),
                Quick(Next::Start(JobId::new(2))),
                Quick(Next::Wait),
            ],
        ),
    ];
    for (what, graph, memory, steps) in &tables {
        let outcome = std::panic::catch_unwind(|| carry_out(graph, *memory, steps));
        assert!(outcome.is_ok(), "{what}");
    }
}

#[test]
fn results_from_before_open_the_way() {
    let graph = graph(&[(&[], 1, 1), (&[0], 1, 1), (&[1], 1, 1)]);
    let mut schedule = Schedule::new(&graph, 8);
    schedule.done(JobId::new(1));
    schedule.done(JobId::new(0));
    schedule.done(JobId::new(0));
    assert_eq!(schedule.pending(), [JobId::new(2)]);
    assert_eq!(schedule.start(End::Urgent), Next::Start(JobId::new(2)));
}

#[test]
fn small_jobs_do_not_keep_a_large_one_out_for_ever() {
    // Two small jobs at a time leave no memory for the large and urgent one.
    let mut jobs: Vec<(&[usize], u64, u64)> = vec![(&[], 1000, 9)];
    jobs.extend(std::iter::repeat_n((&[] as &[usize], 1, 2), 100));
    jobs[1].1 = 2000;
    let graph = graph(&jobs);
    let mut schedule = Schedule::new(&graph, 10);
    let mut running = vec![match schedule.start(End::Urgent) {
        Next::Start(job) => job,
        other => panic!("{other:?}"),
    }];
    let mut before = 0;
    loop {
        match schedule.start(End::Urgent) {
            Next::Start(job) if job == JobId::new(0) => break,
            Next::Start(job) => {
                running.push(job);
                before += 1;
            }
            Next::Wait => schedule.done(running.remove(0)),
            Next::Finished => panic!("the large job was never started"),
        }
    }
    assert_eq!(before, BACKFILL_LIMIT);
}

/// The scheduler in the plainest form: every question is answered by a look at all jobs.
struct Model<'a> {
    graph: &'a JobGraph,
    states: Vec<JobState>,
    memory: u64,
    passed_over: Option<(JobId, u32)>,
}

impl Model<'_> {
    fn all(&self, state: JobState) -> Vec<JobId> {
        let is = |id: &JobId| self.states[id.index()] == state;
        self.graph.ids().filter(is).collect()
    }

    fn used(&self) -> u64 {
        let memory = |id: JobId| self.graph.job(id).estimate.memory_mib;
        self.all(JobState::Running).into_iter().map(memory).sum()
    }

    fn start(&mut self) -> Next {
        let alone = self.all(JobState::Running).is_empty();
        let done = |id: &JobId| self.states[id.index()] == JobState::Done;
        let mut ready = self.all(JobState::Waiting);
        ready.retain(|id| self.graph.job(*id).needs.iter().all(done));
        ready.sort_by_key(|id| (Reverse(self.graph.urgency(*id)), *id));
        let fits = |id: &&JobId| alone || self.used() + self.graph.job(**id).estimate.memory_mib <= self.memory;
        let Some(chosen) = ready.iter().find(fits).copied() else {
            return if alone { Next::Finished } else { Next::Wait };
        };
        if chosen == ready[0] {
            self.passed_over = None;
        } else {
            let times = self
                .passed_over
                .filter(|(job, _)| *job == ready[0])
                .map_or(0, |(_, times)| times);
            if times >= BACKFILL_LIMIT {
                return Next::Wait;
            }
            self.passed_over = Some((ready[0], times + 1));
        }
        self.states[chosen.index()] = JobState::Running;
        Next::Start(chosen)
    }

    fn failed(&mut self, job: JobId) {
        self.states[job.index()] = JobState::Failed;
        loop {
            let lost = |id: &JobId| matches!(self.states[id.index()], JobState::Failed | JobState::Skipped);
            let mut hit = self.all(JobState::Waiting);
            hit.retain(|id| self.graph.job(*id).needs.iter().any(lost));
            if hit.is_empty() {
                return;
            }
            for id in hit {
                self.states[id.index()] = JobState::Skipped;
            }
        }
    }
}

const JOBS: usize = 40;

prop_compose! {
    fn any_graph()(
        edges in proptest::collection::vec((0..JOBS, 0..JOBS), 0..150),
        estimates in proptest::collection::vec((0u64..20, 0u64..12), JOBS),
    ) -> JobGraph {
        let mut jobs: Vec<_> = estimates
            .into_iter()
            .map(|(seconds, memory_mib)| Job {
                estimate: Estimate { seconds, memory_mib },
                ..Job::default()
            })
            .collect();
        for (one, other) in edges {
            if one < other {
                jobs[other].needs.push(JobId::new(one));
            }
        }
        JobGraph::new(jobs).expect("edges go one way")
    }
}

proptest! {
    /// Property: for any graph, memory, order of ends and failures, the scheduler answers as the model does, memory is
    /// never exceeded but by one job that runs alone, and the run ends with nothing left waiting.
    #[test]
    fn the_scheduler_is_equal_to_a_plain_model(
        graph in any_graph(),
        memory in 1u64..30,
        ends in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..10), 3 * JOBS),
    ) {
        let mut schedule = Schedule::new(&graph, memory);
        let mut model = Model {
            graph: &graph,
            states: vec![JobState::Waiting; JOBS],
            memory,
            passed_over: None,
        };
        let mut ends = ends.into_iter();
        loop {
            let next = schedule.start(End::Urgent);
            prop_assert_eq!(next, model.start());
            prop_assert_eq!(schedule.used_mib(), model.used());
            prop_assert!(schedule.used_mib() <= memory || schedule.running() == 1);
            match next {
                Next::Start(_) => {}
                Next::Wait => {
                    let (which, luck) = ends.next().expect("every job ends once");
                    let running = model.all(JobState::Running);
                    let job = *which.get(&running);
                    if luck == 0 {
                        schedule.failed(job);
                        model.failed(job);
                    } else {
                        schedule.done(job);
                        model.states[job.index()] = JobState::Done;
                    }
                }
                Next::Finished => break,
            }
            for id in graph.ids() {
                prop_assert_eq!(schedule.state(id), model.states[id.index()]);
            }
        }
        prop_assert!(schedule.pending().is_empty());
    }
}
