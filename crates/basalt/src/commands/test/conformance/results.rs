//! Last result of each test of the suite, in a file that runs add to.

use std::collections::BTreeMap;

use basalt_store::write;
use camino::Utf8Path;
use miette::{IntoDiagnostic as _, Result, WrapErr as _};
use serde::{Deserialize, Serialize};

use super::ginkgo::{Outcome, Verdict};
use super::images::SuiteImages;
use crate::arguments::test::ConformancePart;

/// Content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Results {
    /// Version of Kubernetes that the list of tests belongs to.
    pub(super) version: String,
    /// Results by names of tests; none for those that have not run.
    pub(super) tests: BTreeMap<String, Option<TestResult>>,
}

/// Result of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestResult {
    /// Kind of the end.
    pub(super) outcome: Outcome,
    /// Words of the test for an end other than success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// Duration in seconds, with the start of e2e.test.
    pub(super) seconds: u64,
    /// Day on which it ran, in UTC: `2026-11-29`.
    pub(super) date: String,
    /// Version of Kubernetes that the test belonged to.
    pub(super) version: String,
    /// Nodes of the cluster that it ran on.
    pub(super) cluster: String,
}

impl TestResult {
    /// Returns the result of a test that ended now.
    pub(super) fn now(verdict: Verdict, seconds: u64, version: &str, cluster: &str) -> Self {
        Self {
            outcome: verdict.outcome,
            reason: verdict.reason,
            seconds,
            date: basalt_signing::Timestamp::now().to_string(),
            version: version.to_owned(),
            cluster: cluster.to_owned(),
        }
    }
}

impl Results {
    /// Reads a file; one that does not exist has no results.
    pub(super) fn read(path: &Utf8Path) -> Result<Self> {
        let text = match fs_err::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text.into_diagnostic()?,
        };
        serde_json::from_slice(&text)
            .into_diagnostic()
            .wrap_err_with(|| format!("{path} has no results of `basalt test --conformance`"))
    }

    /// Writes the file.
    pub(super) fn write(&self, path: &Utf8Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).into_diagnostic()?;
        Ok(write::atomically(path, text + "\n")?)
    }

    /// Takes over the suite's list of tests: new ones have no result, and those that are gone are dropped.
    pub(super) fn adopt(&mut self, version: String, names: Vec<String>) {
        self.version = version;
        let mut known = std::mem::take(&mut self.tests);
        self.tests = names
            .into_iter()
            .map(|name| (name.clone(), known.remove(&name).flatten()))
            .collect();
    }

    /// Returns the tests to run: those of the part whose names have one of the filters, if there are any. Those that took
    /// little time come first, then those that have not run. Tests without their image run only when they are named.
    pub(super) fn selected(&self, part: ConformancePart, filters: &[String], images: &SuiteImages) -> Vec<String> {
        let wanted = |name: &str, result: Option<&TestResult>| {
            let named = filters.iter().any(|filter| name.contains(filter));
            let in_part = match part {
                ConformancePart::Next => result.is_none_or(|result| result.version != self.version),
                ConformancePart::Failed => result.is_some_and(|result| result.outcome == Outcome::Failed),
                ConformancePart::All => true,
                ConformancePart::Report => false,
            };
            in_part && (named || filters.is_empty() && images.absent_for(name).is_none())
        };
        let tests = self.tests.iter().map(|(name, result)| (name, result.as_ref()));
        let mut selected: Vec<_> = tests.filter(|(name, result)| wanted(name, *result)).collect();
        let slow = |name: &str| name.contains("[Slow]");
        selected.sort_by_key(|(name, result)| (slow(name), result.map_or(u64::MAX, |result| result.seconds)));
        selected.into_iter().map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: &str = "[[absent]]\nimage = \"kitten\"\nreason = \"not made\"\ntests = [\"Image volume\"]\n";

    fn results() -> Results {
        let result = |outcome, seconds, version: &str| {
            Some(TestResult {
                outcome,
                reason: None,
                seconds,
                date: "2026-11-29".to_owned(),
                version: version.to_owned(),
                cluster: "1 node".to_owned(),
            })
        };
        let tests = [
            ("a slow one [Slow]", None),
            ("b long", result(Outcome::Passed, 90, "v2")),
            ("c failed", result(Outcome::Failed, 20, "v2")),
            ("d old", result(Outcome::Passed, 5, "v1")),
            ("e new", None),
            ("Image volume", None),
        ];
        Results {
            version: "v2".to_owned(),
            tests: tests.map(|(name, result)| (name.to_owned(), result)).into(),
        }
    }

    #[test]
    fn a_run_goes_on_where_the_last_one_ended() {
        let images = SuiteImages::parse("conformance.toml", ABSENT).expect("right");
        for (part, filters, expected) in [
            (
                ConformancePart::Next,
                &[][..],
                &["d old", "e new", "a slow one [Slow]"][..],
            ),
            (ConformancePart::Failed, &[], &["c failed"]),
            (
                ConformancePart::All,
                &[],
                &["d old", "c failed", "b long", "e new", "a slow one [Slow]"],
            ),
            (ConformancePart::Next, &["e n", "Image"], &["Image volume", "e new"]),
            (ConformancePart::All, &["long", "old"], &["d old", "b long"]),
            (ConformancePart::Report, &["long"], &[]),
        ] {
            let filters: Vec<String> = filters.iter().map(|&filter: &&str| filter.to_owned()).collect();
            assert_eq!(
                results().selected(part, &filters, &images),
                expected,
                "{part:?} {filters:?}"
            );
        }
    }

    #[test]
    fn the_list_of_tests_is_the_newest_suites() {
        let mut results = results();
        results.adopt("v3".to_owned(), vec!["b long".to_owned(), "f newer".to_owned()]);
        assert_eq!(results.version, "v3");
        let known: Vec<_> = results
            .tests
            .iter()
            .map(|(name, result)| (name.as_str(), result.as_ref().map(|result| result.version.as_str())))
            .collect();
        assert_eq!(known, [("b long", Some("v2")), ("f newer", None)]);
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = camino::Utf8PathBuf::try_from(folder.path().join("results.json")).expect("UTF-8");
        assert_eq!(Results::read(&path).expect("nothing yet"), Results::default());
        results().write(&path).expect("written");
        assert_eq!(Results::read(&path).expect("read"), results());
        fs_err::write(&path, "{}").expect("written");
        Results::read(&path).expect_err("another file");
    }
}
