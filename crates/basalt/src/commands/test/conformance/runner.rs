//! Runs of tests, several at a time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Instant;

use basalt_process::interrupt;
use basalt_progress::{Outcome as TaskOutcome, Reporter, Unit};
use camino::Utf8Path;
use miette::Result;

use super::ginkgo::{NotReady, Outcome, Verdict};
use super::suite::{Suite, is_alone};

/// Number of tests in a row without a result after which no further one begins: it is not a fault of the tests.
const MOST_WITHOUT_RESULT: u32 = 3;

/// Suite, and the places of what it writes.
pub(super) struct Runner<'a> {
    pub(super) suite: Suite,
    pub(super) reporter: &'a dyn Reporter,
    /// Folder of the reports of tests that run.
    pub(super) reports: &'a Utf8Path,
    /// Folder of the logs of tests that failed.
    pub(super) logs: &'a Utf8Path,
    /// Time from which on no further test begins.
    pub(super) end: Option<Instant>,
}

/// End of one test.
struct Ended {
    name: String,
    seconds: u64,
    verdict: Result<Verdict>,
    lines: Vec<String>,
}

impl Runner<'_> {
    /// Runs tests, `parallel` of them at a time, and gives each result to `take` as soon as it is there.
    ///
    /// # Errors
    /// The first of those of tests that come to no result, when the others have ended. No further test begins, and those that
    /// run come to their ends, when the cluster is not ready, [`MOST_WITHOUT_RESULT`] in a row have none, or `take` fails.
    pub(super) fn run(
        &self,
        tests: &[String],
        parallel: usize,
        mut take: impl FnMut(&str, Verdict, u64) -> Result<()>,
    ) -> Result<()> {
        let total = u64::try_from(tests.len()).ok();
        let task = self.reporter.task("conformance", Unit::Items, total);
        let (alone, together): (Vec<String>, Vec<String>) = tests.iter().cloned().partition(|name| is_alone(name));
        let (stop, mut without_result, mut outcome) = (AtomicBool::new(false), 0, Ok(()));
        for (tests, parallel) in [(together, parallel), (alone, 1)] {
            let group = self.run_group(tests, parallel, &stop, |ended| {
                task.advance(1);
                without_result = if ended.verdict.is_ok() { 0 } else { without_result + 1 };
                let is_ready = ended.verdict.as_ref().err().is_none_or(|error| !error.is::<NotReady>());
                let told = self.tell(&ended);
                if told.is_err() || !is_ready || without_result == MOST_WITHOUT_RESULT {
                    stop.store(true, Ordering::Relaxed);
                }
                told?;
                let verdict = ended.verdict?;
                take(&ended.name, verdict, ended.seconds).inspect_err(|_| stop.store(true, Ordering::Relaxed))
            });
            outcome = outcome.and(group);
        }
        if outcome.is_ok() {
            task.finish(TaskOutcome::Done);
        }
        outcome
    }

    /// Runs tests, `parallel` of them at a time, until `stop` is set; returns the first error of `take`.
    fn run_group(
        &self,
        tests: Vec<String>,
        parallel: usize,
        stop: &AtomicBool,
        mut take: impl FnMut(Ended) -> Result<()>,
    ) -> Result<()> {
        let queue = Mutex::new(VecDeque::from(tests));
        let next = || {
            let is_over = self.end.is_some_and(|end| Instant::now() >= end);
            let stops = is_over || stop.load(Ordering::Relaxed) || interrupt::requested();
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            if stops { None } else { queue.pop_front() }
        };
        std::thread::scope(|scope| {
            let (sender, ends) = mpsc::channel();
            for worker in 0..parallel {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    while let Some(name) = next() {
                        if sender.send(self.run_test(name, worker)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            let mut outcome = Ok(());
            for ended in ends {
                // What the other workers are at is kept, too.
                let taken = take(ended);
                outcome = outcome.and(taken);
            }
            outcome
        })
    }

    fn run_test(&self, name: String, worker: usize) -> Ended {
        let (start, mut lines) = (Instant::now(), Vec::new());
        let report = self.reports.join(format!("{worker}.json"));
        // One of an earlier test must not be taken for this one's.
        drop(fs_err::remove_file(&report));
        let verdict = self.suite.run(&name, &report, |line| lines.push(line.to_owned()));
        let seconds = start.elapsed().as_secs();
        Ended {
            name,
            seconds,
            verdict,
            lines,
        }
    }

    /// Reports the end of a test in a line; the log of one that did not pass is kept.
    fn tell(&self, ended: &Ended) -> Result<()> {
        let Ended {
            name,
            seconds,
            verdict,
            lines,
        } = ended;
        if interrupt::requested() && verdict.is_err() {
            return Ok(());
        }
        let outcome = verdict.as_ref().ok().map(|verdict| verdict.outcome);
        let word = match outcome {
            Some(Outcome::Passed) => "passed",
            Some(Outcome::Failed) => "FAILED",
            Some(Outcome::Skipped) => "skipped",
            None => "no result",
        };
        self.reporter.note(&format!("{word:<9} {seconds:>4} s  {name}"));
        if let Err(error) = verdict {
            self.reporter.note(&format!("                  {error:#}"));
        }
        if matches!(outcome, Some(Outcome::Failed) | None) {
            let log = self.logs.join(format!("conformance-{}.log", file_name(name)));
            basalt_store::write::atomically(&log, lines.join("\n") + "\n")?;
            self.reporter.note(&format!("                  {log}"));
        }
        Ok(())
    }
}

/// Name of a test as a part of a file's name: its letters and digits.
fn file_name(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let mut name = words.join("-");
    name.truncate(150);
    name
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use basalt_progress::Silent;
    use camino::Utf8PathBuf;

    use super::*;

    /// Program in the place of e2e.test: it notes when it begins and ends, and passes unless its test's name has a word.
    const PROGRAM: &str = r#"#!/bin/sh
for word; do case $word in
  --ginkgo.focus=*) name=$(printf %s "${word#*= }" | tr -d '\\$') ;;
  --ginkgo.json-report=*) report=${word#*=} ;;
esac; done
echo "begin $name" >>"$0.log"
sleep 0.2
state=passed type=It
case $name in *bad*) state=failed ;; *broken*) exit 1 ;; *early*) state=failed type=SynchronizedBeforeSuite ;; esac
printf '[{"SpecReports":[{"ContainerHierarchyTexts":null,"LeafNodeType":"%s","LeafNodeText":"%s","State":"%s","Failure":{"Message":"m"}}]}]' \
  "$type" "$name" "$state" >"$report"
