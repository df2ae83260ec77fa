//! Runs of the executor in threads.

#![cfg(test)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use basalt_schedule::{
    Completion, Ended, Estimate, Executor, Job, JobError, JobEvent, JobGraph, JobId, Jobserver, Observer, RunError,
};
use proptest::prelude::*;

fn graph(jobs: &[(&[usize], u64, u64)]) -> JobGraph {
    let jobs = jobs.iter().enumerate().map(|(index, (needs, seconds, memory))| Job {
        name: format!("job{index}"),
        needs: needs.iter().copied().map(JobId::new).collect(),
        estimate: Estimate {
            seconds: *seconds,
            memory_mib: *memory,
        },
    });
    JobGraph::new(jobs.collect()).expect("no cycle")
}

fn chain(length: usize) -> JobGraph {
    let jobs = (0..length).map(|index| Job {
        name: format!("job{index}"),
        needs: index.checked_sub(1).map(JobId::new).into_iter().collect(),
        ..Job::default()
    });
    JobGraph::new(jobs.collect()).expect("no cycle")
}

#[test]
fn results_are_passed_from_job_to_job() {
    let graph = graph(&[(&[], 1, 1), (&[0], 1, 1), (&[0], 1, 1), (&[1, 2], 1, 1)]);
    let run = Executor::new(&graph).workers(3).run([(JobId::new(1), 100)], |job| {
        let needs = &graph.job(job.job()).needs;
        let sum: u64 = needs.iter().filter_map(|need| job.result(*need)).sum();
        Ok::<_, ()>(Completion::Executed(sum + 1))
    });
    let ran: BTreeSet<_> = run.spans.iter().map(|span| span.job.index()).collect();
    assert_eq!(ran, BTreeSet::from([0, 2, 3]));
    assert!(run.spans.iter().all(|span| span.start <= span.end));
    let results = run.into_results().expect("all succeed");
    assert_eq!(results, [Some(1), Some(100), Some(2), Some(103)]);
}

#[test]
fn only_the_closure_of_the_targets_is_run() {
    let graph = graph(&[(&[], 1, 1), (&[0], 1, 1), (&[0], 1, 1)]);
    let wanted = graph.closure([JobId::new(2)]);
    let run = Executor::new(&graph)
        .only(&wanted)
        .run([], |job| Ok::<_, ()>(Completion::Cached(job.job().index())));
    assert_eq!(run.results, [Some(0), None, Some(2)]);
    assert!(run.spans.iter().all(|span| span.ended == Ended::Cached));
}

#[test]
fn the_first_failure_ends_the_run() {
    let graph = chain(5);
    let run = Executor::new(&graph).workers(2).run([], |job| match job.job().index() {
        2 => Err("broken"),
        index => Ok(Completion::Executed(index)),
    });
    assert_eq!(run.results, [Some(0), Some(1), None, None, None]);
    let Err(RunError::Failed { first, others }) = run.into_results() else {
        panic!("it failed")
    };
    assert!(others.is_empty());
    assert_eq!(first.name, "job2");
    assert!(matches!(first.error, JobError::Failed("broken")));
}

/// Observer that records the events.
#[derive(Default)]
struct Recorder(Mutex<Vec<(usize, JobEvent)>>);

impl Observer for Recorder {
    fn event(&self, job: JobId, event: JobEvent) {
        self.0.lock().expect("no panic").push((job.index(), event));
    }
}

#[test]
fn what_does_not_need_a_failure_is_done_when_asked() {
    let graph = graph(&[(&[], 9, 1), (&[0], 1, 1), (&[], 1, 1), (&[2], 1, 1)]);
    let recorder = Recorder::default();
    let run = Executor::new(&graph)
        .workers(1)
        .keep_going(true)
        .observer(&recorder)
        .run([], |job| match job.job().index() {
            0 => Err(()),
            index => Ok(Completion::Executed(index)),
        });
    assert_eq!(run.results, [None, None, Some(2), Some(3)]);
    let events = recorder.0.into_inner().expect("no panic");
    let executed = JobEvent::Ended(Ended::Executed);
    let expected = [
        (0, JobEvent::Started),
        (0, JobEvent::Ended(Ended::Failed)),
        (1, JobEvent::Skipped),
        (2, JobEvent::Started),
        (2, executed),
        (3, JobEvent::Started),
        (3, executed),
    ];
    assert_eq!(events, expected);
}

