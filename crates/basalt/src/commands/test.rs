//! `basalt test`: all tests of a change, the cheapest first.

use std::process::ExitCode;

use basalt_process::{Command, ProcessError, tool};
use basalt_progress::{Outcome, Unit};
use camino::Utf8PathBuf;
use miette::{IntoDiagnostic as _, Report, Result, miette};
use serde::Serialize;

use super::{answer, answer_json, images};
use crate::checkout::Checkout;

/// Options of cargo. With the launcher's profile, most crates are compiled once for both.
const PROFILE: [&str; 3] = ["--locked", "--profile", "tool"];

/// Counts of test results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct TestCounts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// State of the running steps.
struct Steps<'a> {
    checkout: &'a Checkout,
    /// Number of all steps.
    count: usize,
    begun: usize,
    counts: TestCounts,
}

/// Runs the steps, up to the first that fails. The last line that is written is the sum.
pub fn run(checkout: &Checkout, quick: bool, json: bool) -> Result<ExitCode> {
    let mut steps = Steps {
        checkout,
        count: if quick { 4 } else { 10 },
        begun: 0,
        counts: TestCounts::default(),
    };
    let result = if quick { steps.quick() } else { steps.all() };
    basalt_process::interrupt::check()?;
    let code = match &result {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            steps.counts.failed = steps.counts.failed.max(1);
            crate::show(report)
        }
    };
    if json {
        answer_json(&steps.counts);
    } else {
        answer(steps.counts);
    }
    Ok(code)
}

