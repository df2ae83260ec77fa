//! Last results of what takes too long for every run, in a file that runs add to, and as a page of the documentation.

use std::collections::BTreeMap;

use basalt_process::{Command, tool};
use basalt_signing::Timestamp;
use basalt_store::write;
use camino::{Utf8Path, Utf8PathBuf};
use miette::{IntoDiagnostic as _, Result, WrapErr as _};
use serde::{Deserialize, Serialize};

use super::counts::TestCounts;
use crate::arguments::test::TestStep;
use crate::checkout::Checkout;

/// Content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LongResults {
    /// Results of the steps of `--long`.
    steps: BTreeMap<TestStep, StepResult>,
    /// Results of `--repeat`, by the number of busy loops beside the tests.
    repetitions: BTreeMap<u16, RepetitionResult>,
}

/// Result of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepResult {
    /// Counts of its tests.
    pub(super) counts: TestCounts,
    /// Names of the tests that failed, as far as they are known: code that does not compile has none.
    pub(super) failed_tests: Vec<String>,
    /// Duration in seconds.
    pub(super) seconds: u64,
    /// Time and commit.
    pub(super) tested: TestedAt,
}

/// Result of the repetition of all tests that wait for something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RepetitionResult {
    /// Number of test programs.
    pub(super) programs: usize,
    /// Number of their tests.
    pub(super) tests: u64,
    /// Number of rounds of each program.
    pub(super) rounds: u32,
    /// Number of rounds that failed, of all programs.
    pub(super) failed_rounds: u32,
    /// Number of failures by names of tests.
    pub(super) failed_tests: BTreeMap<String, u32>,
    /// Time and commit.
    pub(super) tested: TestedAt,
}

/// Time and place in the history at which tests ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestedAt {
    /// Day in UTC: `2026-11-29`.
    date: String,
    /// Commit of the checkout; none where it has no git, such as an unpacked archive.
    commit: Option<String>,
}

impl TestedAt {
    /// Now, in the checkout as it is.
    pub(super) fn now(checkout: &Checkout) -> Self {
        let git = Command::tool(tool::GIT)
            .args(["rev-parse", "--short", "HEAD"])
            .current_dir(&checkout.root);
        Self {
            date: Timestamp::now().to_string(),
            commit: git.output().ok().map(|output| output.text().trim().to_owned()),
        }
    }
}

impl LongResults {
    /// Takes results of steps in the place of older ones.
    pub(super) fn add_steps(&mut self, results: &[(TestStep, StepResult)]) {
        self.steps.extend(results.iter().cloned());
    }

    /// Takes the result of a repetition in the place of an older one with as many busy loops.
    pub(super) fn add_repetition(&mut self, loops: u16, result: RepetitionResult) {
        self.repetitions.insert(loops, result);
    }

    /// Reads a file; one that does not exist has no results.
    fn read(path: &Utf8Path) -> Result<Self> {
        let text = match fs_err::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text.into_diagnostic()?,
        };
        serde_json::from_slice(&text)
            .into_diagnostic()
            .wrap_err_with(|| format!("{path} has no results of `basalt test --long`"))
    }

    /// Returns the page.
    fn page(&self) -> String {
        let mut page = String::from(
            "# Last results of the long tests\n\n\
             `./basalt test --long`, `--long=STEP,...` and `--repeat N` write this page, of [long-tests.json](long-tests.json). Steps of the\n\
             default have more cases here where a test counts them.\n\n\
             | step | passed | failed | skipped | seconds | date | commit |\n\
             | --- | ---: | ---: | ---: | ---: | --- | --- |\n",
        );
        for (step, result) in &self.steps {
            let TestCounts {
                passed,
                failed,
                skipped,
            } = result.counts;
            let cells = format!(
                "{} | {passed} | {failed} | {skipped} | {}",
                step.title(),
                result.seconds
            );
            page += &format!("| {cells} | {} |\n", result.tested.cells());
        }
        if !self.repetitions.is_empty() {
            page += "\nThe tests of the crates that wait for processes, files, servers or the clock, again and again:\n\n\
                     | busy loops beside | programs | tests | rounds of each | rounds that failed | date | commit |\n\
                     | ---: | ---: | ---: | ---: | ---: | --- | --- |\n";
        }
        for (loops, result) in &self.repetitions {
            let RepetitionResult {
                programs,
                tests,
                rounds,
                failed_rounds,
                ..
            } = result;
            let cells = format!("{loops} | {programs} | {tests} | {rounds} | {failed_rounds}");
            page += &format!("| {cells} | {} |\n", result.tested.cells());
        }
        page + &self.failures()
    }

    /// Returns the list of the tests that failed, with its heading, if there are any.
    fn failures(&self) -> String {
        let of_steps = self.steps.iter().flat_map(|(step, result)| {
            let line = |name: &String| format!("- {}: `{name}`\n", step.title());
            result.failed_tests.iter().map(line)
        });
        let of_repetitions = self.repetitions.iter().flat_map(|(loops, result)| {
            let line =
                move |(name, count): (&String, &u32)| format!("- beside {loops} busy loops, {count} times: `{name}`\n");
            result.failed_tests.iter().map(line)
        });
        let lines: String = of_steps.chain(of_repetitions).collect();
        if lines.is_empty() {
            return lines;
        }
        format!("\n## Failed\n\n{lines}")
    }
}

