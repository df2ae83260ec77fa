//! Ginkgo's report in JSON (`--ginkgo.json-report`), as far as it tells how one test ended.

use camino::Utf8Path;
use miette::{Diagnostic, IntoDiagnostic as _, Result, WrapErr as _, miette};
use serde::{Deserialize, Serialize};

/// Kind of a test's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// The cluster does what the test asks for.
    Passed,
    /// The cluster does not, or not in time.
    Failed,
    /// The test itself found that it does not apply to the cluster.
    Skipped,
}

/// Result of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Kind of the end.
    pub(super) outcome: Outcome,
    /// Words of the test for an end other than success; one line.
    pub(super) reason: Option<String>,
}

/// Report of a suite. Ginkgo calls a test a spec.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SuiteReport {
    spec_reports: Option<Vec<SpecReport>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SpecReport {
    container_hierarchy_texts: Option<Vec<String>>,
    leaf_node_type: String,
    leaf_node_text: String,
    state: State,
    failure: Option<Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Passed,
    Failed,
    Panicked,
    TimedOut,
    Skipped,
    Pending,
    Aborted,
    Interrupted,
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    message: String,
    location: Option<Location>,
}

/// Place in the suite's source. Ginkgo leaves out what it does not know.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Location {
    file_name: String,
    line_number: u32,
}

/// Cluster that tests cannot begin on: what comes before all tests failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the cluster is not ready for tests: {reason}")]
#[diagnostic(
    code(conformance::not_ready),
    help("`kubectl get nodes,pods -A` shows what is not ready")
)]
pub(super) struct NotReady {
    reason: String,
}

/// Longest reason that is kept, in characters.
const LONGEST_REASON: usize = 300;

impl Verdict {
    /// Returns the result of a test that failed for this reason.
    pub(super) fn failed(reason: &str) -> Self {
        Self {
            outcome: Outcome::Failed,
            reason: Some(reason.to_owned()),
        }
    }
}

/// Reads how the test of this name ended.
///
/// # Errors
/// [`NotReady`]; when the report cannot be read, or has no result of the test, because it was interrupted.
pub(super) fn verdict(report: &Utf8Path, name: &str) -> Result<Verdict> {
    let text = fs_err::read(report)
        .into_diagnostic()
        .wrap_err("e2e.test wrote no report")?;
    let suites: Vec<SuiteReport> = serde_json::from_slice(&text)
        .into_diagnostic()
        .wrap_err("the report of e2e.test cannot be read")?;
    verdict_in(&suites, name)
}

fn verdict_in(suites: &[SuiteReport], name: &str) -> Result<Verdict> {
    let specs = || suites.iter().flat_map(|suite| suite.spec_reports.iter().flatten());
    let before = specs().find(|spec| spec.is_before_suite() && spec.state != State::Passed);
    if let Some(spec) = before {
        let reason = spec.reason().unwrap_or_else(|| "no reason is given".to_owned());
        return Err(NotReady { reason }.into());
    }
    let spec = specs().find(|spec| spec.is_named(name));
    let spec = spec.ok_or_else(|| miette!("the report of e2e.test does not have the test {name}"))?;
    let outcome = match spec.state {
        State::Passed => Outcome::Passed,
        State::Failed | State::Panicked | State::TimedOut => Outcome::Failed,
        // Specs that were not selected have no words.
        State::Skipped if spec.failure.as_ref().is_some_and(|failure| !failure.message.is_empty()) => Outcome::Skipped,
        state => return Err(miette!("the test {name} did not come to an end ({state:?})")),
    };
    let reason = match outcome {
        Outcome::Passed => None,
        Outcome::Failed | Outcome::Skipped => spec.reason(),
    };
    Ok(Verdict { outcome, reason })
}

impl SpecReport {
    fn is_before_suite(&self) -> bool {
        matches!(&*self.leaf_node_type, "BeforeSuite" | "SynchronizedBeforeSuite")
    }

    fn is_named(&self, name: &str) -> bool {
        let texts = self.container_hierarchy_texts.iter().flatten();
        let texts: Vec<&str> = texts.chain([&self.leaf_node_text]).map(String::as_str).collect();
        self.leaf_node_type == "It" && texts.join(" ") == name
    }

