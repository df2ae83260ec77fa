//! Charts of the timings page, as inline SVG.

use std::fmt::Write as _;

use super::text::{escape, seconds};
use super::{JobOutcome, TimedJob, Timings, float};

/// Width of the time axis, in pixels.
const WIDTH: f64 = 960.0;
/// Space beside the axis, for labels.
const MARGIN: f64 = 40.0;
/// Height of the chart of the cores.
const HEIGHT: f64 = 160.0;
/// Height of a job's row.
const ROW: f64 = 20.0;
/// Number of jobs that get a row: the longest.
const ROWS: usize = 300;
/// Pixels that a label takes per letter, at most.
const LETTER: f64 = 7.0;

/// Scale of a time axis.
struct Axis {
    wall: f64,
}

impl Axis {
    fn x(&self, time: f64) -> f64 {
        MARGIN + self.length(time)
    }

    fn length(&self, time: f64) -> f64 {
        if self.wall > 0.0 { time / self.wall * WIDTH } else { 0.0 }
    }

    /// Vertical lines with their times, at most ten.
    fn grid(&self, svg: &mut String, height: f64) {
        const STEPS: [f64; 16] = [
            0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0,
        ];
        let longest = self.wall / 10.0;
        let hours = (longest / 3600.0).ceil() * 3600.0;
        let step = STEPS.into_iter().find(|step| *step >= longest).unwrap_or(hours);
        let mut time = 0.0;
        while time <= self.wall {
            let x = self.x(time);
            _ = write!(
                svg,
                r#"<line class="grid" x1="{x:.1}" y1="0" x2="{x:.1}" y2="{height}"/>"#
            );
            let label = seconds(time);
            _ = writeln!(
                svg,
                r#"<text class="axis" x="{x:.1}" y="{:.0}">{label}</text>"#,
                height + 14.0
            );
            time += step;
        }
    }
}

fn open(height: f64, label: &str) -> String {
    let (width, height) = (WIDTH + 2.0 * MARGIN, height + 20.0);
    format!(
        "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">\n"
    )
}

/// A moment at which the number of jobs in work changed.
#[derive(Debug, PartialEq)]
struct Step {
    time: f64,
    jobs: usize,
    cores: f64,
}

/// Jobs in work, and the cores that they use on average, from each change to the next.
fn steps(jobs: &[TimedJob]) -> Vec<Step> {
    let mut changes: Vec<(f64, bool, f64)> = Vec::new();
    for job in jobs.iter().filter(|job| job.wall() > 0.0) {
        let cores = job.cores_used().unwrap_or(0.0);
        changes.push((job.start, true, cores));
        changes.push((job.end, false, cores));
    }
    changes.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let (mut count, mut used) = (0_usize, 0.0_f64);
    let mut steps: Vec<Step> = Vec::new();
    for (time, begins, cores) in changes {
        if begins {
            (count, used) = (count + 1, used + cores);
        } else {
            (count, used) = (count.saturating_sub(1), (used - cores).max(0.0));
        }
        steps.pop_if(|last| last.time == time);
        steps.push(Step {
            time,
            jobs: count,
            cores: used,
        });
    }
    steps
}

