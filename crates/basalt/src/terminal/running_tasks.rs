//! Tasks that run, and the lines about them where no bars are drawn: a log without a new line for long looks like that of a
//! command that hangs. Titles, counts and details are those of the tasks' bars, which nothing draws there. No I/O and no clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use basalt_progress::Unit;
use indicatif::{BinaryBytes, ProgressBar};

/// Time between two lines about a task that runs. Services for continuous integration end a command after some ten minutes
/// without output.
pub const INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Longest detail of a task in a line, in characters.
const DETAIL_LENGTH: usize = 60;

/// Tasks that were opened and not closed.
#[derive(Debug, Default)]
pub struct RunningTasks {
    tasks: BTreeMap<u64, RunningTask>,
    opened: u64,
}

#[derive(Debug)]
struct RunningTask {
    bar: ProgressBar,
    unit: Unit,
    started: Instant,
    /// Time of the last line, at first that of the start.
    told: Instant,
}

impl RunningTasks {
    /// Adds the task of a bar, and returns its number.
    pub fn open(&mut self, bar: ProgressBar, unit: Unit, now: Instant) -> u64 {
        self.opened += 1;
        let task = RunningTask {
            bar,
            unit,
            started: now,
            told: now,
        };
        self.tasks.insert(self.opened, task);
        self.opened
    }

    /// Removes a task.
    pub fn close(&mut self, number: u64) {
        self.tasks.remove(&number);
    }

    /// Lines about the tasks of which there was none for [`INTERVAL`], in the order in which they were opened.
    pub fn lines(&mut self, now: Instant) -> Vec<String> {
        self.tasks.values_mut().filter_map(|task| task.due_line(now)).collect()
    }
}

impl RunningTask {
    fn due_line(&mut self, now: Instant) -> Option<String> {
        if now.saturating_duration_since(self.told) < INTERVAL {
            return None;
        }
        self.told = now;
        Some(line("runs", &self.text(), now.saturating_duration_since(self.started)))
    }

    /// Title, count and detail, as far as there are some.
    fn text(&self) -> String {
        let (mut text, done) = (self.bar.prefix(), self.bar.position());
        match (self.unit, self.bar.length()) {
            (Unit::Items, Some(total)) => text += &format!(", {done} of {total}"),
            (Unit::Bytes, Some(total)) => text += &format!(", {} of {}", BinaryBytes(done), BinaryBytes(total)),
            (Unit::Bytes, None) => text += &format!(", {}", BinaryBytes(done)),
            (Unit::Items, None) => {}
        }
        let detail: String = self.bar.message().chars().take(DETAIL_LENGTH).collect();
        if !detail.is_empty() {
            text += &format!(": {detail}");
        }
        text
    }
}

/// Line about a task: its state, its name and its duration so far.
pub fn line(state: &str, task: &str, duration: Duration) -> String {
    format!("  {state:<6} {task:<40} {:>7.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressDrawTarget;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn bar(title: &'static str, total: Option<u64>) -> ProgressBar {
        ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden()).with_prefix(title)
    }

    #[test]
    fn a_long_task_has_a_line_after_every_interval() {
        let mut tasks = RunningTasks::default();
        let start = Instant::now();
        let kernel = bar("kernel", None);
        tasks.open(kernel.clone(), Unit::Items, start);
        kernel.set_message("build");
        let lines: Vec<_> = (0_u32..=48 * 60)
            .flat_map(|seconds| tasks.lines(start + SECOND * seconds))
            .collect();
        assert_eq!(lines.len(), 9, "{lines:?}");
        assert_eq!(
            lines.first().map(String::as_str),
            Some("  runs   kernel: build                              300.0 s")
        );
        assert_eq!(
            lines.last().map(String::as_str),
            Some("  runs   kernel: build                             2700.0 s")
        );
    }

    #[test]
    fn a_task_that_is_closed_or_young_has_none() {
        let mut tasks = RunningTasks::default();
        let start = Instant::now();
        let closed = tasks.open(bar("zlib", None), Unit::Items, start);
        let young = tasks.open(bar("openssl", None), Unit::Items, start + SECOND);
        tasks.close(closed);
        assert_eq!(tasks.lines(start + INTERVAL), Vec::<String>::new());
        assert_eq!(tasks.lines(start + INTERVAL + SECOND).len(), 1);
        tasks.close(young);
        assert_eq!(tasks.lines(start + INTERVAL * 3), Vec::<String>::new());
    }

    #[test]
    fn counts_are_in_the_tasks_unit() {
        let cases = [
            (Unit::Items, Some(104), "a task, 41 of 104"),
            (Unit::Items, None, "a task"),
            (Unit::Bytes, Some(2048), "a task, 41 B of 2.00 KiB"),
            (Unit::Bytes, None, "a task, 41 B"),
        ];
        for (unit, total, expected) in cases {
            let mut tasks = RunningTasks::default();
            let start = Instant::now();
            let task = bar("a task", total);
            tasks.open(task.clone(), unit, start);
            task.inc(40);
            task.inc(1);
            task.set_message("x".repeat(1000));
            let expected = format!("{expected}: {}", "x".repeat(DETAIL_LENGTH));
            assert_eq!(tasks.lines(start + INTERVAL), [line("runs", &expected, INTERVAL)]);
        }
    }

    #[test]
    fn a_machine_that_slept_has_one_line_for_the_time() {
        let mut tasks = RunningTasks::default();
        let start = Instant::now();
        tasks.open(bar("kernel", None), Unit::Items, start);
        let woken = start + INTERVAL * 20;
        assert_eq!(tasks.lines(woken).len(), 1);
        assert_eq!(tasks.lines(woken + SECOND), Vec::<String>::new());
    }
}