impl TestedAt {
    fn cells(&self) -> String {
        format!("{} | {}", self.date, self.commit.as_deref().unwrap_or_default())
    }
}

/// Changes the results of a checkout: the file, and the page that is made of it.
pub(super) fn change(checkout: &Checkout, change: impl FnOnce(&mut LongResults)) -> Result<()> {
    let page = change_in(&checkout.root.join("docs"), change)?;
    checkout.reporter().note(&format!("the results are in {page}"));
    Ok(())
}

fn change_in(folder: &Utf8Path, change: impl FnOnce(&mut LongResults)) -> Result<Utf8PathBuf> {
    let [json, page] = ["long-tests.json", "long-tests.md"].map(|name| folder.join(name));
    let mut results = LongResults::read(&json)?;
    change(&mut results);
    let text = serde_json::to_string_pretty(&results).into_diagnostic()?;
    write::atomically(&json, text + "\n")?;
    write::atomically(&page, results.page())?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tested(date: &str, commit: Option<&str>) -> TestedAt {
        TestedAt {
            date: date.to_owned(),
            commit: commit.map(str::to_owned),
        }
    }

    fn result(passed: u64, failed_tests: &[&str], tested: TestedAt) -> StepResult {
        StepResult {
            counts: TestCounts {
                passed,
                failed: failed_tests.len() as u64,
                skipped: 1,
            },
            failed_tests: failed_tests.iter().map(|name| (*name).to_owned()).collect(),
            seconds: 420,
            tested,
        }
    }

    #[test]
    fn results_are_kept_from_run_to_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let first = [
            (TestStep::Live, result(3, &["leases"], tested("2026-11-28", None))),
            (
                TestStep::Crates,
                result(1940, &[], tested("2026-11-28", Some("abc1234"))),
            ),
        ];
        change_in(folder, |kept| kept.add_steps(&first)).expect("written");
        let again = [(TestStep::Live, result(4, &[], tested("2026-11-29", Some("def5678"))))];
        change_in(folder, |kept| kept.add_steps(&again)).expect("written");
        let repetition = RepetitionResult {
            programs: 30,
            tests: 1200,
            rounds: 50,
            failed_rounds: 2,
            failed_tests: BTreeMap::from([("server::a_slow_peer".to_owned(), 2)]),
            tested: tested("2026-11-29", Some("def5678")),
        };
        let page = change_in(folder, |kept| kept.add_repetition(4, repetition)).expect("written");
        let page = fs_err::read_to_string(page).expect("a page");
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ")).collect();
        assert_eq!(
            rows,
            [
                "| step | passed | failed | skipped | seconds | date | commit |",
                "| --- | ---: | ---: | ---: | ---: | --- | --- |",
                "| crates | 1940 | 0 | 1 | 420 | 2026-11-28 | abc1234 |",
                "| long tests of nodes | 4 | 0 | 1 | 420 | 2026-11-29 | def5678 |",
                "| busy loops beside | programs | tests | rounds of each | rounds that failed | date | commit |",
                "| ---: | ---: | ---: | ---: | ---: | --- | --- |",
                "| 4 | 30 | 1200 | 50 | 2 | 2026-11-29 | def5678 |",
            ]
        );
        let failed = "\n## Failed\n\n- beside 4 busy loops, 2 times: `server::a_slow_peer`\n";
        assert!(page.ends_with(failed), "{page}");
    }

    #[test]
    fn failed_tests_are_named() {
        let mut results = LongResults::default();
        assert!(!results.page().contains("Failed"));
        let live = result(3, &["leases"], tested("2026-11-28", None));
        results.add_steps(&[(TestStep::Live, live)]);
        let page = results.page();
        assert!(
            page.ends_with("\n## Failed\n\n- long tests of nodes: `leases`\n"),
            "{page}"
        );
        assert!(
            page.contains("| long tests of nodes | 3 | 1 | 1 | 420 | 2026-11-28 |  |\n"),
            "{page}"
        );
    }

    #[test]
    fn a_file_of_something_else_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        fs_err::write(folder.join("long-tests.json"), "[]").expect("written");
        let error = change_in(folder, |_| {}).expect_err("refused");
        assert!(error.to_string().contains("long-tests.json has no results"), "{error}");
    }
}
