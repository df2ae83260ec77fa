//! TOML files that people write: read into a type, and findings put back to their places.
//!
//! Decoding stops at the first thing that does not fit the type. What a type cannot say (names that must exist, dates,
//! text that must not be empty) is checked afterwards: fields that such findings may be about are [`toml::Spanned`],
//! and [`Faults`] gathers what is wrong with them, with line and column.

use std::sync::Arc;

use miette::NamedSource;
use serde::de::DeserializeOwned;
use toml::Spanned;

use crate::document::{Finding, Span, place};
use crate::problem::{Problem, Problems};

/// The text of a TOML file, and what errors call the file.
#[derive(Debug, Clone)]
pub struct TomlFile {
    source: NamedSource<Arc<str>>,
    text: Arc<str>,
}

impl TomlFile {
    /// A file of that name with that text.
    pub fn new(name: &str, text: &str) -> Self {
        let text: Arc<str> = text.into();
        Self {
            source: NamedSource::new(name, text.clone()).with_language("toml"),
            text,
        }
    }

    /// Reads the text into a type.
    ///
    /// # Errors
    /// With the place of the first thing that does not fit.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Problems> {
        toml::from_str(&self.text).map_err(|error| {
            let message = error.message().trim().replace('\n', ", ");
            let span = error.span().unwrap_or(0..0);
            self.problems(vec![self.at(span, Finding::error(message, "here"))])
        })
    }

    /// The problem that a finding is, at a place.
    pub fn at(&self, span: Span, finding: Finding) -> Problem {
        place(&self.text, span, finding)
    }

    /// A list for what is wrong with this file.
    pub fn faults(&self) -> Faults<'_> {
        Faults {
            file: self,
            found: Vec::new(),
        }
    }

    /// All the problems of this file.
    pub fn problems(&self, found: Vec<Problem>) -> Problems {
        Problems::new(self.source.clone(), found)
    }
}

/// What is wrong with a file, gathered while it is checked.
#[derive(Debug)]
pub struct Faults<'f> {
    file: &'f TomlFile,
    found: Vec<Problem>,
}

impl Faults<'_> {
    /// Something is wrong with a value: what, and what to do.
    pub fn wrong<T>(&mut self, value: &Spanned<T>, message: impl Into<String>, help: &str) {
        let finding = Finding::error(message.into(), "here").with_help(help);
        self.found.push(self.file.at(value.span(), finding));
    }

    /// What was made of the file.
    ///
    /// # Errors
    /// With all that is wrong.
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