/// Chart of the cores in use and the jobs in work over time.
pub(super) fn cores(timings: &Timings) -> String {
    let axis = Axis { wall: timings.wall };
    let steps = steps(&timings.jobs);
    let most = steps
        .iter()
        .map(|step| step.cores.max(float(step.jobs)))
        .fold(float(timings.cores), f64::max)
        .max(1.0);
    let y = |value: f64| HEIGHT - value / most * (HEIGHT - 10.0);
    let mut svg = open(HEIGHT, "cores in use and jobs in work over time");
    axis.grid(&mut svg, HEIGHT);
    let line = |value: &dyn Fn(&Step) -> f64| {
        let (mut points, mut last) = (format!("{:.1},{:.1}", axis.x(0.0), y(0.0)), 0.0);
        for step in &steps {
            let x = axis.x(step.time);
            _ = write!(points, " {x:.1},{:.1} {x:.1},{:.1}", y(last), y(value(step)));
            last = value(step);
        }
        points
    };
    _ = writeln!(svg, r#"<polygon class="cores" points="{}"/>"#, line(&|step| step.cores));
    _ = writeln!(
        svg,
        r#"<polyline class="jobs" points="{}"/>"#,
        line(&|step| float(step.jobs))
    );
    let (left, right, limit) = (axis.x(0.0), axis.x(timings.wall), y(float(timings.cores)));
    _ = writeln!(
        svg,
        r#"<line class="limit" x1="{left}" y1="{limit:.1}" x2="{right}" y2="{limit:.1}"/><text class="label" x="2" y="{:.1}">{}</text>"#,
        limit + 4.0,
        timings.cores
    );
    svg + "</svg>\n"
}

/// Gantt chart of the longest jobs, in the order of their starts, and the number of those that have no row.
pub(super) fn gantt(timings: &Timings) -> (String, usize) {
    let mut rows: Vec<(usize, &TimedJob)> = timings
        .jobs
        .iter()
        .enumerate()
        .filter(|(_, job)| job.outcome != JobOutcome::Cached)
        .collect();
    rows.sort_by(|one, other| other.1.wall().total_cmp(&one.1.wall()));
    let left_out = rows.len().saturating_sub(ROWS);
    rows.truncate(ROWS);
    rows.sort_by(|one, other| one.1.start.total_cmp(&other.1.start));
    let height = float(rows.len()) * ROW;
    let axis = Axis { wall: timings.wall };
    let mut svg = open(height, "jobs over time");
    axis.grid(&mut svg, height);
    for (row, (index, job)) in rows.into_iter().enumerate() {
        bar(
            &mut svg,
            &axis,
            float(row) * ROW,
            job,
            timings.critical_path.contains(&index),
        );
    }
    (svg + "</svg>\n", left_out)
}

fn bar(svg: &mut String, axis: &Axis, top: f64, job: &TimedJob, critical: bool) {
    let class = match (job.outcome, critical) {
        (JobOutcome::Failed, _) => "failed",
        (_, true) => "critical",
        _ => "built",
    };
    let (x, width) = (axis.x(job.start), axis.length(job.wall()).max(1.0));
    let name = escape(&job.name);
    let used = job
        .cores_used()
        .map(|cores| format!(", {cores:.1} cores"))
        .unwrap_or_default();
    let tip = format!("{name}: {}{used}, from {}", seconds(job.wall()), seconds(job.start));
    let label = format!("{name} {}", seconds(job.wall()));
    // Beside the bar where there is space, before it at the right end.
    let fits = x + width + float(job.name.chars().count()) * LETTER + 60.0 < WIDTH + 2.0 * MARGIN;
    let (at, anchor) = if fits {
        (x + width + 4.0, "start")
    } else {
        (x - 4.0, "end")
    };
    let (inside, at, anchor) = if !fits && x < WIDTH / 2.0 {
        (" inside", x + 4.0, "start")
    } else {
        ("", at, anchor)
    };
    _ = writeln!(
        svg,
        r#"<g><title>{tip}</title><rect class="{class}" x="{x:.1}" y="{:.0}" width="{width:.1}" height="{:.0}"/><text class="label{inside}" x="{at:.1}" y="{:.0}" text-anchor="{anchor}">{label}</text></g>"#,
        top + 2.0,
        ROW - 4.0,
        top + 14.0
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_add_up_what_is_in_work() {
        let job = |start, end, cpu| TimedJob {
            name: String::new(),
            start,
            end,
            cpu,
            peak_memory_mib: None,
            outcome: JobOutcome::Built,
            needs: Vec::new(),
        };
        let jobs = [
            job(0.0, 4.0, Some(2.0)),
            job(4.0, 6.0, Some(4.0)),
            job(5.0, 6.0, None),
            job(1.0, 1.0, None),
        ];
        let step = |time, jobs, cores| Step { time, jobs, cores };
        let expected = [
            step(0.0, 1, 0.5),
            step(4.0, 1, 2.0),
            step(5.0, 2, 2.0),
            step(6.0, 0, 0.0),
        ];
        assert_eq!(steps(&jobs), expected);
    }
}
