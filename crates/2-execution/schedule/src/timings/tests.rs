use super::*;

fn job(name: &str, (start, end): (f64, f64), cpu: Option<f64>, needs: &[usize]) -> TimedJob {
    TimedJob {
        name: name.to_owned(),
        start,
        end,
        cpu,
        peak_memory_mib: cpu.map(|_| 128),
        outcome: JobOutcome::Built,
        needs: needs.to_vec(),
    }
}

/// A small run on two cores: a compiler, a library on it, a program in another language beside them, one that failed.
fn small() -> Timings {
    let mut jobs = vec![
        job("gcc", (0.0, 60.0), Some(90.0), &[]),
        job("runc", (0.5, 20.5), Some(20.0), &[]),
        job("zlib", (60.0, 62.0), None, &[0]),
        job("glibc", (60.0, 180.0), Some(200.5), &[0]),
        job("a<b & \"c\"", (181.0, 190.0), Some(8.0), &[2, 3]),
        job("tzdata", (20.5, 20.6), None, &[]),
    ];
    jobs[4].outcome = JobOutcome::Failed;
    jobs[5].outcome = JobOutcome::Cached;
    Timings::new("basalt build node", 2, jobs).expect("no cycle")
}

#[test]
fn the_critical_path_is_the_longest_chain() {
    let timings = small();
    assert_eq!(timings.critical_path, [0, 3, 4]);
    assert_eq!(timings.critical_wall, 189.0);
    assert_eq!(timings.wall, 190.0);
    assert_eq!(timings.cpu, 318.5);
    assert!((timings.busy - 318.5 / 380.0).abs() < 1e-9);
}

#[test]
fn the_page_is_as_it_was() {
    insta::assert_snapshot!("page", small().html());
}

#[test]
fn the_json_is_as_it_was() {
    insta::assert_snapshot!("json", small().json().expect("finite numbers"));
}

#[test]
fn an_empty_run_has_a_page_too() {
    let timings = Timings::new("basalt build", 2, Vec::new()).expect("no cycle");
    let page = timings.html();
    assert!(
        !page.contains("NaN") && !page.contains("inf") && !page.contains("-0"),
        "{page}"
    );
    assert!(timings.busy.is_sign_positive() && timings.critical_wall.is_sign_positive());
}

#[test]
fn a_run_that_measured_nothing_has_no_negative_zero() {
    let timings = Timings::new("basalt build", 2, vec![job("kernel", (0.0, 119.5), None, &[])]).expect("no cycle");
    assert!(timings.cpu.is_sign_positive() && timings.busy.is_sign_positive());
    assert!(timings.html().contains("0.0 % busy"), "{}", timings.html());
}

#[test]
fn many_jobs_are_cut_to_the_longest() {
    let jobs = (0..5000).map(|index| {
        let start = f64::from(index);
        job(
            &format!("job{index}"),
            (start, start + 1.0 + start / 1e4),
            Some(1.0),
            &[],
        )
    });
    let page = Timings::new("basalt build", 8, jobs.collect())
        .expect("no cycle")
        .html();
    assert!(page.contains("4700 shorter jobs are not shown"));
    assert_eq!(page.matches("<rect").count(), 300);
    assert!(page.contains(">job4999 1.5 s<") && !page.contains(">job0 1.0 s<"));
}

#[test]
fn spans_become_timed_jobs() {
    let needs = |needs: &[usize]| needs.iter().copied().map(JobId::new).collect();
    let graph = JobGraph::new(vec![
        Job {
            name: "known".to_owned(),
            ..Job::default()
        },
        Job {
            name: "second".to_owned(),
            needs: needs(&[0, 2]),
            ..Job::default()
        },
        Job {
            name: "first".to_owned(),
            needs: needs(&[0]),
            ..Job::default()
        },
    ])
    .expect("no cycle");
    let span = |job, start, end, ended| JobSpan {
        job: JobId::new(job),
        worker: 0,
        start: Duration::from_secs(start),
        end: Duration::from_secs(end),
        ended,
    };
    let spans = [span(1, 3, 4, Ended::Stopped), span(2, 1, 3, Ended::Executed)];
    let timed = jobs(&graph, &spans, |job| Measurement {
        cpu: (job.index() == 2).then_some(Duration::from_millis(1500)),
        peak_memory_mib: None,
    });
    let names: Vec<_> = timed
        .iter()
        .map(|job| (job.name.as_str(), &job.needs[..], job.cpu))
        .collect();
    assert_eq!(names, [("first", &[][..], Some(1.5)), ("second", &[0][..], None)]);
    assert_eq!(timed[1].outcome, JobOutcome::Failed);
}
