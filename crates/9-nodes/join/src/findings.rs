//! Findings about one document, while its raw values are turned into checked ones.

use std::str::FromStr;
use std::sync::Arc;

use basalt_document::problem::{Problem, Problems};
use basalt_document::schema::UnfitPaths;
use basalt_document::{Document, Finding, Path, Step};
use miette::NamedSource;

use crate::origins::Origins;
use crate::redaction::without_secrets;

/// Findings about a document, with their places.
pub(crate) struct Findings<'d> {
    document: &'d Document,
    found: Vec<Problem>,
    unfit: UnfitPaths,
    origins: Origins,
}

impl<'d> Findings<'d> {
    /// Findings that are there already, of a schema.
    pub(crate) fn new(document: &'d Document, found: Vec<Problem>) -> Self {
        // Reports have the text only where there is something to report.
        let any = document.at(&Path::root(), Finding::warning("", ""));
        let text = document.problems(vec![any]);
        Self {
            document,
            found,
            unfit: UnfitPaths::default(),
            origins: Origins::new(text.name(), text.source().text()),
        }
    }

    /// The same, with the keys that a schema has left out.
    pub(crate) fn with_unfit(self, unfit: UnfitPaths) -> Self {
        Self { unfit, ..self }
    }

    /// Adds a finding that is one because the values at some paths are missing, unless one of them is there with another type: that
    /// is told.
    pub(crate) fn say_missing(&mut self, path: &Path, missing: &[Path], finding: Finding) {
        if !missing.iter().any(|missing| self.unfit.has(missing)) {
            self.say(path, finding);
        }
    }

    /// Adds a finding about the value of a path.
    pub(crate) fn say(&mut self, path: &Path, finding: Finding) {
        self.found.push(self.document.at(path, finding));
    }

    /// Adds a problem whose place is known.
    pub(crate) fn add(&mut self, problem: Problem) {
        self.found.push(problem);
    }

    /// Leaves out problems after the first ones, if they follow from those.
    pub(crate) fn leave_out(&mut self, first: usize, follows: impl Fn(&Problem) -> bool) {
        let mut index = 0;
        self.found.retain(|problem| {
            index += 1;
            index <= first || !follows(problem)
        });
    }

    /// Place of the value of a path.
    pub(crate) fn place(&self, path: &Path) -> Problem {
        self.document.at(path, Finding::warning("", ""))
    }

    /// Notes that a setting of the NodeConfig comes from the value of a path.
    pub(crate) fn origin(&mut self, setting: Vec<Step>, path: &Path) {
        let place = self.place(path);
        self.origins.add(setting, place);
    }

    /// Notes the place that a setting of the NodeConfig comes from.
    pub(crate) fn origin_at(&mut self, setting: Vec<Step>, place: Problem) {
        self.origins.add(setting, place);
    }

    /// Origins of settings that were noted.
    pub(crate) fn take_origins(&mut self) -> Origins {
        std::mem::take(&mut self.origins)
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

/// Report of problems of a text that cannot be read as a document, without secrets.
pub(crate) fn problems_of(name: &str, text: &str, found: Vec<Problem>) -> Problems {
    let text: Arc<str> = text.into();
    without_secrets(&Problems::new(NamedSource::new(name, text), found))
}
