//! Repetition of tests, to find those that fail now and then.
//!
//! ```text
//! cargo test --no-run ──▶ test programs ──▶ N rounds of each, beside busy loops ──▶ failures by test
//! ```

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use basalt_process::{Cancellation, Command, ProcessError};
use basalt_progress::{Outcome, Unit};
use camino::Utf8PathBuf;
use miette::{Result, miette};
use serde::{Deserialize, Serialize};

use super::counts::failed_test;
use super::record::{self, RepetitionResult, TestedAt};
use super::{AGENT, CRATES, TestRun};
use crate::arguments::Test;
use crate::commands::{answer, answer_json};
use crate::table::Table;

/// Crates whose tests wait for processes, files, servers or the clock, besides [`AGENT`].
const WAITING: [&str; 17] = [
    "basalt-process",
    "basalt-sandbox",
    "basalt-schedule",
    "basalt-cache",
    "basalt-store",
    "basalt-sdk",
    "basalt-sources",
    "basalt-build",
    "basalt-snapshots",
    "basalt-oci",
    "basalt-access",
    "basalt-cluster",
    "basalt-join",
    "basalt-machine",
    "basalt-migrate",
    "basalt-preflight",
    "basalt",
];

/// Line of `cargo test --message-format json`, as far as it is read here.
#[derive(Debug, Deserialize)]
struct CargoMessage {
    executable: Option<Utf8PathBuf>,
    manifest_path: Option<Utf8PathBuf>,
    target: Option<CargoTarget>,
    profile: Option<CargoProfile>,
}

#[derive(Debug, Deserialize)]
struct CargoTarget {
    name: String,
}

#[derive(Debug, Deserialize)]
struct CargoProfile {
    test: bool,
}

/// Compiled test program.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TestProgram {
    /// Name of the target.
    name: String,
    path: Utf8PathBuf,
    /// Folder of its crate, where cargo runs it.
    folder: Utf8PathBuf,
}

/// Outcome of the rounds of a test program.
#[derive(Debug, Default, Serialize)]
struct ProgramReport {
    program: String,
    rounds: u32,
    /// Rounds that failed.
    failed: u32,
    /// Number of the program's tests that the filters select.
    selected: u64,
    /// Duration of the slowest round.
    slowest_seconds: f64,
    /// Number of failures by name of a test.
    tests: BTreeMap<String, u32>,
    /// Outputs of the rounds that failed.
    logs: Vec<Utf8PathBuf>,
}

/// Repeats tests, and shows how often each one failed.
pub(super) fn run(tests: &TestRun<'_>, rounds: u32, options: &Test, json: bool) -> Result<ExitCode> {
    let programs = programs(tests, options.filters.is_empty())?;
    let reporter = tests.checkout.reporter();
    let total = u64::from(rounds).saturating_mul(programs.len() as u64);
    let task = reporter.task("repeating tests", Unit::Items, Some(total));
    let ended = Cancellation::default();
    let reports = std::thread::scope(|scope| {
        for _ in 0..options.load.unwrap_or(0) {
            scope.spawn(|| burn(&ended));
        }
        let _end = EndOnDrop(&ended);
        let mut reports = Vec::new();
        for program in &programs {
            let mut report = ProgramReport {
                program: program.name.clone(),
                rounds,
                ..ProgramReport::default()
            };
            for round in 1..=rounds {
                task.detail(&format!("{} {round}/{rounds}", program.name));
                report.round(tests, program, &options.filters, round)?;
                task.advance(1);
                if report.selected == 0 {
                    task.advance(u64::from(rounds.saturating_sub(round)));
                    break;
                }
            }
            if report.selected > 0 {
                reports.push(report);
            }
        }
        Ok::<_, miette::Report>(reports)
    })?;
    if reports.is_empty() {
        task.finish(Outcome::Failed);
        return Err(miette!(
            help = "A filter is a part of a test's name, as `cargo test` takes it",
            "no test has a name that contains {}",
            options.filters.join(" or ")
        ));
    }
    task.finish(Outcome::Done);
    let load = options.load.unwrap_or(0);
    if options.filters.is_empty() {
        let result = result(&reports, rounds, TestedAt::now(tests.checkout));
        record::change(tests.checkout, |kept| kept.add_repetition(load, result))?;
    }
    let failed = reports.iter().any(|report| report.failed > 0);
    if json {
        answer_json(&reports);
    } else {
        show(&reports);
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Sum of the reports of all programs.
fn result(reports: &[ProgramReport], rounds: u32, tested: TestedAt) -> RepetitionResult {
    let mut failed_tests = BTreeMap::new();
    for (name, count) in reports.iter().flat_map(|report| &report.tests) {
        *failed_tests.entry(name.clone()).or_insert(0) += count;
    }
    RepetitionResult {
        programs: reports.len(),
        tests: reports.iter().map(|report| report.selected).sum(),
        rounds,
        failed_rounds: reports.iter().map(|report| report.failed).sum(),
        failed_tests,
        tested,
    }
}

/// Requests the end of the busy loops when it is dropped, also after a panic: the scope waits for their threads.
struct EndOnDrop<'a>(&'a Cancellation);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}

