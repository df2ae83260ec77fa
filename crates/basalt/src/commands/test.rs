//! `basalt test`: all tests of a change, the cheapest first.

use std::process::ExitCode;

use basalt_process::{Command, ProcessError, tool};
use basalt_progress::{Outcome, Unit};
use basalt_sdk::SdkTree;
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

/// A step of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Format,
    Lints,
    BuildTools,
    Crates,
    Node,
    Launcher,
    Engine,
    Packages,
    ReferenceTools,
    Trust,
    Boots,
}

/// Steps that need no build.
const QUICK: [Step; 5] = [Step::Format, Step::Lints, Step::Crates, Step::Node, Step::Launcher];

/// All steps, the cheapest first.
const ALL: [Step; 11] = [
    Step::Format,
    Step::Lints,
    Step::BuildTools,
    Step::Crates,
    Step::Node,
    Step::Launcher,
    Step::Engine,
    Step::Packages,
    Step::ReferenceTools,
    Step::Trust,
    Step::Boots,
];

/// What the steps share.
struct TestRun<'a> {
    checkout: &'a Checkout,
    /// This command. It is looked up before cargo runs, which may put another file in its place.
    program: Utf8PathBuf,
    /// Tree of build tools, for the tests that need one.
    sdk: Option<Utf8PathBuf>,
    counts: TestCounts,
}

/// Runs the steps, up to the first that fails. The last line that is written is the sum.
pub fn run(checkout: &Checkout, quick: bool, json: bool) -> Result<ExitCode> {
    let mut tests = TestRun {
        checkout,
        program: program()?,
        sdk: None,
        counts: TestCounts::default(),
    };
    let result = if quick { tests.quick() } else { tests.steps(&ALL) };
    basalt_process::interrupt::check()?;
    let code = match &result {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            tests.counts.failed = tests.counts.failed.max(1);
            crate::show(report)
        }
    };
    if json {
        answer_json(&tests.counts);
    } else {
        answer(tests.counts);
    }
    Ok(code)
}

/// Returns the path of this command.
fn program() -> Result<Utf8PathBuf> {
    let path = std::env::current_exe().into_diagnostic()?;
    Utf8PathBuf::from_path_buf(path).map_err(|path| {
        miette!(
            help = "move the checkout to a folder with a name in UTF-8",
            "the path of this command, {}, is not UTF-8",
            path.display()
        )
    })
}

/// Returns what a thread has made.
fn joined(thread: std::thread::ScopedJoinHandle<'_, Result<SdkTree>>) -> Result<SdkTree> {
    thread
        .join()
        .unwrap_or_else(|_| Err(miette!("making the SDK panicked")))
}

impl Step {
    fn title(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Lints => "lints",
            Self::BuildTools => "build tools",
            Self::Crates => "crates",
            Self::Node => "the agent of nodes",
            Self::Launcher => "the launcher",
            Self::Engine => "the engine on small packages",
            Self::Packages => "packages and images",
            Self::ReferenceTools => "tools of others",
            Self::Trust => "what can be trusted",
            Self::Boots => "the real thing",
        }
    }
}

