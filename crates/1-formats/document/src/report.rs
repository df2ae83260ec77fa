//! Reports of checked files for programs. Problems are those that people see, without secrets ([`crate::problem`]).

use miette::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problem::{Problem, Problems};

/// Report of checked files as JSON. Fields are only added within a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Report of basalt check")]
pub struct CheckReport {
    /// Version of the format: 1.
    pub version: u32,
    /// Number of files that were checked.
    pub files: usize,
    /// Files that cannot be used, with their errors and warnings.
    pub wrong: Vec<FileReport>,
    /// Files that can be used, with their warnings; files without any are left out.
    pub warnings: Vec<FileReport>,
}

/// Problems of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileReport {
    /// Path of the file, as it was given; `standard input` for `-`.
    pub file: String,
    /// Problems in the order of their places, 50 at most.
    pub problems: Vec<ReportedProblem>,
    /// Number of further problems, which are left out.
    pub more: usize,
}

/// Problem at one place of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportedProblem {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// Weight of the problem.
    pub severity: ProblemSeverity,
    /// Message: the fault, in one sentence.
    pub message: String,
    /// Remedy; left out where there is none to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Weight of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ProblemSeverity {
    /// Forbids the use of the file.
    Error,
    /// Works, and is rarely meant.
    Warning,
}

impl CheckReport {
    /// Returns the report of so many files, without problems.
    pub fn new(files: usize) -> Self {
        Self {
            version: 1,
            files,
            wrong: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl FileReport {
    /// Returns the problems of a file that are shown.
    pub fn new(problems: &Problems) -> Self {
        let all = problems.iter().count();
        let problems_shown: Vec<_> = problems.shown().map(ReportedProblem::new).collect();
        Self {
            file: problems.name().to_owned(),
            more: all.saturating_sub(problems_shown.len()),
            problems: problems_shown,
        }
    }
}

impl ReportedProblem {
    fn new(problem: &Problem) -> Self {
        Self {
            line: problem.line,
            column: problem.column,
            severity: match problem.severity {
                Severity::Error => ProblemSeverity::Error,
                Severity::Warning | Severity::Advice => ProblemSeverity::Warning,
            },
            message: problem.message.clone(),
            help: problem.help.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Finding};

    #[test]
    fn problems_are_told_one_by_one() {
        let text = "- a\n- abcdef.0123456789abcdef\n";
        let document = Document::parse("a.yaml", text).unwrap_or_else(|problems| panic!("{}", problems.brief()));
        let found = vec![
            document.at_span(
                6..7,
                Finding::warning("is abcdef.0123456789abcdef", "").with_help("do this"),
            ),
            document.at_span(0..1, Finding::error("wrong", "")),
        ];
        let report = FileReport::new(&document.problems(found));
        assert_eq!(
            serde_json::to_value(&report).expect("JSON"),
            serde_json::json!({
                "file": "a.yaml",
                "problems": [
                    { "line": 1, "column": 1, "severity": "error", "message": "wrong" },
                    {
                        "line": 2,
                        "column": 3,
                        "severity": "warning",
                        "message": "is abcdef.****************",
                        "help": "do this",
                    },
                ],
                "more": 0,
            })
        );
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        let text = "- a\n".repeat(60);
        let document = Document::parse("a.yaml", &text).unwrap_or_else(|problems| panic!("{}", problems.brief()));
        let found = (0..60).map(|line| document.at_span(line * 4..line * 4 + 1, Finding::warning("here", "")));
        let report = FileReport::new(&document.problems(found.collect()));
        assert_eq!((report.problems.len(), report.more), (Problems::SHOWN, 10));
    }
}