#[test]
fn a_panic_fails_the_whole_and_names_its_job() {
    for (workers, keep_going) in [(1, false), (1, true), (4, false), (4, true)] {
        let graph = chain(100);
        let run = Executor::new(&graph)
            .workers(workers)
            .keep_going(keep_going)
            .run([], |job| {
                assert_ne!(job.job().index(), 3, "three is too many");
                Ok::<_, ()>(Completion::Executed(()))
            });
        let Err(RunError::Failed { first, others }) = run.into_results() else {
            panic!("with {workers} workers the panic was lost")
        };
        assert!(others.is_empty());
        let JobError::Panicked(panic) = &first.error else {
            panic!("{first:?}")
        };
        assert_eq!((first.name.as_str(), panic.name.as_str()), ("job3", "job3"));
        assert!(panic.message.contains("three is too many"), "{panic}");
    }
}

#[test]
fn a_panic_of_an_observer_fails_the_whole() {
    struct PanickingObserver;
    impl Observer for PanickingObserver {
        fn event(&self, job: JobId, event: JobEvent) {
            assert!(job.index() != 1 || event == JobEvent::Started, "dropped it");
        }
    }
    let graph = chain(3);
    let run = Executor::new(&graph)
        .workers(2)
        .observer(&PanickingObserver)
        .run([], |_| Ok::<_, ()>(Completion::Executed(())));
    assert_eq!(run.failures.len(), 1);
    assert!(matches!(&run.failures[0].error, JobError::Panicked(panic) if panic.message == "dropped it"));
}

#[test]
fn the_first_of_several_workers_takes_the_longest_and_the_others_the_quickest() {
    for (workers, first) in [(1, vec![8]), (2, vec![0, 8])] {
        let jobs: Vec<(&[usize], u64, u64)> = (0..9).map(|index| (&[] as &[usize], index + 1, 1)).collect();
        let graph = graph(&jobs);
        let begun = Mutex::new(Vec::new());
        // Every worker has begun before one of them goes on.
        let together = Barrier::new(workers);
        let run = Executor::new(&graph).workers(workers).both_ends(true).run([], |job| {
            begun.lock().expect("no panic").push(job.job().index());
            if first.contains(&job.job().index()) {
                together.wait();
            }
            Ok::<_, ()>(Completion::Executed(()))
        });
        assert!(run.into_results().is_ok());
        let mut begun = begun.into_inner().expect("no panic");
        begun[..workers].sort_unstable();
        assert_eq!(begun[..workers], first);
    }
}

#[test]
fn the_jobserver_bounds_what_computes_but_not_what_waits() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = camino::Utf8Path::from_path(folder.path()).expect("UTF-8");
    let server = Jobserver::create(path, 3).expect("a jobserver");
    let jobs: Vec<(&[usize], u64, u64)> = vec![(&[], 1, 1); 24];
    let graph = graph(&jobs);
    let (working, computing, most) = (Barrier::new(6), AtomicUsize::new(0), AtomicUsize::new(0));
    let run = Executor::new(&graph).workers(6).jobserver(&server).run([], |job| {
        // Six look things up at once, whatever the tokens.
        working.wait();
        let _token = job.acquire().map_err(|error| error.to_string())?;
        let now = computing.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(2));
        computing.fetch_sub(1, Ordering::SeqCst);
        Ok::<_, String>(Completion::Executed(()))
    });
    assert!(run.into_results().is_ok());
    assert_eq!(most.into_inner(), 3);
    assert_eq!(server.unused(), 3);
}

#[test]
fn a_job_that_waits_for_tokens_gives_up_when_another_fails() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = camino::Utf8Path::from_path(folder.path()).expect("UTF-8");
    let server = Jobserver::create(path, 1).expect("a jobserver");
    let graph = graph(&[(&[], 9, 1), (&[], 1, 1)]);
    let both = Barrier::new(2);
    let run = Executor::new(&graph).workers(2).jobserver(&server).run([], |job| {
        if job.job().index() == 0 {
            let _token = job.acquire().map_err(|error| error.to_string())?;
            both.wait();
            std::thread::sleep(Duration::from_millis(20));
            return Err("broken".to_owned());
        }
        both.wait();
        job.acquire().map_err(|error| error.to_string())?;
        // Only if the token came before the failure was known.
        Ok(Completion::Executed(()))
    });
    let failed: Vec<_> = run.failures.iter().map(|failure| failure.name.as_str()).collect();
    assert_eq!(failed, ["job0"]);
    assert!(!run.interrupted);
    assert_eq!(server.unused(), 1);
}

