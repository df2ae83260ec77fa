//! Kubernetes' end-to-end suite: the program, and the tests that it has.

use std::collections::BTreeMap;
use std::time::Duration;

use basalt_process::{Command, ProcessError};
use camino::Utf8PathBuf;
use miette::{Result, miette};

use super::ginkgo::{self, Verdict};

/// Mark in the names of the tests of the set.
const CONFORMANCE: &str = "[Conformance]";
/// Marks in the names of tests that no other test may run beside.
const ALONE: [&str; 2] = ["[Serial]", "[Disruptive]"];
/// Options for the times that e2e.test waits, before a test, for nodes to be schedulable and for the cluster's own pods to be
/// ready.
const READY: [&str; 3] = [
    "node-schedulable-timeout",
    "system-pods-startup-timeout",
    "system-daemonsets-startup-timeout",
];
/// Time for which e2e.test may remove what a test has made, once it was interrupted or the test's deadline is over.
const CLEANING_UP: Duration = Duration::from_secs(60);

/// Programs of the suite, and the cluster that it tests.
#[derive(Debug, Clone)]
pub(super) struct Suite {
    /// Path of `e2e.test`.
    pub(super) program: Utf8PathBuf,
    /// Path of kubectl, which some tests call.
    pub(super) kubectl: Utf8PathBuf,
    /// Kubeconfig of the cluster's administrator.
    pub(super) kubeconfig: Utf8PathBuf,
    /// Time that a test may take.
    pub(super) deadline: Duration,
}

/// Returns `true` if no other test may run beside the one of this name.
pub(super) fn is_alone(name: &str) -> bool {
    ALONE.iter().any(|mark| name.contains(mark))
}

impl Suite {
    /// Returns the version of Kubernetes that the suite belongs to: `v1.37.2`.
    pub(super) fn version(&self) -> Result<String> {
        let output = Command::new(&self.program).arg("--version").output()?.text();
        version(&output).ok_or_else(|| miette!("`e2e.test --version` names no version: {output}"))
    }

    /// Returns the names of the tests of the set [Conformance].
    pub(super) fn tests(&self) -> Result<Vec<String>> {
        let output = Command::new(&self.program).arg("--list-tests").output()?;
        let tests = conformance_tests(&output.text());
        if tests.is_empty() {
            return Err(miette!(
                "`e2e.test --list-tests` names no test of the set {CONFORMANCE}"
            ));
        }
        Ok(tests)
    }

    /// Returns the names of the images that the suite's pods run.
    pub(super) fn images(&self) -> Result<Vec<String>> {
        let output = Command::new(&self.program).arg("--list-images").output()?;
        let mut images: Vec<_> = output.text().lines().map(|line| line.trim().to_owned()).collect();
        images.sort();
        images.dedup();
        Ok(images)
    }

    /// Returns the nodes of the cluster in words: `2 nodes: Basalt Linux 1.0, kubelet v1.37.2, containerd://2.2.0`.
    pub(super) fn cluster(&self) -> Result<String> {
        let command = Command::new(&self.kubectl).args(["get", "nodes", "--output=json", "--kubeconfig"]);
        let output = command.arg(&self.kubeconfig).output()?;
        let nodes = nodes(&output.stdout);
        let nodes = nodes.ok_or_else(|| miette!("kubectl's list of the cluster's nodes cannot be read"))?;
        if nodes.is_empty() {
            return Err(miette!(
                help = "e2e.test runs no test without one: `./basalt up --nodes 2` starts a cluster with two",
                "the cluster has no node"
            ));
        }
        Ok(nodes)
    }