impl Steps<'_> {
    /// Runs the steps that need no build. If the SDK happens to be there, tests that need it are run, too.
    fn quick(&mut self) -> Result<()> {
        self.format()?;
        self.lints()?;
        let lock = self.checkout.distro().join("sdk/sdk.lock");
        let sdk = basalt_sdk::SdkTree::find(&self.checkout.store, &lock)?;
        self.units(sdk.map(|sdk| sdk.path))?;
        self.launcher()?;
        self.checkout
            .reporter()
            .note("left out: the engine's tests and the real thing, which `./basalt test` does");
        Ok(())
    }

    fn all(&mut self) -> Result<()> {
        let checkout = self.checkout;
        // The SDK is downloaded rather than computed: meanwhile the processors check the code.
        let sdk = std::thread::scope(|scope| {
            let sdk = scope.spawn(|| checkout.sdk());
            let code = self.format().and_then(|()| self.lints());
            let sdk = sdk.join().unwrap_or_else(|_| Err(miette!("making the SDK panicked")));
            code.map(|()| sdk)
        })?;
        let sdk = self.step("build tools", |_| sdk)?;
        self.units(Some(sdk.path.clone()))?;
        self.launcher()?;
        let surroundings = |command: Command| -> Result<Command> {
            let program = std::env::current_exe().into_diagnostic()?;
            let command = command.env("BASALT_PROGRAM", program);
            Ok(command
                .env("BASALT_SDK", &sdk.path)
                .env("BASALT_STORE", checkout.store.root()))
        };
        let engine = surroundings(self.cargo(["test", "--workspace", "--test", "engine"]))?;
        self.tests("the engine on small packages", "engine", &engine)?;
        self.step("packages and images", |steps| steps.images())?;
        self.step("tools of others", |steps| {
            steps.checkout.tree(Some("reference")).map(drop)
        })?;
        let trust = surroundings(self.cargo(["test", "--workspace", "--test", "trust"]))?;
        self.tests("what can be trusted", "trust", &trust)?;
        let node = surroundings(self.cargo(["test", "--workspace", "--test", "node"]))?;
        self.tests("the real thing", "node", &node)
    }

    fn format(&mut self) -> Result<()> {
        let command = Command::tool(tool::CARGO)
            .args(["fmt", "--all", "--check", "--", "--color", "never"])
            .current_dir(&self.checkout.root);
        self.step("format", |steps| steps.watch("format", &command, |_| {}))
    }

    fn lints(&mut self) -> Result<()> {
        let command = self
            .cargo(["clippy", "--workspace", "--all-targets"])
            .args(["--", "--deny", "warnings"]);
        self.step("lints", |steps| steps.watch("lints", &command, |_| {}))
    }

    fn units(&mut self, sdk: Option<Utf8PathBuf>) -> Result<()> {
        let mut command = self.cargo(["test", "--no-fail-fast", "--workspace", "--exclude", "basalt-tests"]);
        if let Some(sdk) = sdk {
            command = command.env("BASALT_SDK", sdk);
        }
        self.tests("crates", "crates", &command)
    }

    /// Runs the launcher with fake programs, in environments of many kinds.
    fn launcher(&mut self) -> Result<()> {
        let command = self.cargo(["test", "--workspace", "--test", "launcher"]);
        self.tests("the launcher", "launcher", &command)
    }

    /// Composes all images.
    fn images(&self) -> Result<()> {
        let definitions = images::definitions(self.checkout)?;
        let names: Vec<_> = definitions.keys().map(String::as_str).collect();
        images::make(self.checkout, &names).map(drop)
    }

    fn cargo<const N: usize>(&self, arguments: [&str; N]) -> Command {
        Command::tool(tool::CARGO)
            .args(arguments)
            .args(PROFILE)
            .current_dir(&self.checkout.root)
    }

    /// Runs a step that counts as one test.
    fn step<T>(&mut self, title: &str, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.announce(title);
        let result = work(self);
        match &result {
            Ok(_) => self.counts.passed += 1,
            Err(_) => self.counts.failed += 1,
        }
        result
    }

    /// Runs a step of many tests, whose counts are read from cargo's output.
    fn tests(&mut self, title: &str, log: &str, command: &Command) -> Result<()> {
        self.announce(title);
        let mut counts = TestCounts::default();
        let result = self.watch(log, command, |line| counts.count(line));
        if result.is_err() {
            // The code may not even have compiled.
            counts.failed = counts.failed.max(1);
        }
        self.counts.add(counts);
        self.checkout.reporter().note(&format!("  {title}: {counts}"));
        result
    }

    fn announce(&mut self, title: &str) {
        self.begun += 1;
        let (begun, count) = (self.begun, self.count);
        self.checkout.reporter().note(&format!("[{begun}/{count}] {title}"));
    }

    /// Runs a command with its output in a log; when it fails, the relevant lines are shown.
    fn watch(&self, log: &str, command: &Command, mut line: impl FnMut(&str)) -> Result<()> {
        let reporter = self.checkout.reporter();
        let log = self.checkout.store.root().join("logs").join(format!("test-{log}.log"));
        let task = reporter.task(&command.name(), Unit::Items, None);
        let mut lines = Vec::new();
        let result = command.lines(|text| {
            task.detail(text.trim());
            if text.starts_with("SKIPPED") {
                reporter.warn(text);
            }
            line(text);
            lines.push(text.to_owned());
        });
        basalt_store::write::atomically(&log, lines.join("\n") + "\n")?;
        match result {
            Ok(()) => {
                task.finish(Outcome::Done);
                Ok(())
            }
            Err(error @ ProcessError::Failed { .. }) => {
                task.finish(Outcome::Failed);
                for text in lines.iter().filter(|line| matters(line)) {
                    crate::show_line(text);
                }
                Err(failure(command, &log, &error))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn failure(command: &Command, log: &Utf8PathBuf, error: &ProcessError) -> Report {
    let ProcessError::Failed { program, status, .. } = error else {
        return miette!("{error}");
    };
    miette!(
        help = format!("to run it again:\n  {}\nall that it wrote: {log}", command.pasteable()),
        "`{program}` failed ({status})"
    )
}

/// Returns `true` for lines of cargo and tests that are not about successes.
fn matters(line: &str) -> bool {
    let words = line.trim_start();
    let progress = [
        "Compiling ",
        "Checking ",
        "Finished ",
        "Running ",
        "Downloaded ",
        "Downloading ",
        "Fresh ",
    ];
    !(words.is_empty()
        || progress.iter().any(|word| words.starts_with(word))
        || words.starts_with("test ") && (words.ends_with("ok") || words.ends_with("ignored"))
        || words.starts_with("running ")
        || words.starts_with("test result: ok"))
}

impl TestCounts {
    /// Adds the counts of a line like `test result: ok. 12 passed; 0 failed; 1 ignored; ...`.
    fn count(&mut self, line: &str) {
        let Some(rest) = line.trim().strip_prefix("test result: ") else {
            return;
        };
        for part in rest.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(number)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for TestCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_summed_up() {
        let mut counts = TestCounts::default();
        counts.count("running 3 tests");
        counts.count("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        counts
            .count("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 2.50s");
        assert_eq!(counts.to_string(), "13 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn what_went_well_is_not_shown_after_a_failure() {
        assert!(!matters("   Compiling zlib v1.0.0"));
        assert!(!matters("test engine::works ... ok"));
        assert!(matters("test engine::fails ... FAILED"));
        assert!(matters("thread 'engine::fails' panicked at src/lib.rs:3:5:"));
    }
}
