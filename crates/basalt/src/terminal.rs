//! Progress for the user: bars on a terminal; elsewhere plain lines, of tasks that end and, every few minutes, of those that
//! run. Always on standard error.

mod running_tasks;

use std::io::IsTerminal as _;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use basalt_progress::{Outcome, Reporter, Task, Unit};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;
use running_tasks::RunningTasks;

/// Duration from which on a finished task is worth a line.
const WORTH_TELLING: Duration = Duration::from_millis(500);
/// Time between two looks at the tasks that run.
const LOOK: Duration = Duration::from_secs(1);

/// Terminal, or standard error without one.
#[derive(Debug)]
pub struct Terminal {
    bars: MultiProgress,
    live: bool,
    quiet: bool,
    running: Arc<Mutex<RunningTasks>>,
    /// Sender whose end is the end of the thread that writes about tasks that run, once there was a task.
    watch: OnceLock<Sender<()>>,
}

struct Bar {
    bars: MultiProgress,
    bar: ProgressBar,
    quiet: bool,
    started: Instant,
    finished: bool,
    running: Arc<Mutex<RunningTasks>>,
    /// Number among the tasks that run.
    number: u64,
}

impl Terminal {
    /// Shows bars if standard error is a terminal; with `quiet`, only warnings.
    pub fn new(quiet: bool) -> Self {
        let live = std::io::stderr().is_terminal() && !quiet;
        let target = if live {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            live,
            quiet,
            running: Arc::default(),
            watch: OnceLock::new(),
        }
    }

    /// Prints a line above the bars.
    fn line(&self, text: &str) {
        print_above(&self.bars, text);
    }

    /// Starts the thread that writes about tasks that run, if it does not run and there are no bars that show them.
    fn watch(&self) {
        if self.live || self.quiet {
            return;
        }
        self.watch.get_or_init(|| {
            let (watch, ended) = mpsc::channel::<()>();
            let (running, bars) = (Arc::clone(&self.running), self.bars.clone());
            let tell = move || {
                while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                    // Not under the lock: where nobody reads what is written, tasks do not wait for it.
                    let lines = lock(&running).lines(Instant::now());
                    for line in lines {
                        print_above(&bars, &line);
                    }
                }
            };
            // Without a thread, what ends is told all the same.
            let _ = thread::Builder::new().name("progress".to_owned()).spawn(tell);
            watch
        });
    }
}

fn lock(tasks: &Mutex<RunningTasks>) -> MutexGuard<'_, RunningTasks> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints a line above the bars, or to standard error where none are drawn.
fn print_above(bars: &MultiProgress, text: &str) {
    if bars.is_hidden() {
        output::print_error(text);
    } else {
        // It fails on a terminal that was closed, where `suspend` would panic.
        let _ = bars.println(text);
    }
}

impl Reporter for Terminal {
    fn task(&self, title: &str, unit: Unit, total: Option<u64>) -> Box<dyn Task> {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        };
        let template = match (unit, total) {
            (Unit::Bytes, Some(_)) => "  {prefix:26!} {bar:30} {bytes:>10}/{total_bytes:10} {wide_msg}",
            (Unit::Items, Some(_)) => "  {prefix:26!} {bar:30} {pos:>4}/{len:4} {elapsed:>5} {wide_msg}",
            (_, None) => "  {prefix:26!} {spinner} {elapsed:>5} {wide_msg}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━━─"));
        bar.set_prefix(title.to_owned());
        let bar = self.bars.add(bar);
        if self.live {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        self.watch();
        let started = Instant::now();
        let number = lock(&self.running).open(bar.clone(), unit, started);
        Box::new(Bar {
            bars: self.bars.clone(),
            bar,
            quiet: self.quiet,
            started,
            finished: false,
            running: Arc::clone(&self.running),
            number,
        })
    }

    fn note(&self, text: &str) {
        if !self.quiet {
            self.line(text);
        }
    }

    fn warn(&self, text: &str) {
        self.line(&format!("warning: {text}"));
    }
}

impl Bar {
    fn close(&mut self, outcome: Outcome) {
        self.finished = true;
        self.bar.finish_and_clear();
        lock(&self.running).close(self.number);
        let took = self.started.elapsed();
        let mark = match outcome {
            Outcome::Done if took >= WORTH_TELLING => "done",
            Outcome::Failed if !basalt_process::interrupt::requested() => "failed",
            _ => return,
        };
        if !self.quiet {
            print_above(&self.bars, &running_tasks::line(mark, &self.bar.prefix(), took));
        }
    }
}

impl Task for Bar {
    fn advance(&self, by: u64) {
        self.bar.inc(by);
    }

    fn detail(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    fn finish(mut self: Box<Self>, outcome: Outcome) {
        self.close(outcome);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if !self.finished {
            self.close(Outcome::Failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_runs_from_its_opening_to_its_end() {
        let terminal = Terminal::new(true);
        let later = || Instant::now() + running_tasks::INTERVAL;
        let task = terminal.task("kernel", Unit::Items, Some(2));
        task.advance(1);
        task.detail("build");
        let lines = lock(&terminal.running).lines(later());
        assert!(
            lines.iter().any(|line| line.contains("kernel, 1 of 2: build")),
            "{lines:?}"
        );
        task.finish(Outcome::Done);
        let dropped = terminal.task("zlib", Unit::Items, None);
        drop(dropped);
        assert_eq!(lock(&terminal.running).lines(later()), Vec::<String>::new());
    }
}