    /// Runs a test, and gives each line that it writes to `line`. `report` is where e2e.test writes its own report.
    ///
    /// # Errors
    /// When it was interrupted, or came to no result. A failed test is a result.
    pub(super) fn run(&self, name: &str, report: &Utf8PathBuf, line: impl FnMut(&str)) -> Result<Verdict> {
        match self.command(name, report).lines(line) {
            Ok(()) | Err(ProcessError::Failed { .. }) => ginkgo::verdict(report, name),
            Err(ProcessError::TimedOut { .. }) => Ok(Verdict::failed("e2e.test did not end after the test's deadline")),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the command that runs a test.
    fn command(&self, name: &str, report: &Utf8PathBuf) -> Command {
        // Together less than the deadline, after which e2e.test would not say what is not ready.
        let ready = (self.deadline / 4).as_secs();
        Command::new(&self.program)
            .args(["--provider=skeleton", "--ginkgo.no-color"])
            .arg(format!("--kubeconfig={}", self.kubeconfig))
            .arg(format!("--kubectl-path={}", self.kubectl))
            .arg(format!("--ginkgo.focus={}", focus(name)))
            .arg(format!("--ginkgo.timeout={}s", self.deadline.as_secs()))
            .arg(format!("--ginkgo.json-report={report}"))
            .args(READY.map(|option| format!("--{option}={ready}s")))
            .time_limit(self.deadline + 2 * CLEANING_UP)
            .grace(CLEANING_UP)
    }
}

/// Returns the version in what `e2e.test --version` writes.
fn version(text: &str) -> Option<String> {
    let is_version = |word: &&str| {
        let number = word.strip_prefix('v').unwrap_or_default();
        number.starts_with(|letter: char| letter.is_ascii_digit()) && number.contains('.')
    };
    text.split_whitespace().find(is_version).map(str::to_owned)
}

/// Returns the tests of the set in what `e2e.test --list-tests` writes: lines of a place in the source and a name.
fn conformance_tests(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    let named = lines.filter(|(place, name)| place.contains(".go:") && name.contains(CONFORMANCE));
    let mut tests: Vec<_> = named.map(|(_, name)| name.trim().to_owned()).collect();
    tests.sort();
    tests.dedup();
    tests
}

/// Returns the regular expression of Go that is found in the full name of one test alone: its own name, up to the end. By
/// hand: the crates that escape are for engines of theirs.
fn focus(name: &str) -> String {
    let mut pattern = String::from(" ");
    for letter in name.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern + "$"
}

/// Describes the nodes in kubectl's list, in JSON.
fn nodes(json: &[u8]) -> Option<String> {
    let list: serde_json::Value = serde_json::from_slice(json).ok()?;
    let nodes = list.get("items")?.as_array()?;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for node in nodes {
        let fact = |name: &str| node.pointer(&format!("/status/nodeInfo/{name}"))?.as_str();
        let (system, runtime) = (fact("osImage")?, fact("containerRuntimeVersion")?);
        let kind = format!("{system}, kubelet {}, {runtime}", fact("kubeletVersion")?);
        *kinds.entry(kind).or_default() += 1;
    }
    let kinds = kinds.iter().map(|(kind, count)| match count {
        1 => format!("1 node: {kind}"),
        count => format!("{count} nodes: {kind}"),
    });
    Some(kinds.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_places_and_names() {
        let text = "The following spec names can be used with 'ginkgo run --focus/skip':\n    \
            test/e2e/apps/job.go:77: [sig-apps] Job should run: a job to completion [Conformance]\n    \
            test/e2e/apps/job.go:99: [sig-apps] Job should do more\n    \
            test/e2e/auth/a.go:9: [sig-auth] A [Serial] should hold [Conformance]\n\n";
        let tests = [
            "[sig-apps] Job should run: a job to completion [Conformance]",
            "[sig-auth] A [Serial] should hold [Conformance]",
        ];
        assert_eq!(conformance_tests(text), tests);
        assert_eq!(tests.map(is_alone), [false, true]);
    }

    #[test]
    fn a_test_is_focused_by_its_whole_name() {
        assert_eq!(focus("[sig-a] B.c (d) [e]"), r" \[sig-a\] B\.c \(d\) \[e\]$");
    }

    #[test]
    fn what_is_waited_for_before_a_test_takes_less_than_its_deadline() {
        let suite = Suite {
            program: "e2e.test".into(),
            kubectl: "kubectl".into(),
            kubeconfig: "config".into(),
            deadline: Duration::from_secs(1200),
        };
        let command = suite.command("[sig-a] B", &"report".into()).pasteable();
        assert!(command.contains("--ginkgo.timeout=1200s"), "{command}");
        for option in READY {
            assert!(command.contains(&format!("--{option}=300s")), "{command}");
        }
    }

    #[test]
    fn the_version_is_the_word_that_looks_like_one() {
        for text in ["v1.37.2", "v1.37.2\n", "version v1.37.2"] {
            assert_eq!(version(text).as_deref(), Some("v1.37.2"), "{text}");
        }
        assert_eq!(version("version.Info{}"), None);
    }

    #[test]
    fn nodes_of_one_kind_are_counted() {
        let node = |system: &str| {
            let facts = serde_json::json!({
                "osImage": system, "kubeletVersion": "v1.37.2", "containerRuntimeVersion": "containerd://2.2.0"
            });
            serde_json::json!({ "status": { "nodeInfo": facts } })
        };
        let list = serde_json::json!({ "items": [node("Debian"), node("Basalt"), node("Basalt")] });
        let words =
            "2 nodes: Basalt, kubelet v1.37.2, containerd://2.2.0; 1 node: Debian, kubelet v1.37.2, containerd://2.2.0";
        assert_eq!(nodes(list.to_string().as_bytes()).as_deref(), Some(words));
        assert_eq!(nodes(br#"{"items":[]}"#).as_deref(), Some(""));
        assert_eq!(nodes(b"{}"), None);
    }
}
