//! `basalt test`: all tests of a change, the cheapest first.

mod conformance;
mod counts;
mod real_programs;
mod record;
mod repetition;

use std::process::ExitCode;
use std::time::Instant;

use basalt_process::{Command, ProcessError, tool};
use basalt_progress::{Outcome, Unit};
use basalt_sdk::SdkTree;
use camino::Utf8PathBuf;
use miette::{IntoDiagnostic as _, Report, Result, miette};

use self::counts::{TestCounts, TestOutput};
use self::real_programs::RealPrograms;
use self::record::{StepResult, TestedAt};
use super::{answer, answer_json, images, selection};
use crate::arguments::Test;
use crate::arguments::test::TestStep;
use crate::checkout::{Ahead, Checkout};

/// Crates that are tested together. Cargo unites the features that are asked of a crate in one run, and the agent's are its
/// own: with it, all others would be compiled once more.
const CRATES: [&str; 3] = ["--workspace", "--exclude", AGENT];
/// Crate of the agent, which has runs of cargo of its own.
const AGENT: &str = "basalt-node";
/// Options of cargo. With the launcher's profile, most crates are compiled once for both.
const PROFILE: [&str; 3] = ["--locked", "--profile", "tool"];

/// Steps that need no build.
const QUICK: [TestStep; 5] = [
    TestStep::Format,
    TestStep::Lints,
    TestStep::Crates,
    TestStep::Node,
    TestStep::Launcher,
];

/// Steps of the default, the cheapest first.
const DEFAULT: [TestStep; 12] = [
    TestStep::Format,
    TestStep::Lints,
    TestStep::BuildTools,
    TestStep::Crates,
    TestStep::Node,
    TestStep::Launcher,
    TestStep::Engine,
    TestStep::Packages,
    TestStep::Kubernetes,
    TestStep::ReferenceTools,
    TestStep::Trust,
    TestStep::Boots,
];

/// Steps that only `--long` runs, after the others: they take too long for every run.
const LONG_STEPS: [TestStep; 2] = [TestStep::Live, TestStep::Joins];

/// Beginning of the names of tests that need the kubelet, kubeadm or containerd.
const REAL_PROGRAM_TESTS: &str = "the_real_";

/// Environment variable under which tests do what takes long, too.
const LONG: &str = "BASALT_TEST_LONG";

/// State that the steps share.
struct TestRun<'a> {
    checkout: &'a Checkout,
    /// This command. It is looked up before cargo runs, which may put another file in its place.
    program: Utf8PathBuf,
    /// Tree of build tools, for the tests that need one.
    sdk: Option<Utf8PathBuf>,
    /// `true` if tests do what takes long, too.
    long: bool,
    counts: TestCounts,
    /// Names of the tests that failed in the present step.
    failed_tests: Vec<String>,
    /// Results of the steps that have ended.
    results: Vec<(TestStep, StepResult)>,
}

/// Runs the steps, up to the first that fails, or repeats tests. The last line that is written is the sum.
pub fn run(checkout: &Checkout, options: &Test, json: bool) -> Result<ExitCode> {
    if let Some(part) = options.conformance {
        return conformance::run(checkout, part, &options.conformance_options, &options.filters, json);
    }
    let mut tests = TestRun {
        checkout,
        program: program()?,
        sdk: None,
        long: options.long.is_some(),
        counts: TestCounts::default(),
        failed_tests: Vec::new(),
        results: Vec::new(),
    };
    if let Some(rounds) = options.repeat {
        tests.find_sdk()?;
        return repetition::run(&tests, rounds.get(), options, json);
    }
    let result = if options.quick {
        tests.quick()
    } else {
        tests.steps(&steps(options.long.as_deref()))
    };
    basalt_process::interrupt::check()?;
    let code = match &result {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            tests.counts.failed = tests.counts.failed.max(1);
            crate::show(report)
        }
    };
    if options.long.is_some() {
        record::change(checkout, |kept| kept.add_steps(&tests.results))?;
    }
    if json {
        answer_json(&tests.counts);
    } else {
        answer(tests.counts);
    }
    Ok(code)
}

