//! Progress for the user: bars on a terminal, plain lines elsewhere. Always on standard error.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use basalt_progress::{Outcome, Reporter, Task, Unit};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// Duration from which on a finished task is worth a line.
const WORTH_TELLING: Duration = Duration::from_millis(500);

/// Terminal, or standard error without one.
#[derive(Debug)]
pub struct Terminal {
    bars: MultiProgress,
    live: bool,
    quiet: bool,
}

struct Bar {
    bars: MultiProgress,
    bar: ProgressBar,
    title: String,
    live: bool,
    quiet: bool,
    started: Instant,
    finished: bool,
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
        }
    }

    /// Prints a line above the bars.
    fn line(&self, text: &str) {
        print_above(&self.bars, text);
    }
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
        Box::new(Bar {
            bars: self.bars.clone(),
            bar,
            title: title.to_owned(),
            live: self.live,
            quiet: self.quiet,
            started: Instant::now(),
            finished: false,
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
        let took = self.started.elapsed();
        let mark = match outcome {
            Outcome::Done if took >= WORTH_TELLING => "done  ",
            Outcome::Failed if !basalt_process::interrupt::requested() => "failed",
            _ => return,
        };
        if !self.quiet {
            let line = format!("  {mark} {:<40} {:>7.1} s", self.title, took.as_secs_f64());
            print_above(&self.bars, &line);
        }
    }
}

impl Task for Bar {
    fn advance(&self, by: u64) {
        self.bar.inc(by);
    }

    fn detail(&self, text: &str) {
        if self.live {
            self.bar.set_message(text.to_owned());
        }
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
