//! Errors as the command shows them: each diagnostic by itself, with its place, its cause and its help.
//!
//! An error may have others as its parts: problems of a file, packages that failed. miette's own handlers show these below a line
//! that has nothing but `Error:`.

use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};

use miette::{Diagnostic, LabeledSpan, MietteHandler, MietteHandlerOpts, ReportHandler, Severity, SourceCode};

/// Handler of reports that shows the parts of an error like errors. An error that only counts its parts comes after them.
pub struct SeparateParts {
    handler: MietteHandler,
}

impl SeparateParts {
    /// Handler that uses colours or none. Lines are never broken: they hold commands and paths, which are pasted.
    pub fn new(color: bool) -> Self {
        let handler = MietteHandlerOpts::new().color(color).wrap_lines(false).build();
        Self { handler }
    }

    /// Writes an error and its parts, with empty lines between them; not the sum that an error may be. The text is that of
    /// an error that this one is a part of.
    fn write(&self, error: &dyn Diagnostic, text: Option<&dyn SourceCode>, f: &mut Formatter<'_>) -> fmt::Result {
        let text = error.source_code().or(text);
        let mut is_first = false;
        if is_sum(error) {
            is_first = true;
        } else if is_remark(error) {
            writeln!(f, "{error}")?;
        } else {
            self.handler.debug(&WithoutParts { error, text }, f)?;
        }
        for part in error.related().into_iter().flatten() {
            if !std::mem::take(&mut is_first) {
                writeln!(f)?;
            }
            self.write(part, text, f)?;
            if is_sum(part) {
                writeln!(f, "\n{part}")?;
            }
        }
        Ok(())
    }
}

impl ReportHandler for SeparateParts {
    fn debug(&self, error: &dyn Diagnostic, f: &mut Formatter<'_>) -> fmt::Result {
        self.write(error, None, f)?;
        match is_sum(error) {
            true => write!(f, "\n{error}"),
            false => Ok(()),
        }
    }
}

/// Returns `true` for an error with parts that says nothing but what they are: `node.yaml: 2 errors`.
fn is_sum(error: &dyn Diagnostic) -> bool {
    has_only_a_message(error) && error.related().is_some()
}

/// Returns `true` for a part that is no error: `and 12 more, which are not shown`.
fn is_remark(error: &dyn Diagnostic) -> bool {
    has_only_a_message(error) && error.severity() == Some(Severity::Advice)
}

fn has_only_a_message(error: &dyn Diagnostic) -> bool {
    error.code().is_none() && error.help().is_none() && error.labels().is_none()
}

/// Error without its parts, and with the text that its places are in.
struct WithoutParts<'d> {
    error: &'d dyn Diagnostic,
    text: Option<&'d dyn SourceCode>,
}

impl Debug for WithoutParts<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(self.error, f)
    }
}

impl Display for WithoutParts<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self.error, f)
    }
}

impl Error for WithoutParts<'_> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl Diagnostic for WithoutParts<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.error.code()
    }

    fn severity(&self) -> Option<Severity> {
        self.error.severity()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.error.help()
    }

    fn url<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.error.url()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.text
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.error.labels()
    }

    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        self.error.diagnostic_source()
    }
}

/// Error as it is shown, without colours.
#[cfg(test)]
pub fn shown(error: &dyn Diagnostic) -> String {
    struct Shown<'d>(&'d dyn Diagnostic);
    impl Display for Shown<'_> {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            SeparateParts::new(false).debug(self.0, f)
        }
    }
    Shown(error).to_string()
}

#[cfg(test)]
mod tests {
    use basalt_advisories::AuditError;
    use basalt_build::BuildError;
    use basalt_build::log::BuildPhase;
    use basalt_document::problem::Problems;
    use basalt_document::{Document, Finding};
    use basalt_hardening::HardeningError;
    use basalt_image::ImageError;
    use basalt_join::cluster_info::DiscoveryError;
    use basalt_join::command_line;
    use basalt_join::kubelet_config::KubeletConfigError;
    use basalt_preflight::PreflightError;

    use super::*;

    /// Problems of a file, as many as it has lines.
    fn problems(name: &str, lines: usize) -> Problems {
        let document = Document::parse(name, &"- a\n".repeat(lines)).expect("a list");
        let problem = |line: usize| document.at_span(4 * line..4 * line + 3, Finding::error("wrong", "here"));
        document.problems((0..lines).map(problem).collect())
    }

    #[test]
    fn problems_of_a_file_are_shown_one_by_one_with_their_sum() {
        let found = problems("a.yaml", 2);
        let boxed = || Box::new(found.clone());
        let errors: [&dyn Diagnostic; 5] = [
            &found,
            &ImageError::Definition(boxed()),
            &HardeningError::Data(boxed()),
            &AuditError::Data(boxed()),
            &PreflightError::Document(boxed()),
        ];
        for error in errors {
            let text = shown(error);
            assert!(!text.contains("Error:"), "{text}");
            assert!(text.contains("a.yaml:1:1") && text.contains("a.yaml:2:1"), "{text}");
            assert!(
                !text.starts_with('\n') && text.ends_with("\n\na.yaml: 2 errors"),
                "{text}"
            );
            assert!(!text.contains("\n\n\n"), "{text}");
        }
        let text = shown(&problems("a.yaml", Problems::SHOWN + 12));
        assert!(
            text.ends_with("\n\nand 12 more, which are not shown\n\na.yaml: 62 errors"),
            "{text}"
        );
    }

    #[test]
    fn an_error_comes_before_its_parts() {
        let found = || vec![problems("a.yaml", 1), problems("b.yaml", 1)];
        let errors: [&dyn Diagnostic; 2] = [
            &DiscoveryError::Malformed(found()),
            &KubeletConfigError::Malformed(found()),
        ];
        for error in errors {
            let text = shown(error);
            let parts = ["cannot be used", "a.yaml:1:1", "\n\na.yaml: 1 error\n\n", "b.yaml:1:1"];
            let places: Vec<_> = parts.iter().map(|part| text.find(part)).collect();
            assert!(
                places.iter().all(Option::is_some) && places.is_sorted(),
                "{places:?}: {text}"
            );
            assert!(
                !text.contains("Error:") && text.ends_with("\n\nb.yaml: 1 error\n"),
                "{text}"
            );
        }
    }

    #[test]
    fn packages_that_failed_are_shown_like_one() {
        let failed = |package: &str| BuildError::Failed {
            package: package.to_owned(),
            phase: BuildPhase::Build,
            lines: Vec::new(),
            log: "/a.log".into(),
            ended: None,
        };
        let several = BuildError::Several {
            others: vec![failed("zlib"), failed("jq")],
        };
        let text = shown(&several);
        assert!(
            text.contains("2 packages failed\n\n") && !text.contains("Error:"),
            "{text}"
        );
        for package in ["zlib", "jq"] {
            assert!(text.contains(&shown(&failed(package))), "{text}");
        }
    }

    #[test]
    fn problems_of_a_join_command_are_shown_in_it() {
        let error = command_line::read("kubeadm join 192.0.2.1:6443 --nonsense")
            .err()
            .unwrap();
        let text = shown(&error);
        assert!(text.contains("join command:1:"), "{text}");
        assert!(
            !text.contains("Error:") && text.ends_with("\n\nthe join command cannot be used"),
            "{text}"
        );
    }
}
