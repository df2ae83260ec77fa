//! Findings about one document, while its raw values are turned into checked ones.

use std::str::FromStr;

use basalt_document::problem::{Problem, Problems};
use basalt_document::{Document, Finding, Path};

use crate::redaction::without_secrets;

/// Findings about a document, with their places.
pub(crate) struct Findings<'d> {
    document: &'d Document,
    found: Vec<Problem>,
}

impl<'d> Findings<'d> {
    /// Findings that are there already, of a schema.
    pub(crate) fn new(document: &'d Document, found: Vec<Problem>) -> Self {
        Self { document, found }
    }

    /// Adds a finding about the value of a path.
    pub(crate) fn say(&mut self, path: &Path, finding: Finding) {
        self.found.push(self.document.at(path, finding));
    }

    /// Adds a problem whose place is known.
    pub(crate) fn add(&mut self, problem: Problem) {
        self.found.push(problem);
    }

    /// Checked form of a value.
    pub(crate) fn parse<T: FromStr<Err = Finding>>(&mut self, path: &Path, text: &str) -> Option<T> {
        text.parse().map_err(|finding| self.say(path, finding)).ok()
    }

    /// `true` if a finding forbids the use of the document.
    pub(crate) fn is_refused(&self) -> bool {
        self.found
            .iter()
            .any(|problem| problem.severity == miette::Severity::Error)
    }

    /// A value and its warnings, or all that is wrong; either way without secrets.
    pub(crate) fn conclude<T>(self, value: Option<T>) -> Result<(T, Problems), Problems> {
        let problems = without_secrets(&self.document.problems(self.found));
        match value {
            Some(value) if problems.errors() == 0 => Ok((value, problems)),
            _ => Err(problems),
        }
    }
}
