//! What may be otherwise, and why: `distro/hardening.toml`.

use std::cell::Cell;

use basalt_model::document::Finding as Complaint;
use basalt_model::problem::{Problem, Problems};
use basalt_model::toml_file::TomlFile;
use glob::{MatchOptions, Pattern};
use serde::Deserialize;
use toml::Spanned;

use crate::check::{Check, Finding, Language};

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};
/// The image that exceptions are kept true by, where they do not say another.
const USUAL: &str = "node";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExceptions {
    #[serde(default)]
    exception: Vec<RawException>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawException {
    checks: Vec<Spanned<Check>>,
    #[serde(default)]
    language: Option<Spanned<Language>>,
    #[serde(default)]
    subjects: Vec<Spanned<String>>,
    #[serde(default)]
    image: Option<String>,
    reason: Spanned<String>,
}

/// All exceptions, and which of them were needed.
#[derive(Debug)]
pub struct Exceptions {
    file: TomlFile,
    list: Vec<Exception>,
}

/// One reason with all that it excuses: of the checks, what its language and its patterns cover.
#[derive(Debug)]
struct Exception {
    checks: Vec<(Spanned<Check>, Cell<bool>)>,
    language: Option<Spanned<Language>>,
    subjects: Vec<Subject>,
    image: String,
    reason: String,
}

#[derive(Debug)]
struct Subject {
    pattern: Pattern,
    text: Spanned<String>,
    used: Cell<bool>,
}

impl Exceptions {
    /// Reads the text of the file; `name` is for errors.
    ///
    /// # Errors
    /// With all places that are wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let file = TomlFile::new(name, text);
        let raw: RawExceptions = file.read()?;
        let mut problems = Vec::new();
        let mut list = Vec::new();
        for exception in raw.exception {
            let mut wrong = |span, message: String, help: &str| {
                problems.push(file.at(span, Complaint::error(message, "here").with_help(help)));
            };
            if exception.reason.get_ref().trim().len() < 10 {
                let help = "say what would have to change for the exception to go";
                wrong(exception.reason.span(), "this is no reason".to_owned(), help);
            }
            if exception.subjects.is_empty() && exception.language.is_none() {
                let help = "name `subjects` (files, options, settings) or a `language`";
                wrong(exception.reason.span(), "it excuses everything".to_owned(), help);
            }
            let mut subjects = Vec::new();
            for subject in exception.subjects {
                match Pattern::new(subject.get_ref()) {
                    Ok(pattern) => subjects.push(Subject {
                        pattern,
                        text: subject,
                        used: Cell::new(false),
                    }),
                    Err(error) => wrong(
                        subject.span(),
                        error.to_string(),
                        "see the patterns of `exclude` in an image",
                    ),
                }
            }
            list.push(Exception {
                checks: exception
                    .checks
                    .into_iter()
                    .map(|check| (check, Cell::new(false)))
                    .collect(),
                language: exception.language,
                subjects,
                image: exception.image.unwrap_or_else(|| USUAL.to_owned()),
                reason: exception.reason.into_inner(),
            });
        }
        if problems.is_empty() {
            return Ok(Self { file, list });
        }
        Err(file.problems(problems))
    }

    /// The reason for which a finding is excused.
    pub(crate) fn reason(&self, finding: &Finding) -> Option<&str> {
        self.list.iter().find_map(|exception| exception.covers(finding))
    }

    /// What of the exceptions excused nothing in an image, although it is the one that they are kept true by.
    pub(crate) fn unused(&self, image: &str) -> Option<Problems> {
        let mut found: Vec<Problem> = Vec::new();
        for exception in self.list.iter().filter(|exception| exception.image == image) {
            let mut say = |span, what: String| {
                let help = "it is mended, or never was wrong: take this out";
                found.push(self.file.at(span, Complaint::error(what, "unused").with_help(help)));
            };
            for (check, _) in exception.checks.iter().filter(|(_, used)| !used.get()) {
                let what = format!(
                    "nothing in the image {image} needs this exception from `{}`",
                    check.get_ref()
                );
                say(check.span(), what);
            }
            for subject in exception.subjects.iter().filter(|subject| !subject.used.get()) {
                let what = format!(
                    "nothing in the image {image} needs this exception for `{}`",
                    subject.text.get_ref()
                );
                say(subject.text.span(), what);
            }
        }
        (!found.is_empty()).then(|| self.file.problems(found))
    }
}

impl Exception {
    fn covers(&self, finding: &Finding) -> Option<&str> {
        let (_, check_used) = self
            .checks
            .iter()
            .find(|(check, _)| *check.get_ref() == finding.check)?;
        if let Some(language) = &self.language
            && finding.language != Some(*language.get_ref())
        {
            return None;
        }
        let covers = |subject: &&Subject| subject.pattern.matches_with(&finding.subject, OPTIONS);
        let subject = self.subjects.iter().find(covers);
        if let Some(subject) = subject {
            subject.used.set(true);
        } else if !self.subjects.is_empty() {
            return None;
        }
        check_used.set(true);
        Some(&self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[[exception]]
checks = ["pie", "relro"]
language = "go"
reason = "Go links its programs statically."

[[exception]]
checks = ["owner"]
subjects = ["/var/lib/*", "/srv"]
reason = "Daemons keep their state there."
"#;

    fn finding(check: Check, subject: &str, language: Option<Language>) -> Finding {
        Finding {
            check,
            subject: subject.to_owned(),
            package: "example".to_owned(),
            language,
            what: "is wrong".to_owned(),
        }
    }

    #[test]
    fn an_exception_covers_its_language_and_its_patterns() {
        let exceptions = Exceptions::parse("hardening.toml", TEXT).expect("right");
        let go = Some(Language::Go);
        assert!(exceptions.reason(&finding(Check::Pie, "/usr/bin/x", go)).is_some());
        assert_eq!(
            exceptions.reason(&finding(Check::Pie, "/usr/bin/x", Some(Language::C))),
            None
        );
        assert_eq!(exceptions.reason(&finding(Check::Stack, "/usr/bin/x", go)), None);
        assert!(
            exceptions
                .reason(&finding(Check::Owner, "/var/lib/chrony", None))
                .is_some()
        );
        assert_eq!(exceptions.reason(&finding(Check::Owner, "/var/lib/a/b", None)), None);
    }

    #[test]
    fn what_excuses_nothing_is_itself_wrong() {
        let exceptions = Exceptions::parse("hardening.toml", TEXT).expect("right");
        exceptions.reason(&finding(Check::Pie, "/usr/bin/x", Some(Language::Go)));
        exceptions.reason(&finding(Check::Owner, "/srv", None));
        assert!(exceptions.unused("other").is_none());
        insta::assert_snapshot!(exceptions.unused("node").expect("unused").brief());
    }

    #[test]
    fn mistakes_have_places() {
        let text = "[[exception]]\nchecks = [\"pie\"]\nsubjects = [\"a**b\"]\nreason = \"because\"\n\n\
                    [[exception]]\nchecks = [\"relro\"]\nreason = \"it has always been so\"\n";
        insta::assert_snapshot!(Exceptions::parse("hardening.toml", text).expect_err("wrong").brief());
        let unknown = Exceptions::parse("hardening.toml", "[[exception]]\nchecks = [\"piee\"]\nreason = \"x\"\n");
        let brief = unknown.expect_err("wrong").brief();
        assert!(
            brief.starts_with("hardening.toml:2:11: error: unknown variant `piee`"),
            "{brief}"
        );
    }
}
