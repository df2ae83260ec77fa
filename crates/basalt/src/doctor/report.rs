//! Findings of checks, and the report that they make up.

use std::fmt;

use serde::Serialize;

use super::outcome::TIMED_OUT;

/// Verbs that make the SDK or run programs in a sandbox.
pub const BUILDING: &[&str] = &["build", "up", "run", "sdk", "shell", "verify", "test"];
/// Verbs that start virtual machines.
pub const RUNNING: &[&str] = &["up", "run", "test", "bench"];
/// Verbs that use the store.
pub const STORING: &[&str] = &["build", "up", "run", "sdk", "sources", "cache", "clean", "store"];

/// Width of the column with the names of checks.
const NAMES: usize = 22;

/// Operation of a check that did not come to its end.
const ITSELF: &str = "the check itself";

/// Outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckStatus {
    /// As it should be.
    Passed,
    /// Something is missing that some uses need, or makes them slow.
    Warning,
    /// Some verbs fail on this machine.
    Failed,
    /// Not examined, because something else that it needs failed.
    Skipped,
}

/// Result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckFinding {
    /// Name of the check.
    pub check: &'static str,
    /// Outcome.
    pub status: CheckStatus,
    /// Operation that was tried.
    pub tried: String,
    /// Result of the operation.
    pub result: String,
    /// Verbs that are affected; empty when the check passed.
    pub affects: &'static [&'static str],
    /// Consequence for these verbs.
    pub meaning: Option<String>,
    /// Command or change that helps.
    pub help: Option<String>,
}

/// Findings of all checks.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct DoctorReport {
    /// `true` if no check failed.
    pub passed: bool,
    /// Number of checks that failed.
    pub failed: usize,
    /// Number of checks with a warning.
    pub warnings: usize,
    /// Findings, in the order of the checks.
    pub findings: Vec<CheckFinding>,
}

impl CheckFinding {
    /// Makes a finding without consequences.
    pub fn new(check: &'static str, status: CheckStatus, tried: impl Into<String>, result: impl Into<String>) -> Self {
        Self {
            check,
            status,
            tried: tried.into(),
            result: result.into(),
            affects: &[],
            meaning: None,
            help: None,
        }
    }

    /// Makes the finding of a check that passed.
    pub fn passed(check: &'static str, tried: impl Into<String>, result: impl Into<String>) -> Self {
        Self::new(check, CheckStatus::Passed, tried, result)
    }

    /// Makes the finding of a check that could not be made.
    pub fn skipped(check: &'static str, tried: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(check, CheckStatus::Skipped, tried, why)
    }

    /// Makes the finding of a check that did not come to its end.
    pub fn broken(check: &'static str, result: impl Into<String>) -> Self {
        Self::new(check, CheckStatus::Failed, ITSELF, result)
    }

    /// Returns `true` if the check, or a program that it ran, did not come to its end: a busy machine can be the reason, and
    /// nothing need be missing.
    pub fn is_inconclusive(&self) -> bool {
        self.tried == ITSELF || self.result.contains(TIMED_OUT)
    }

    /// Adds the consequence for some verbs.
    pub fn means(mut self, affects: &'static [&'static str], meaning: impl Into<String>) -> Self {
        self.affects = affects;
        self.meaning = Some(meaning.into());
        self
    }

    /// Adds the command or change that helps.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl DoctorReport {
    /// Makes the report of findings.
    pub fn new(findings: Vec<CheckFinding>) -> Self {
        let count = |status| findings.iter().filter(|finding| finding.status == status).count();
        let (failed, warnings) = (count(CheckStatus::Failed), count(CheckStatus::Warning));
        Self {
            passed: failed == 0,
            failed,
            warnings,
            findings,
        }
    }
}

impl fmt::Display for CheckStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "passed",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        })
    }
}

impl fmt::Display for CheckFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = self.result.lines();
        let first = result.next().unwrap_or_default();
        write!(f, "{:<8} {:<NAMES$} {}: {first}", self.status, self.check, self.tried)?;
        for line in result {
            write!(f, "\n{:13}{line}", "")?;
        }
        if let Some(meaning) = &self.meaning {
            write!(f, "\n{:9}affects {}: {meaning}", "", self.affects.join(", "))?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n{:9}help:", "")?;
            for line in help.lines() {
                write!(f, "\n{:13}{line}", "")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for DoctorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let (all, failed, warnings) = (self.findings.len(), self.failed, self.warnings);
        write!(f, "\n{all} checks: {failed} failed, {warnings} with a warning")
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::arguments::Arguments;

    #[test]
    fn verbs_exist() {
        let command = Arguments::command();
        for verb in [BUILDING, RUNNING, STORING].concat() {
            assert!(command.find_subcommand(verb).is_some(), "{verb}");
        }
    }

    #[test]
    fn only_failures_make_a_report_fail() {
        let finding = |status| CheckFinding::new("x", status, "tried", "result");
        let cases: [(&[CheckStatus], bool); 3] = [
            (&[], true),
            (&[CheckStatus::Passed, CheckStatus::Warning, CheckStatus::Skipped], true),
            (&[CheckStatus::Passed, CheckStatus::Failed], false),
        ];
        for (statuses, passed) in cases {
            let report = DoctorReport::new(statuses.iter().copied().map(finding).collect());
            assert_eq!(report.passed, passed, "{statuses:?}");
        }
    }

    #[test]
    fn a_finding_names_consequence_and_help() {
        let finding = CheckFinding::new("sub-ids", CheckStatus::Failed, "cat /etc/subuid", "no range\nfor you")
            .means(&["build", "up"], "the SDK cannot be made")
            .help("sudo one\nsudo two");
        let text = "\
failed   sub-ids                cat /etc/subuid: no range
             for you
         affects build, up: the SDK cannot be made
         help:
             sudo one
             sudo two";
        assert_eq!(finding.to_string(), text);
    }
}
