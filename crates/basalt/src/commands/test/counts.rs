//! Counts of tests, as test programs report them.

use serde::{Deserialize, Serialize};

/// Counts of test results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestCounts {
    /// Tests that passed.
    pub(super) passed: u64,
    /// Tests that failed.
    pub(super) failed: u64,
    /// Tests that did not run.
    pub(super) skipped: u64,
}

/// Reader of what test programs write.
#[derive(Debug, Default)]
pub(super) struct TestOutput {
    /// Results of the programs that have ended.
    pub(super) counts: TestCounts,
    /// Names of the tests that failed.
    pub(super) failed_tests: Vec<String>,
    /// Tests of the running program that returned because they cannot run here: it counts them as passed.
    returned: u64,
}

impl TestOutput {
    /// Adds the counts of a line like `test result: ok. 12 passed; 0 failed; 1 ignored; ...`. A test that cannot run on
    /// this machine writes a line `SKIPPED name: reason` before it returns, and is counted as skipped.
    pub(super) fn count(&mut self, line: &str) {
        if skipped_test(line).is_some() {
            self.returned += 1;
            return;
        }
        self.failed_tests.extend(failed_test(line).map(str::to_owned));
        let Some(rest) = line.trim().strip_prefix("test result: ") else {
            return;
        };
        for part in rest.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(number)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) else {
                continue;
            };
            match what {
                "passed" => {
                    let returned = std::mem::take(&mut self.returned).min(number);
                    self.counts.passed += number - returned;
                    self.counts.skipped += returned;
                }
                "failed" => self.counts.failed += number,
                "ignored" => self.counts.skipped += number,
                _ => {}
            }
        }
    }
}

impl TestCounts {
    /// Returns what has been counted since `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            passed: self.passed.saturating_sub(before.passed),
            failed: self.failed.saturating_sub(before.failed),
            skipped: self.skipped.saturating_sub(before.skipped),
        }
    }

    pub(super) fn add(&mut self, other: Self) {
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

/// Returns the name of a test that says it cannot run here.
fn skipped_test(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("SKIPPED ")?;
    // With one thread, the name of the running test stands before what it writes: `test NAME ... `.
    (before.is_empty() || before.ends_with("... ")).then_some(())?;
    rest.split_once(": ").map(|(name, _)| name)
}

/// Returns the name of a test that failed, if a line of a test program says so.
pub(super) fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix("... FAILED").map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_summed_up() {
        let mut output = TestOutput::default();
        output.count("running 3 tests");
        output.count("test engine::fails ... FAILED");
        output.count("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        output
            .count("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 2.50s");
        assert_eq!(output.counts.to_string(), "13 passed, 2 failed, 1 skipped");
        assert_eq!(output.failed_tests, ["engine::fails"]);
    }

    #[test]
    fn a_test_that_returns_early_is_skipped() {
        let mut output = TestOutput::default();
        output.count(basalt_test_output::line("mounts::a_full_disk", "unshare: not permitted").trim_end());
        output.count("test groups ... SKIPPED groups: not root");
        output.count("SKIPPED: no machine is started");
        output.count("a line about SKIPPED tests: two");
        output.count("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        assert_eq!(output.counts.to_string(), "10 passed, 0 failed, 3 skipped");
        output.count("test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        assert_eq!(output.counts.to_string(), "12 passed, 0 failed, 3 skipped");
    }

    #[test]
    fn failed_tests_are_read_from_what_programs_write() {
        assert_eq!(failed_test("test wait::ends ... FAILED"), Some("wait::ends"));
        assert_eq!(failed_test("test long_name  ... FAILED"), Some("long_name"));
        assert_eq!(failed_test("test wait::ends ... ok"), None);
    }
}
