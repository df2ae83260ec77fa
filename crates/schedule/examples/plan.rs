//! Time and memory of planning and running synthetic jobs that do nothing:
//! `cargo run --profile tool -p basalt-schedule --example plan -- 5000 10` (jobs, needs of each).

use std::time::Instant;

use basalt_schedule::{Completion, Estimate, Executor, GraphError, Job, JobGraph, JobId};

fn jobs(count: usize, needs: usize) -> Vec<Job> {
    let job = |index: usize| Job {
        name: format!("package{index}"),
        // Spread over all jobs before it, with numbers that share no factor.
        needs: (0..needs)
            .filter(|_| index > 0)
            .map(|edge| JobId::new((index * 7919 + edge * 104_729) % index))
            .collect(),
        estimate: Estimate {
            seconds: (index * 31 % 600) as u64,
            memory_mib: (index * 17 % 50 * 64) as u64,
        },
    };
    (0..count).map(job).collect()
}

/// Peak memory of this process, as `/proc/self/status` has it.
fn peak_memory() -> String {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}

#[expect(clippy::print_stdout, reason = "an example that measures")]
fn main() -> Result<(), GraphError> {
    let mut arguments = std::env::args().skip(1).map_while(|argument| argument.parse().ok());
    let (count, needs) = (arguments.next().unwrap_or(5000), arguments.next().unwrap_or(10));
    let jobs = jobs(count, needs);
    let began = Instant::now();
    let graph = JobGraph::new(jobs)?;
    let planned = began.elapsed();
    let run = Executor::new(&graph)
        .memory_mib(16_000)
        .run([], |_| Ok::<_, ()>(Completion::Executed(())));
    println!(
        "{count} jobs planned in {planned:?}; {} run after {:?}; peak memory {}",
        run.spans.len(),
        began.elapsed(),
        peak_memory()
    );
    Ok(())
}
