//! Tasks that run, and the lines about them where no bars are drawn: a log without a new line for long looks like that of a
//! command that hangs. No I/O and no clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use basalt_progress::Unit;
use indicatif::BinaryBytes;

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
    title: String,
    detail: String,
    unit: Unit,
    done: u64,
    total: Option<u64>,
    started: Instant,
    /// Time of the last line, at first that of the start.
    told: Instant,
}

impl RunningTasks {
    /// Adds a task, and returns its number.
    pub fn open(&mut self, title: &str, unit: Unit, total: Option<u64>, now: Instant) -> u64 {
        self.opened += 1;
        let task = RunningTask {
            title: title.to_owned(),
            detail: String::new(),
            unit,
            done: 0,
            total,
            started: now,
            told: now,
        };
        self.tasks.insert(self.opened, task);
        self.opened
    }

    /// Adds to what a task has done, in its unit.
    pub fn advance(&mut self, number: u64, by: u64) {
        if let Some(task) = self.tasks.get_mut(&number) {
            task.done = task.done.saturating_add(by);
        }
    }

    /// Names the present step of a task.
    pub fn detail(&mut self, number: u64, text: &str) {
        if let Some(task) = self.tasks.get_mut(&number) {
            task.detail = text.chars().take(DETAIL_LENGTH).collect();
        }
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
        let mut text = self.title.clone();
        match (self.unit, self.total) {
            (Unit::Items, Some(total)) => text += &format!(", {} of {total}", self.done),
            (Unit::Bytes, Some(total)) => text += &format!(", {} of {}", BinaryBytes(self.done), BinaryBytes(total)),
            (Unit::Bytes, None) => text += &format!(", {}", BinaryBytes(self.done)),
            (Unit::Items, None) => {}
        }
        if !self.detail.is_empty() {
            text += &format!(": {}", self.detail);
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
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_long_task_has_a_line_after_every_interval() {
        let mut tasks = RunningTasks::default();
        let start = Instant::now();
        let kernel = tasks.open("kernel", Unit::Items, None, start);
        tasks.detail(kernel, "build");
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
        let closed = tasks.open("zlib", Unit::Items, None, start);
        let young = tasks.open("openssl", Unit::Items, None, start + SECOND);
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
            let number = tasks.open("a task", unit, total, start);
            tasks.advance(number, 40);
            tasks.advance(number, 1);
            tasks.detail(number, &"x".repeat(1000));
            let expected = format!("{expected}: {}", "x".repeat(DETAIL_LENGTH));
            assert_eq!(tasks.lines(start + INTERVAL), [line("runs", &expected, INTERVAL)]);
        }
    }

    #[test]
    fn a_machine_that_slept_has_one_line_for_the_time() {
        let mut tasks = RunningTasks::default();
        let start = Instant::now();
        tasks.open("kernel", Unit::Items, None, start);
        let woken = start + INTERVAL * 20;
        assert_eq!(tasks.lines(woken).len(), 1);
        assert_eq!(tasks.lines(woken + SECOND), Vec::<String>::new());
    }
}