    /// Message of a failure in one line, and the place in the suite's source.
    fn reason(&self) -> Option<String> {
        let failure = self.failure.as_ref().filter(|failure| !failure.message.is_empty())?;
        let words: Vec<&str> = failure.message.split_whitespace().collect();
        let words = words.join(" ");
        let mut reason: String = words.chars().take(LONGEST_REASON).collect();
        if reason.len() < words.len() {
            reason.push('…');
        }
        if self.state == State::TimedOut {
            reason = format!("deadline exceeded: {reason}");
        }
        if let Some(location) = failure
            .location
            .as_ref()
            .filter(|location| !location.file_name.is_empty())
        {
            // Below the module's root: where a machine has it does not matter.
            let path = location.file_name.rsplit_once("/test/e2e/").map(|(_, path)| path);
            let path = path.map_or(location.file_name.clone(), |path| format!("test/e2e/{path}"));
            reason = format!("{reason} ({path}:{})", location.line_number);
        }
        Some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "[sig-apps] Job should run [Conformance]";

    fn read(spec: &serde_json::Value) -> Result<Verdict> {
        let other = serde_json::json!({
            "ContainerHierarchyTexts": ["[sig-apps] Job"], "LeafNodeType": "It", "LeafNodeText": "should do more",
            "State": "skipped", "Failure": { "Message": "" }
        });
        let report = serde_json::json!([{ "SuitePath": "x", "SpecReports": [other, spec] }]);
        verdict_in(
            &serde_json::from_value::<Vec<SuiteReport>>(report).expect("a report"),
            NAME,
        )
    }

    fn spec(state: &str, message: &str) -> serde_json::Value {
        serde_json::json!({
            "ContainerHierarchyTexts": ["[sig-apps] Job"], "LeafNodeType": "It",
            "LeafNodeText": "should run [Conformance]", "State": state, "RunTime": 1_200_000_000_u64,
            "Failure": { "Message": message, "Location": { "FileName": "/m/k8s.io/kubernetes@v1/test/e2e/apps/job.go", "LineNumber": 7 } }
        })
    }

    #[test]
    fn states_are_outcomes_with_reasons() {
        let place = "(test/e2e/apps/job.go:7)";
        for (state, message, outcome, reason) in [
            ("passed", "", Outcome::Passed, None),
            ("failed", "no\n  pod", Outcome::Failed, Some(format!("no pod {place}"))),
            ("panicked", "nil", Outcome::Failed, Some(format!("nil {place}"))),
            (
                "timedout",
                "slow",
                Outcome::Failed,
                Some(format!("deadline exceeded: slow {place}")),
            ),
            (
                "skipped",
                "needs 2 nodes",
                Outcome::Skipped,
                Some(format!("needs 2 nodes {place}")),
            ),
        ] {
            assert_eq!(read(&spec(state, message)).expect(state), Verdict { outcome, reason });
        }
    }

    #[test]
    fn what_did_not_come_to_an_end_is_no_result() {
        for (state, message) in [
            ("interrupted", "stopped"),
            ("skipped", ""),
            ("pending", ""),
            ("new", ""),
        ] {
            read(&spec(state, message)).expect_err(state);
        }
    }

    #[test]
    fn a_cluster_that_is_not_ready_is_no_failure_of_the_test() {
        let suite = serde_json::json!({
            "LeafNodeType": "SynchronizedBeforeSuite", "LeafNodeText": "", "State": "failed",
            "Failure": { "Message": "no node is schedulable" }
        });
        let error = read(&suite).expect_err("no result");
        assert!(error.is::<NotReady>(), "{error:?}");
        assert!(error.to_string().contains("no node is schedulable"), "{error}");
    }

    #[test]
    fn a_failure_without_a_place_is_read() {
        let mut spec = spec("failed", "no pod");
        spec["Failure"]["Location"] = serde_json::json!({ "CustomMessage": "by a signal" });
        assert_eq!(read(&spec).expect("a result"), Verdict::failed("no pod"));
    }

    #[test]
    fn long_reasons_are_cut_off() {
        let verdict = read(&spec("failed", &"é".repeat(1000))).expect("a result");
        let reason = verdict.reason.expect("a reason");
        assert!(reason.contains("éé… (test"), "{reason}");
    }
}
