//! Exceptions from hardening checks, with their reasons: `distro/hardening.toml`.

use std::ptr;

use basalt_document::Finding as Complaint;
use basalt_document::problem::{Problem, Problems};
use basalt_document::toml_file::TomlFile;
use glob::{MatchOptions, Pattern};
use serde::Deserialize;
use toml::Spanned;

use crate::check::{Check, HardeningFinding, Language};

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

/// Exceptions of `distro/hardening.toml`, with their text for errors.
#[derive(Debug)]
pub struct Exceptions {
    file: TomlFile,
    list: Vec<Exception>,
}

/// Exception: one reason, and the checks, language and patterns of subjects that it covers.
#[derive(Debug)]
struct Exception {
    checks: Vec<Spanned<Check>>,
    language: Option<Spanned<Language>>,
    subjects: Vec<Subject>,
    image: String,
    reason: String,
}

#[derive(Debug)]
struct Subject {
    pattern: Pattern,
    text: Spanned<String>,
}

/// Match of a finding: the exception that covers it, and the first of its patterns that does, if it has patterns.
struct ExceptionMatch<'e> {
    exception: &'e Exception,
    subject: Option<&'e Subject>,
}

impl Exceptions {
    /// Reads the text of the file; `name` is for errors.
    ///
    /// # Errors
    /// With all places that are wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let file = TomlFile::new(name, text);
        let raw: RawExceptions = file.read()?;
        let mut faults = file.faults();
        let mut list = Vec::new();
        for exception in raw.exception {
            if exception.reason.get_ref().trim().len() < 10 {
                let help = "say what would have to change for the exception to go";
                faults.wrong(&exception.reason, "this is no reason", help);
            }
            if exception.subjects.is_empty() && exception.language.is_none() {
                let help = "name `subjects` (files, options, settings) or a `language`";
                faults.wrong(&exception.reason, "it excuses everything", help);
            }
            let mut subjects = Vec::new();
            for subject in exception.subjects {
                match Pattern::new(subject.get_ref()) {
                    Ok(pattern) => subjects.push(Subject { pattern, text: subject }),
                    Err(error) => {
                        let help = "see the patterns of `exclude` in an image";
                        faults.wrong(&subject, error.to_string(), help);
                    }
                }
            }
            list.push(Exception {
                checks: exception.checks,
                language: exception.language,
                subjects,
                image: exception.image.unwrap_or_else(|| USUAL.to_owned()),
                reason: exception.reason.into_inner(),
            });
        }
        let list = faults.or(list)?;
        Ok(Self { file, list })
    }

    /// The reason for which a finding is excused.
    pub(crate) fn reason(&self, finding: &HardeningFinding) -> Option<&str> {
        self.matching_exception(finding)
            .map(|found| found.exception.reason.as_str())
    }

    fn matching_exception(&self, finding: &HardeningFinding) -> Option<ExceptionMatch<'_>> {
        self.list.iter().find_map(|exception| exception.covers(finding))
    }

    /// Reports the checks and patterns of `image`'s exceptions that cover none of its findings; `None` if all are
    /// needed.
    pub(crate) fn unused<'f>(
        &self,
        image: &str,
        findings: impl Iterator<Item = &'f HardeningFinding>,
    ) -> Option<Problems> {
        let matches: Vec<(Check, ExceptionMatch<'_>)> = findings
            .filter_map(|finding| Some((finding.check, self.matching_exception(finding)?)))
            .collect();
        let mut found: Vec<Problem> = Vec::new();
        for exception in self.list.iter().filter(|exception| exception.image == image) {
            let mut say = |span, what: String| {
                let help = "it is mended, or never was wrong: take this out";
                found.push(self.file.at(span, Complaint::error(what, "unused").with_help(help)));
            };
            let mine = || matches.iter().filter(|(_, found)| ptr::eq(found.exception, exception));
            for check in &exception.checks {
                if mine().any(|(used, _)| used == check.get_ref()) {
                    continue;
                }
                let what = format!(
                    "nothing in the image {image} needs this exception from `{}`",
                    check.get_ref()
                );
                say(check.span(), what);
            }
            for subject in &exception.subjects {
                if mine().any(|(_, found)| found.subject.is_some_and(|used| ptr::eq(used, subject))) {
                    continue;
                }
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
    fn covers(&self, finding: &HardeningFinding) -> Option<ExceptionMatch<'_>> {
        if !self.checks.iter().any(|check| *check.get_ref() == finding.check) {
            return None;
        }
        if let Some(language) = &self.language
            && finding.language != Some(*language.get_ref())
        {
            return None;
        }
        let covers = |subject: &&Subject| subject.pattern.matches_with(&finding.subject, OPTIONS);
        let subject = self.subjects.iter().find(covers);
        if subject.is_none() && !self.subjects.is_empty() {
            return None;
        }
        Some(ExceptionMatch {
            exception: self,
            subject,
        })
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

    fn finding(check: Check, subject: &str, language: Option<Language>) -> HardeningFinding {
        HardeningFinding {
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
        let found = [
            finding(Check::Pie, "/usr/bin/x", Some(Language::Go)),
            finding(Check::Owner, "/srv", None),
        ];
        assert!(exceptions.unused("other", found.iter()).is_none());
        insta::assert_snapshot!(exceptions.unused("node", found.iter()).expect("unused").brief());
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