impl TestRun<'_> {
    /// If the SDK happens to be there, tests that need it are run, too.
    fn quick(&mut self) -> Result<()> {
        let lock = self.checkout.distro().join("sdk/sdk.lock");
        self.sdk = SdkTree::find(&self.checkout.store, &lock)?.map(|sdk| sdk.path);
        self.steps(&QUICK)?;
        self.checkout
            .reporter()
            .note("left out: the engine's tests and the real thing, which `./basalt test` does");
        Ok(())
    }

    /// Runs steps. The SDK is downloaded rather than computed: meanwhile the processors check the code.
    fn steps(&mut self, steps: &[Step]) -> Result<()> {
        let checkout = self.checkout;
        std::thread::scope(|scope| {
            let mut sdk = steps
                .contains(&Step::BuildTools)
                .then(|| scope.spawn(|| checkout.sdk()));
            for (index, &step) in steps.iter().enumerate() {
                let line = format!("[{}/{}] {}", index + 1, steps.len(), step.title());
                checkout.reporter().note(&line);
                if step == Step::BuildTools {
                    let made = sdk.take().map_or_else(|| checkout.sdk(), joined);
                    self.sdk = Some(self.check(made)?.path);
                } else {
                    self.step(step)?;
                }
            }
            Ok(())
        })
    }

    fn step(&mut self, step: Step) -> Result<()> {
        let checkout = self.checkout;
        match step {
            Step::BuildTools => self.check(checkout.sdk()).map(drop),
            Step::Format => {
                let command = Command::tool(tool::CARGO)
                    .args(["fmt", "--all", "--check", "--", "--color", "never"])
                    .current_dir(&checkout.root);
                let result = self.watch("format", &command, |_| {});
                self.check(result)
            }
            Step::Lints => {
                let command = self
                    .cargo(["clippy", "--workspace", "--all-targets"])
                    .args(["--", "--deny", "warnings"]);
                let result = self.watch("lints", &command, |_| {});
                self.check(result)
            }
            Step::Crates => {
                // Cargo unites the features that are asked of a crate in one run: the agent's are its own.
                let command = self.cargo(["test", "--no-fail-fast", "--workspace"]).args([
                    "--exclude",
                    "basalt-tests",
                    "--exclude",
                    "basalt-node",
                ]);
                self.tests(step, "crates", command)
            }
            Step::Node => {
                let command = self.cargo(["test", "--no-fail-fast", "--package", "basalt-node"]);
                self.tests(step, "node", command)
            }
            Step::Launcher => self.target(step, "launcher"),
            Step::Engine => self.target(step, "engine"),
            Step::Packages => {
                let result = images::definitions(checkout).and_then(|definitions| {
                    let names: Vec<_> = definitions.keys().map(String::as_str).collect();
                    images::make(checkout, &names)
                });
                self.check(result).map(drop)
            }
            Step::ReferenceTools => self.check(checkout.tree(Some("reference"))).map(drop),
            Step::Trust => self.target(step, "trust"),
            Step::Boots => self.target(step, "node"),
        }
    }

    /// Runs a target of the tests of the whole.
    fn target(&mut self, step: Step, name: &str) -> Result<()> {
        // With the features that the crates' own tests were compiled with.
        let command = self.cargo(["test", "--workspace", "--exclude", "basalt-node", "--test", name]);
        self.tests(step, &format!("whole-{name}"), command)
    }

    fn cargo<const N: usize>(&self, arguments: [&str; N]) -> Command {
        Command::tool(tool::CARGO)
            .args(arguments)
            .args(PROFILE)
            .current_dir(&self.checkout.root)
    }

    /// Counts a step without tests of its own as one test.
    fn check<T>(&mut self, result: Result<T>) -> Result<T> {
        match &result {
            Ok(_) => self.counts.passed += 1,
            Err(_) => self.counts.failed += 1,
        }
        result
    }

    /// Runs a step of many tests, whose counts are read from cargo's output. One in which every test is skipped fails.
    fn tests(&mut self, step: Step, log: &str, mut command: Command) -> Result<()> {
        command = command.env("BASALT_STORE", self.checkout.store.root());
        if let Some(sdk) = &self.sdk {
            command = command.env("BASALT_PROGRAM", &self.program).env("BASALT_SDK", sdk);
        }
        let mut counts = TestCounts::default();
        let result = self.watch(log, &command, |line| counts.count(line));
        if result.is_err() {
            // The code may not even have compiled.
            counts.failed = counts.failed.max(1);
        }
        self.counts.add(counts);
        self.checkout.reporter().note(&format!("  {}: {counts}", step.title()));
        result?;
        if counts.passed == 0 {
            return Err(miette!(
                help = format!("run it to see why:\n  {}", command.pasteable()),
                "no test of the step \"{}\" has run: {counts}",
                step.title()
            ));
        }
        Ok(())
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