/// Returns the steps to run, in their order: those of the default, all where `--long` names none, or those that it names. What
/// is built needs the build tools.
fn steps(long: Option<&[TestStep]>) -> Vec<TestStep> {
    let all = DEFAULT.iter().chain(&LONG_STEPS).copied();
    match long {
        None => DEFAULT.to_vec(),
        Some([]) => all.collect(),
        Some(named) => {
            let builds = named.iter().any(|step| !QUICK.contains(step));
            all.filter(|step| named.contains(step) || builds && *step == TestStep::BuildTools)
                .collect()
        }
    }
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

impl TestStep {
    /// Title in the output and in the page of results.
    const fn title(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Lints => "lints",
            Self::BuildTools => "build tools",
            Self::Crates => "crates",
            Self::Node => "the agent of nodes",
            Self::Launcher => "the launcher",
            Self::Engine => "the engine on small packages",
            Self::Packages => "packages and images",
            Self::Kubernetes => "the kubelet, kubeadm and containerd",
            Self::ReferenceTools => "reference tools",
            Self::Trust => "what can be trusted",
            Self::Boots => "boots and clusters",
            Self::Live => "long tests of nodes",
            Self::Joins => "a cluster made by kubeadm",
        }
    }
}

impl TestRun<'_> {
    /// If the SDK happens to be there, tests that need it are run, too.
    fn quick(&mut self) -> Result<()> {
        self.steps(&QUICK)?;
        self.checkout
            .reporter()
            .note("left out: the tests that build, boot and start clusters, which `./basalt test` runs");
        Ok(())
    }

    /// Looks for the SDK's tree in the store, and makes none.
    fn find_sdk(&mut self) -> Result<()> {
        let store = &self.checkout.store;
        self.sdk = self.checkout.known_sdk(store)?.map(|sdk| sdk.path);
        Ok(())
    }

    /// Runs steps. The SDK is downloaded rather than computed: meanwhile the processors check the code.
    fn steps(&mut self, steps: &[TestStep]) -> Result<()> {
        let checkout = self.checkout;
        if !steps.contains(&TestStep::BuildTools) {
            self.find_sdk()?;
        }
        std::thread::scope(|scope| {
            let mut sdk = steps
                .contains(&TestStep::BuildTools)
                .then(|| scope.spawn(|| checkout.sdk()));
            for (index, &step) in steps.iter().enumerate() {
                let line = format!("[{}/{}] {}", index + 1, steps.len(), step.title());
                checkout.reporter().note(&line);
                let (before, start) = (self.counts, Instant::now());
                let result = self.step(step, || sdk.take().map_or_else(|| checkout.sdk(), joined));
                let result_of_step = StepResult {
                    counts: self.counts.since(before),
                    failed_tests: std::mem::take(&mut self.failed_tests),
                    seconds: start.elapsed().as_secs(),
                    tested: TestedAt::now(checkout),
                };
                self.results.push((step, result_of_step));
                result?;
            }
            Ok(())
        })
    }

    /// Runs a step. `sdk` returns the SDK's tree once it is made.
    fn step(&mut self, step: TestStep, sdk: impl FnOnce() -> Result<SdkTree>) -> Result<()> {
        let checkout = self.checkout;
        match step {
            TestStep::BuildTools => self.check(sdk()).map(|tree| self.sdk = Some(tree.path)),
            TestStep::Format => {
                let command = Command::tool(tool::CARGO)
                    .args(["fmt", "--all", "--check", "--", "--color", "never"])
                    .current_dir(&checkout.root);
                let result = self.watch("format", &command, |_| {});
                self.check(result)
            }
            TestStep::Lints => {
                let command = self
                    .cargo(["clippy", "--workspace", "--all-targets"])
                    .args(["--", "--deny", "warnings"]);
                let result = self.watch("lints", &command, |_| {});
                self.check(result)
            }
            TestStep::Crates => {
                let command = self.cargo(["test", "--no-fail-fast"]).args(CRATES);
                self.tests(step, "crates", command.args(["--exclude", "basalt-tests"]))
            }
            TestStep::Node => {
                let command = self.cargo(["test", "--no-fail-fast", "--package", AGENT]);
                // These are a step of their own, when both are built.
                self.tests(step, "node", command.args(["--", "--skip", REAL_PROGRAM_TESTS]))
            }
            TestStep::Launcher => self.target(step, "launcher"),
            TestStep::Engine => self.target(step, "engine"),
            TestStep::Packages => {
                let result = self.make_images();
                self.check(result)
            }
            TestStep::Kubernetes => self.kubernetes(step),
            TestStep::ReferenceTools => self.check(checkout.tree(Some("reference"))).map(drop),
            TestStep::Trust => self.target(step, "trust"),
            TestStep::Boots => self.target(step, "node"),
            TestStep::Live => self.target(step, "live"),
            TestStep::Joins => self.target(step, "join"),
        }
    }

    /// Makes all images but variants and those of `--conformance`, which makes them itself: building Kubernetes' end-to-end
    /// suite takes ten minutes.
    fn make_images(&self) -> Result<()> {
        let conformance = conformance::own_images(self.checkout)?;
        let definitions = images::definitions(self.checkout)?;
        let names = selection::without_variants(&definitions);
        let names: Vec<_> = names
            .filter(|name| !conformance.iter().any(|own| own == name))
            .collect();
        let context = self.checkout.lookup_context(Ahead::All)?;
        images::assemble(self.checkout, &context, &names).map(drop)
    }

    /// Gives what the agent makes of NodeConfigs to the kubelet and to kubeadm of each minor, and to containerd.
    fn kubernetes(&mut self, step: TestStep) -> Result<()> {
        for (minor, programs) in RealPrograms::of_kubernetes(self.checkout)? {
            let command = self
                .cargo(["test", "--package", AGENT, "--test", "kubelet", "--test", "kubeadm"])
                .args(["--", REAL_PROGRAM_TESTS])
                .env("BASALT_KUBELET", programs.program("kubelet"))
                .env("BASALT_KUBEADM", programs.program("kubeadm"));
            self.tests(step, &format!("kubernetes-{minor}"), command)?;
        }
        let programs = RealPrograms::of_containerd(self.checkout)?;
        let command = self
            .cargo(["test", "--package", AGENT, "--test", "containerd"])
            .args(["--", REAL_PROGRAM_TESTS])
            .env("BASALT_CONTAINERD", programs.program("containerd"))
            .env("BASALT_CRICTL", programs.program("crictl"));
        self.tests(step, "containerd", command)
    }

    /// Runs a target of the tests of the whole.
    fn target(&mut self, step: TestStep, name: &str) -> Result<()> {
        let command = self.cargo(["test", "--test", name]).args(CRATES);
        self.tests(step, &format!("whole-{name}"), command)
    }

    fn cargo<const N: usize>(&self, arguments: [&str; N]) -> Command {
        Command::tool(tool::CARGO)
            .args(arguments)
            .args(PROFILE)
            .current_dir(&self.checkout.root)
    }

    /// Adds what tests need to know of this run, as environment variables.
    fn with_variables(&self, command: Command) -> Command {
        let mut command = command.env("BASALT_STORE", self.checkout.store.root());
        if let Some(sdk) = &self.sdk {
            command = command.env("BASALT_PROGRAM", &self.program).env("BASALT_SDK", sdk);
        }
        if self.long {
            command = command.env(LONG, "1");
        }
        command
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
    fn tests(&mut self, step: TestStep, log: &str, mut command: Command) -> Result<()> {
        command = self.with_variables(command);
        let mut output = TestOutput::default();
        let result = self.watch(log, &command, |line| output.count(line));
        self.failed_tests.append(&mut output.failed_tests);
        let mut counts = output.counts;
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

    /// Writes the output of tests to a log of the store, and returns its path.
    fn keep_log(&self, name: &str, lines: &[String]) -> Result<Utf8PathBuf> {
        let path = self.checkout.store.logs().join(format!("test-{name}.log"));
        basalt_store::write::atomically(&path, lines.join("\n") + "\n")?;
        Ok(path)
    }

    /// Runs a command with its output in a log; when it fails, the relevant lines are shown.
    fn watch(&self, log: &str, command: &Command, mut line: impl FnMut(&str)) -> Result<()> {
        let reporter = self.checkout.reporter();
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
        let log = self.keep_log(log, &lines)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_run_in_their_order() {
        use TestStep::{BuildTools, Joins, Lints, Live};
        assert_eq!(steps(None), DEFAULT);
        assert_eq!(steps(Some(&[])), [&DEFAULT[..], &LONG_STEPS].concat());
        assert_eq!(steps(Some(&[Joins, Live])), [BuildTools, Live, Joins]);
        assert_eq!(steps(Some(&[Lints])), [Lints]);
    }

    #[test]
    fn what_went_well_is_not_shown_after_a_failure() {
        assert!(!matters("   Compiling zlib v1.0.0"));
        assert!(!matters("test engine::works ... ok"));
        assert!(matters("test engine::fails ... FAILED"));
        assert!(matters("thread 'engine::fails' panicked at src/lib.rs:3:5:"));
    }
}
