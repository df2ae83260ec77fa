//! An interruption of a run. A process of its own, because there is no way back from an interruption.

#![cfg(test)]

use std::time::{Duration, Instant};

use basalt_process::interrupt;
use basalt_schedule::{Completion, EachError, Executor, Job, JobGraph, JobId, Jobserver, RunError, each};

#[test]
fn an_interruption_ends_those_who_work_and_those_who_wait() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = camino::Utf8Path::from_path(folder.path()).expect("UTF-8");
    let server = Jobserver::create(path, 1).expect("a jobserver");
    // The first works for long, the second waits for its token, and a third worker for the first to end.
    let needs: [&[usize]; 3] = [&[], &[], &[0]];
    let jobs = needs.iter().map(|needs| Job {
        needs: needs.iter().copied().map(JobId::new).collect(),
        ..Job::default()
    });
    let graph = JobGraph::new(jobs.collect()).expect("no cycle");
    let requested = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(100));
        interrupt::request();
        Instant::now()
    });
    let run = Executor::new(&graph).workers(3).jobserver(&server).run([], |job| {
        let _token = job.acquire().map_err(|error| error.to_string())?;
        for _ in 0..1000 {
            interrupt::check().map_err(|error| error.to_string())?;
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok::<_, String>(Completion::Executed(()))
    });
    let noticed = requested.join().expect("no panic").elapsed();
    assert!(noticed < Duration::from_millis(500), "{noticed:?}");
    assert!(run.failures.is_empty(), "{:?}", run.failures);
    assert!(matches!(run.into_results(), Err(RunError::Interrupted)));
    assert_eq!(server.unused(), 1);
    assert_eq!(each(&[1, 2, 3], |_| Ok::<_, ()>(())), Err(EachError::Interrupted));
}
