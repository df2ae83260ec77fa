//! The timings page. Put together by hand: three tables and two charts do not pay for a template engine.

use std::fmt::Write as _;

use super::text::{escape, percent, seconds};
use super::{JobOutcome, TimedJob, Timings, chart};

const STYLE: &str = include_str!("style.css");

/// The page of the timings.
pub(super) fn html(timings: &Timings) -> String {
    let title = escape(&timings.title);
    let (gantt, left_out) = chart::gantt(timings);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Timings: {title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>Timings: <code>{title}</code></h1>\n"
    );
    summary(&mut page, timings);
    page += "<h2>Cores</h2>\n<p class=\"key\"><span class=\"cores\"></span> cores in use, each job's average \
             <span class=\"jobs\"></span> jobs in work <span class=\"limit\"></span> cores there are</p>\n";
    page += &chart::cores(timings);
    page += "<h2>Jobs</h2>\n<p class=\"key\"><span class=\"critical\"></span> on the critical path \
             <span class=\"built\"></span> built <span class=\"failed\"></span> failed</p>\n";
    page += &gantt;
    if left_out > 0 {
        _ = writeln!(page, "<p>{left_out} shorter jobs are not shown.</p>");
    }
    critical_path(&mut page, timings);
    table(&mut page, timings);
    page + "</body>\n</html>\n"
}

fn summary(page: &mut String, timings: &Timings) {
    let count = |outcome| timings.jobs.iter().filter(|job| job.outcome == outcome).count();
    let share = if timings.wall > 0.0 {
        timings.critical_wall / timings.wall
    } else {
        0.0
    };
    let rows = [
        ("Wall time", seconds(timings.wall)),
        ("CPU time", seconds(timings.cpu)),
        ("Cores", format!("{}, {} busy", timings.cores, percent(timings.busy))),
        (
            "Critical path",
            format!(
                "{}, {} of the wall time",
                seconds(timings.critical_wall),
                percent(share)
            ),
        ),
        (
            "Jobs",
            format!(
                "{} built, {} cached, {} failed",
                count(JobOutcome::Built),
                count(JobOutcome::Cached),
                count(JobOutcome::Failed)
            ),
        ),
    ];
    *page += "<table class=\"summary\">\n";
    for (name, value) in rows {
        _ = writeln!(page, "<tr><th>{name}</th><td>{value}</td></tr>");
    }
    *page += "</table>\n";
}

fn critical_path(page: &mut String, timings: &Timings) {
    *page += "<h2>Critical path</h2>\n<p>The chain of needs with the most wall time. Waited is the time between the end of \
              the last need and the start.</p>\n<table>\n<tr><th>Job</th><th>Start</th><th>Waited</th><th>Wall</th></tr>\n";
    for job in timings
        .critical_path
        .iter()
        .filter_map(|index| timings.jobs.get(*index))
    {
        let needs = job.needs.iter().filter_map(|need| timings.jobs.get(*need));
        let needed = needs.map(|need| need.end).fold(0.0, f64::max);
        _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&job.name),
            seconds(job.start),
            seconds((job.start - needed).max(0.0)),
            seconds(job.wall())
        );
    }
    *page += "</table>\n";
}

/// Table of all jobs that were not cached, those with the most CPU time first.
fn table(page: &mut String, timings: &Timings) {
    let mut rows: Vec<(usize, &TimedJob)> = timings
        .jobs
        .iter()
        .enumerate()
        .filter(|(_, job)| job.outcome != JobOutcome::Cached)
        .collect();
    let weight = |job: &TimedJob| (job.cpu.unwrap_or(0.0), job.wall());
    rows.sort_by(|one, other| {
        let (one, other) = (weight(one.1), weight(other.1));
        other.0.total_cmp(&one.0).then(other.1.total_cmp(&one.1))
    });
    *page += "<h2>CPU time</h2>\n<table>\n<tr><th>Job</th><th>CPU</th><th>Share</th><th>Wall</th><th>Cores used</th>\
              <th>Memory</th><th>Critical</th><th>Outcome</th></tr>\n";
    for (index, job) in rows {
        let share = job
            .cpu
            .filter(|_| timings.cpu > 0.0)
            .map(|cpu| percent(cpu / timings.cpu));
        let outcome = match job.outcome {
            JobOutcome::Failed => "failed",
            _ => "built",
        };
        let critical = if timings.critical_path.contains(&index) {
            "yes"
        } else {
            ""
        };
        _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{critical}</td><td>{outcome}</td></tr>",
            escape(&job.name),
            job.cpu.map(seconds).unwrap_or_default(),
            share.unwrap_or_default(),
            seconds(job.wall()),
            job.cores_used().map(|cores| format!("{cores:.2}")).unwrap_or_default(),
            job.peak_memory_mib.map(|mib| format!("{mib} MiB")).unwrap_or_default(),
        );
    }
    *page += "</table>\n";
}
