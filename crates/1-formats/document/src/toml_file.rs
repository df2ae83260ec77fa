//! TOML files that people write: decoding into a type, and findings with their places.
//!
//! Decoding stops at the first value that does not fit the type. Rules that a type cannot express (names that must
//! exist, dates, text that must not be empty) are checked afterwards: the fields that they concern are
//! [`toml::Spanned`], and [`Faults`] collects the violations, with line and column.

use std::sync::Arc;

use miette::NamedSource;
use serde::de::DeserializeOwned;
use toml::Spanned;

use crate::document::{Finding, Span, place};
use crate::excerpt::LineIndex;
use crate::problem::{Problem, Problems};

/// Text of a TOML file, and the file's name in errors.
#[derive(Debug, Clone)]
pub struct TomlFile {
    source: NamedSource<Arc<str>>,
    text: Arc<str>,
    lines: Arc<LineIndex>,
}

impl TomlFile {
    /// Returns a file with this name and text.
    pub fn new(name: &str, text: &str) -> Self {
        let text: Arc<str> = text.into();
        Self {
            source: NamedSource::new(name, text.clone()),
            lines: Arc::new(LineIndex::new(&text)),
            text,
        }
    }

    /// Decodes the text into a type.
    ///
    /// # Errors
    /// The first problem, with its place.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Problems> {
        toml::from_str(&self.text).map_err(|error| {
            let message = error.message().trim().replace('\n', ", ");
            let span = error.span().unwrap_or(0..0);
            self.problems(vec![self.at(span, Finding::error(message, "here"))])
        })
    }

    /// Places a finding at a range of bytes.
    pub fn at(&self, span: Span, finding: Finding) -> Problem {
        place(&self.text, &self.lines, span, finding)
    }

    /// Returns an empty collection of violations for this file.
    pub fn faults(&self) -> Faults<'_> {
        Faults {
            file: self,
            found: Vec::new(),
        }
    }

    /// Returns a report of problems of this file.
    pub fn problems(&self, found: Vec<Problem>) -> Problems {
        Problems::new(self.source.clone(), found)
    }
}

/// Violations in a file, collected while it is checked.
#[derive(Debug)]
pub struct Faults<'f> {
    file: &'f TomlFile,
    found: Vec<Problem>,
}

impl Faults<'_> {
    /// Adds a violation at the place of a value, with the message and the help text.
    pub fn wrong<T>(&mut self, value: &Spanned<T>, message: impl Into<String>, help: &str) {
        let finding = Finding::error(message.into(), "here").with_help(help);
        self.found.push(self.file.at(value.span(), finding));
    }

    /// Returns `made` if there are no violations.
    ///
    /// # Errors
    /// All violations.
    pub fn or<T>(self, made: T) -> Result<T, Problems> {
        if self.found.is_empty() {
            return Ok(made);
        }
        Err(self.file.problems(self.found))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Plant {
        name: Spanned<String>,
    }

    #[test]
    fn what_does_not_fit_is_said_with_line_and_column() {
        let file = TomlFile::new("plant.toml", "name = \"rose\"\nnmae = 1\n");
        let problems = file.read::<Plant>().expect_err("an unknown key");
        assert!(
            problems
                .brief()
                .starts_with("plant.toml:2:1: error: unknown field `nmae`"),
            "{}",
            problems.brief()
        );
    }

    #[test]
    fn findings_of_later_checks_have_places_too() {
        let file = TomlFile::new("plant.toml", "# A plant.\nname = \"rose\"\n");
        let plant: Plant = file.read().expect("fits");
        let problem = file.at(plant.name.span(), Finding::error("there is no rose", "here"));
        assert_eq!((problem.line, problem.column), (2, 8));
    }

    #[test]
    fn faults_are_told_together() {
        let file = TomlFile::new("plant.toml", "# A plant.\nname = \"rose\"\n");
        let plant: Plant = file.read().expect("fits");
        assert_eq!(file.faults().or(1).expect("nothing is wrong"), 1);
        let mut faults = file.faults();
        faults.wrong(&plant.name, "there is no rose", "plant one");
        faults.wrong(&plant.name, String::from("it is no lily"), "plant another");
        let brief = faults.or(()).expect_err("two faults").brief();
        assert!(
            brief.starts_with("plant.toml:2:8: error: there is no rose\n    plant one"),
            "{brief}"
        );
        assert!(brief.contains("it is no lily"), "{brief}");
    }
}