#[test]
fn five_thousand_jobs_are_planned_and_run() {
    let count = 5000_usize;
    // Ten dependencies each, spread by a linear congruence: as many edges as a distribution has.
    let jobs = (0..count).map(|index| Job {
        name: format!("job{index}"),
        needs: (0..10)
            .filter(|_| index > 0)
            .map(|edge| JobId::new((index * 7919 + edge * 104_729) % index))
            .collect(),
        estimate: Estimate {
            seconds: (index * 31 % 600) as u64,
            memory_mib: (index * 17 % 50 * 64) as u64,
        },
    });
    let graph = JobGraph::new(jobs.collect()).expect("edges go one way");
    let run = Executor::new(&graph)
        .workers(8)
        .memory_mib(16_000)
        .run([], |job| Ok::<_, ()>(Completion::Executed(job.job())));
    assert_eq!(run.spans.len(), count);
    let results = run.into_results().expect("all succeed");
    assert!(results.iter().zip(graph.ids()).all(|(result, id)| *result == Some(id)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Property: for any graph, workers, failures and panics, the run ends; every job that ran did so once, after all
    /// that it needs; every job that needs no failed one is done; memory is never exceeded but by one job that runs
    /// alone.
    #[test]
    fn every_run_ends_with_all_that_could_be_done(
        edges in proptest::collection::vec((0usize..20, 0usize..20), 0..60),
        estimates in proptest::collection::vec((0u64..9, 0u64..9), 20),
        fates in proptest::collection::vec(0u8..12, 20),
        workers in 1usize..6,
        memory in 1u64..20,
    ) {
        let mut jobs: Vec<_> = estimates
            .iter()
            .map(|(seconds, memory_mib)| Job {
                estimate: Estimate { seconds: *seconds, memory_mib: *memory_mib },
                ..Job::default()
            })
            .collect();
        for (one, other) in edges {
            if one < other {
                jobs[other].needs.push(JobId::new(one));
            }
        }
        let graph = JobGraph::new(jobs).expect("edges go one way");
        let (used, running) = (AtomicU64::new(0), AtomicUsize::new(0));
        let exceeded = AtomicUsize::new(0);
        let run = Executor::new(&graph).workers(workers).memory_mib(memory).keep_going(true).run([], |job| {
            let mine = graph.job(job.job()).estimate.memory_mib;
            let others = running.fetch_add(1, Ordering::SeqCst);
            let now = used.fetch_add(mine, Ordering::SeqCst) + mine;
            if now > memory && others > 0 {
                exceeded.fetch_add(1, Ordering::SeqCst);
            }
            let ready = graph.job(job.job()).needs.iter().all(|need| job.result(*need).is_some());
            std::thread::yield_now();
            used.fetch_sub(mine, Ordering::SeqCst);
            running.fetch_sub(1, Ordering::SeqCst);
            match fates[job.job().index()] {
                0 => Err(()),
                1 => std::panic::panic_any("unlucky"),
                _ => Ok(Completion::Executed(ready)),
            }
        });
        prop_assert_eq!(exceeded.into_inner(), 0);
        prop_assert!(!run.interrupted);
        prop_assert!(run.results.iter().flatten().all(|ready| *ready));
        let ran: BTreeSet<_> = run.spans.iter().map(|span| span.job).collect();
        prop_assert_eq!(ran.len(), run.spans.len());
        let panicked = run.failures.iter().any(|failure| matches!(failure.error, JobError::Panicked(_)));
        if !panicked {
            for id in graph.ids() {
                let doomed = graph.closure([id]).into_iter().any(|need| fates[need.index()] == 0);
                prop_assert_eq!(run.results[id.index()].is_some(), !doomed);
            }
        }
        let failed = run.spans.iter().filter(|span| matches!(span.ended, Ended::Failed | Ended::Panicked)).count();
        prop_assert_eq!(failed, run.failures.len());
    }
}