echo "end $name" >>"$0.log"
[ $state = passed ]
"#;

    struct Fixture {
        _folder: tempfile::TempDir,
        path: Utf8PathBuf,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let path = Utf8PathBuf::try_from(folder.path().to_owned()).expect("UTF-8");
            fs_err::write(path.join("e2e.test"), PROGRAM).expect("written");
            let mode = std::fs::Permissions::from_mode(0o755);
            fs_err::set_permissions(path.join("e2e.test"), mode).expect("executable");
            Self { _folder: folder, path }
        }

        /// Names and outcomes in the order of the results, and what the program noted.
        fn run(
            &self,
            tests: &[&str],
            parallel: usize,
            end: Option<Instant>,
        ) -> (Result<()>, Vec<(String, Outcome)>, String) {
            let suite = Suite {
                program: self.path.join("e2e.test"),
                kubectl: "kubectl".into(),
                kubeconfig: "config".into(),
                deadline: Duration::from_secs(60),
            };
            let runner = Runner {
                suite,
                reporter: &Silent,
                reports: &self.path,
                logs: &self.path,
                end,
            };
            let tests: Vec<String> = tests.iter().map(|&name| name.to_owned()).collect();
            let mut results = Vec::new();
            let outcome = runner.run(&tests, parallel, |name, verdict, _| {
                results.push((name.to_owned(), verdict.outcome));
                Ok(())
            });
            let log = fs_err::read_to_string(self.path.join("e2e.test.log")).unwrap_or_default();
            (outcome, results, log)
        }
    }

    #[test]
    fn serial_tests_run_alone_at_the_end() {
        let fixture = Fixture::new();
        let (outcome, results, log) = fixture.run(&["a [Serial]", "b", "c bad", "d [Serial]"], 2, None);
        outcome.expect("results");
        assert_eq!(results.len(), 4);
        assert!(results.contains(&("c bad".to_owned(), Outcome::Failed)));
        assert!(
            log.starts_with("begin b\nbegin c bad\n") || log.starts_with("begin c bad\nbegin b\n"),
            "{log}"
        );
        assert!(
            log.ends_with("begin a [Serial]\nend a [Serial]\nbegin d [Serial]\nend d [Serial]\n"),
            "{log}"
        );
        assert!(self::logs(&fixture.path).contains(&"conformance-c-bad.log".to_owned()));
    }

    #[test]
    fn a_test_without_a_result_does_not_keep_others_from_theirs() {
        let fixture = Fixture::new();
        let tests = ["a broken", "b broken", "c", "d broken", "e [Serial]"];
        let (outcome, results, _) = fixture.run(&tests, 1, None);
        outcome.expect_err("no report");
        let passed = ["c", "e [Serial]"].map(|name| (name.to_owned(), Outcome::Passed));
        assert_eq!(results, passed);
    }

    #[test]
    fn what_is_no_fault_of_tests_ends_the_run_and_keeps_results() {
        for tests in [
            &["a", "b broken", "c broken", "d broken", "e [Serial]"][..],
            &["a", "b early", "e [Serial]"],
        ] {
            let (outcome, results, _) = Fixture::new().run(tests, 1, None);
            outcome.expect_err("no result");
            assert_eq!(results, [("a".to_owned(), Outcome::Passed)], "{tests:?}");
        }
    }

    #[test]
    fn nothing_begins_when_the_time_is_over() {
        let fixture = Fixture::new();
        let (outcome, results, log) = fixture.run(&["a", "b"], 1, Some(Instant::now()));
        outcome.expect("nothing to do");
        assert_eq!((results.len(), &*log), (0, ""));
    }

    fn logs(folder: &Utf8Path) -> Vec<String> {
        let entries = fs_err::read_dir(folder).expect("a folder");
        entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect()
    }
}