/// Computes until the end is requested. A thread competes for processors as a process of this session would.
fn burn(ended: &Cancellation) {
    let mut number = 0_u64;
    while !ended.requested() {
        for _ in 0..10_000 {
            number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
}

/// Returns the options of cargo that select the crates, for each of its runs.
fn selections(waiting: bool) -> [Vec<&'static str>; 2] {
    let others = if waiting {
        WAITING.iter().flat_map(|name| ["--package", *name]).collect()
    } else {
        CRATES.into_iter().chain(["--exclude", "basalt-tests"]).collect()
    };
    [others, vec!["--package", AGENT]]
}

/// Compiles the test programs, and returns them.
fn programs(tests: &TestRun<'_>, waiting: bool) -> Result<Vec<TestProgram>> {
    let mut programs = Vec::new();
    for selection in selections(waiting) {
        let command = tests
            .cargo(["test", "--no-run", "--message-format", "json-render-diagnostics"])
            .args(selection);
        let output = command.output()?;
        let found: Vec<TestProgram> = output.text().lines().filter_map(test_program).collect();
        if found.is_empty() {
            return Err(miette!("cargo names no test program: {}", command.pasteable()));
        }
        programs.extend(found);
    }
    Ok(programs)
}

/// Returns the test program of a line of cargo's, if it is about one.
fn test_program(line: &str) -> Option<TestProgram> {
    let message: CargoMessage = serde_json::from_str(line).ok()?;
    if !message.profile?.test {
        return None;
    }
    Some(TestProgram {
        name: message.target?.name,
        path: message.executable?,
        folder: message.manifest_path?.parent()?.to_owned(),
    })
}

/// Returns the number of tests that a test program is about to run, if the line says so.
fn selected_tests(line: &str) -> Option<u64> {
    line.strip_prefix("running ")?.split_once(" test")?.0.parse().ok()
}

impl ProgramReport {
    /// Runs the program once.
    fn round(&mut self, tests: &TestRun<'_>, program: &TestProgram, filters: &[String], round: u32) -> Result<()> {
        let command = Command::new(&program.path).args(filters).current_dir(&program.folder);
        let mut lines = Vec::new();
        let start = Instant::now();
        let result = tests.with_variables(command).lines(|line| lines.push(line.to_owned()));
        self.selected = lines.iter().filter_map(|line| selected_tests(line)).sum();
        self.slowest_seconds = self.slowest_seconds.max(seconds(start.elapsed()));
        match result {
            Ok(()) => Ok(()),
            Err(ProcessError::Failed { .. }) => {
                self.failed += 1;
                for name in lines.iter().filter_map(|line| failed_test(line)) {
                    *self.tests.entry(name.to_owned()).or_default() += 1;
                }
                let log = format!("repeat-{}-{round}", self.program);
                self.logs.push(tests.keep_log(&log, &lines)?);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns a duration in seconds, with tenths.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}

fn show(reports: &[ProgramReport]) {
    let mut table = Table::new(["test program", "rounds", "failed", "slowest"]);
    for report in reports {
        table.row([
            report.program.clone(),
            report.rounds.to_string(),
            report.failed.to_string(),
            format!("{:.1} s", report.slowest_seconds),
        ]);
    }
    answer(table);
    for report in reports.iter().filter(|report| report.failed > 0) {
        answer(format!("{}:", report.program));
        for (name, count) in &report.tests {
            answer(format!("  {count} of {} failed: {name}", report.rounds));
        }
        for log in &report.logs {
            answer(format!("  {log}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use walkdir::WalkDir;

    use super::*;

    /// Calls by which tests wait for a time, or have another thread or a peer to wait for.
    const CALLS: [&str; 6] = [
        "thread::sleep(",
        "time::sleep(",
        "thread::spawn(",
        "scope.spawn(",
        "Listener::bind(",
        "Server::http(",
    ];

    /// Text of the tests in a source file.
    fn test_text<'a>(path: &Path, text: &'a str) -> Option<&'a str> {
        if path.iter().any(|part| part == "tests" || part == "tests.rs") {
            return Some(text);
        }
        text.rsplit_once("#[cfg(test)]\nmod tests {").map(|(_, tests)| tests)
    }

    /// Name of a crate, if its tests wait for something.
    fn waiting_crate(manifest: &Path) -> Option<String> {
        let text = fs_err::read_to_string(manifest).expect("a manifest");
        let name = text.lines().find_map(|line| line.strip_prefix("name = "))?;
        let folder = manifest.parent().expect("a folder");
        let mut files = WalkDir::new(folder).into_iter().map(|entry| entry.expect("listed"));
        let waits = files.any(|entry| {
            let path = entry.path();
            path.extension().is_some_and(|kind| kind == "rs") && {
                let text = fs_err::read_to_string(path).expect("a source");
                let inside = path.strip_prefix(folder).expect("below its crate");
                test_text(inside, &text).is_some_and(|text| CALLS.iter().any(|call| text.contains(call)))
            }
        });
        waits.then(|| name.trim_matches('"').to_owned())
    }

    #[test]
    fn crates_whose_tests_wait_are_repeated() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        // Deeper ones are of fixtures.
        let manifests = WalkDir::new(crates)
            .max_depth(3)
            .into_iter()
            .map(|entry| entry.expect("listed"));
        let manifests = manifests.filter(|entry| entry.file_name() == "Cargo.toml");
        let found: BTreeSet<String> = manifests.filter_map(|entry| waiting_crate(entry.path())).collect();
        let named = WAITING.iter().chain([&AGENT]);
        assert_eq!(found, named.map(|name| (*name).to_owned()).collect::<BTreeSet<_>>());
    }

    #[test]
    fn the_agent_is_compiled_by_itself() {
        for waiting in [true, false] {
            let [others, agent] = selections(waiting);
            assert_eq!(agent, ["--package", "basalt-node"]);
            assert!(!others.windows(2).any(|pair| pair == agent), "{others:?}");
        }
        let [waiting, _] = selections(true);
        assert_eq!(waiting.get(..2), Some(&["--package", "basalt-process"][..]));
        let [all, _] = selections(false);
        assert_eq!(
            all,
            ["--workspace", "--exclude", "basalt-node", "--exclude", "basalt-tests"]
        );
    }

    #[test]
    fn test_programs_are_read_from_what_cargo_says() {
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/w/crates/2-execution/process/Cargo.toml",
            "target":{"name":"interruption"},"profile":{"test":true},"executable":"/w/target/interruption-1"}"#;
        let program = test_program(line).expect("a program");
        assert_eq!(program.name, "interruption");
        assert_eq!(program.folder, "/w/crates/2-execution/process");
        let library = line.replace("true", "false");
        assert_eq!(test_program(&library), None);
        assert_eq!(test_program(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(test_program("warning: something"), None);
    }
}
