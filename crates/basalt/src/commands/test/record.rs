//! Record of the last run of `basalt test --long`, as a page of the documentation.

use basalt_process::{Command, tool};
use basalt_signing::Timestamp;
use basalt_store::write;
use camino::Utf8PathBuf;
use miette::Result;

use super::counts::TestCounts;
use crate::checkout::Checkout;

/// Result of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StepRecord {
    /// Title of the step.
    pub(super) title: &'static str,
    /// Counts of its tests.
    pub(super) counts: TestCounts,
    /// Duration in seconds.
    pub(super) seconds: u64,
}

/// Writes the page, and returns its path.
pub(super) fn write(checkout: &Checkout, records: &[StepRecord]) -> Result<Utf8PathBuf> {
    let git = Command::tool(tool::GIT)
        .args(["rev-parse", "--short", "HEAD"])
        .current_dir(&checkout.root);
    // A checkout without git, such as an unpacked archive, has no commit.
    let commit = git.output().ok().map(|output| output.text());
    let path = checkout.root.join("docs/long-tests.md");
    write::atomically(
        &path,
        page(records, commit.as_deref(), &Timestamp::now().date_and_time()),
    )?;
    Ok(path)
}

/// Returns the page. `time` is in UTC.
fn page(records: &[StepRecord], commit: Option<&str>, time: &str) -> String {
    let commit = commit.map(|commit| format!(", commit {commit}")).unwrap_or_default();
    let mut page = format!(
        "# Last run of the long tests\n\n\
         `./basalt test --long` wrote this page at {time} UTC{commit}. It runs what `./basalt test` runs, with more cases where a\n\
         test counts them, then nodes through faults, power cuts and outages (`tests/live`) and a cluster made by kubeadm\n\
         (`tests/join`).\n\n\
         | step | passed | failed | skipped | seconds |\n| --- | ---: | ---: | ---: | ---: |\n"
    );
    for record in records {
        let StepRecord { title, counts, seconds } = record;
        let TestCounts {
            passed,
            failed,
            skipped,
        } = counts;
        page += &format!("| {title} | {passed} | {failed} | {skipped} | {seconds} |\n");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_row_for_each_step() {
        let counts = TestCounts {
            passed: 3,
            failed: 0,
            skipped: 1,
        };
        let record = StepRecord {
            title: "crates",
            counts,
            seconds: 420,
        };
        let page = page(&[record], Some("abc1234"), "2026-11-29 09:00:00");
        assert!(page.contains("2026-11-29 09:00:00 UTC, commit abc1234"));
        assert!(page.ends_with("| crates | 3 | 0 | 1 | 420 |\n"));
    }
}
