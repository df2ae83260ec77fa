//! Problems of files that people write: all problems of a file at once, each with its place and a help text.
//!
//! A report never shows a secret that is known by its form ([`crate::redaction`]); of a document whose type has secrets, it
//! shows none of them ([`crate::secret`]). It shows the first [`Problems::SHOWN`] problems, and says how many more there are.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode, SourceSpan};

use crate::document::{Finding, Span, place};
use crate::excerpt::{DocumentText, LineIndex};
use crate::redaction::{outline, redact};

/// Most characters of a message, which may repeat a text of the file.
const LONGEST: usize = 600;

/// Kind of a problem, for callers that have words of their own for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProblemKind {
    /// YAML that is not taken: an anchor, an alias, a tag, a second document. Its words have none of the text in them.
    RefusedYaml,
    /// A key that the object has already.
    DuplicateKey,
    /// Any other one.
    #[default]
    Other,
}

/// Problem at one place of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Kind.
    pub kind: ProblemKind,
    /// Severity: an error forbids the use of the file, a warning does not.
    pub severity: Severity,
    /// Message, one sentence without a full stop.
    pub message: String,
    /// Text under the marked place.
    pub label: String,
    /// Instruction that resolves the problem.
    pub help: Option<String>,
    /// Bytes of the file that are marked.
    pub span: SourceSpan,
    /// Line of the place, counted from 1.
    pub line: usize,
    /// Column of the place in characters, counted from 1.
    pub column: usize,
}

impl Problem {
    /// Places a finding at a range of bytes of a text that is no document.
    pub fn at(text: &str, span: Span, finding: Finding) -> Self {
        place(text, &LineIndex::new(text), span, finding)
    }

    fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The problem without secrets in its words, and without words of any length.
    fn shown(mut self) -> Self {
        let short = |text: &str| {
            let text = redact(text);
            match text.char_indices().nth(LONGEST) {
                Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
                None => text,
            }
        };
        self.message = short(&self.message);
        self.label = short(&self.label);
        self.help = self.help.as_deref().map(short);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_primary_with_span(Some(self.label.clone()), self.span);
        Some(Box::new(std::iter::once(label)))
    }
}

/// Number of problems that a report leaves out.
#[derive(Debug, Clone, Copy)]
struct Rest(usize);

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "and {} more, which are not shown", self.0)
    }
}

impl std::error::Error for Rest {}

impl Diagnostic for Rest {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::Advice)
    }
}

/// All problems of one file, in the order of their places.
///
/// As a [`Diagnostic`], they are shown with the lines around each place. [`Problems::brief`] returns one or two lines
/// for each, for logs and for editors that jump to `file:line:column`.
#[derive(Debug, Clone)]
pub struct Problems {
    source: DocumentText,
    found: Vec<Problem>,
    rest: Option<Rest>,
}

impl Problems {
    /// Most problems of a file that are shown. Whoever wrote more of them made one mistake many times, or gave another file.
    pub const SHOWN: usize = 50;

    /// Returns the problems of a file with this name and text, sorted by their places.
    pub fn new(source: NamedSource<Arc<str>>, mut found: Vec<Problem>) -> Self {
        found.sort_by_key(|problem| problem.span.offset());
        let found: Vec<_> = found.into_iter().map(Problem::shown).collect();
        // Without a problem, nothing is shown.
        let text = if found.is_empty() {
            String::new()
        } else {
            redact(source.inner())
        };
        let rest = found.len().saturating_sub(Self::SHOWN);
        Self {
            source: DocumentText::new(source.name(), text),
            found,
            rest: (rest > 0).then_some(Rest(rest)),
        }
    }

    /// Returns a problem of a whole file.
    pub fn of_file(source: NamedSource<Arc<str>>, finding: Finding) -> Self {
        let problem = Problem::at("", 0..0, finding);
        Self::new(source, vec![problem])
    }

    /// Returns the same problems over an outline of the text: its structure, and words that are keys. Of a text that cannot
    /// be read, nobody knows which other words are secrets.
    pub fn outlined(mut self, is_key: impl Fn(&str) -> bool) -> Self {
        self.source = DocumentText::new(self.source.name(), outline(self.source.text(), is_key));
        self
    }

    /// Returns the name of the file.
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// Returns the name and the text of the file, in which secrets are masked.
    pub fn source(&self) -> &DocumentText {
        &self.source
    }

    /// Iterates over the problems in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }

    /// Iterates over the problems that are shown, in the order of their places. Where there are too many, errors are
    /// among them before warnings.
    pub fn shown(&self) -> impl Iterator<Item = &Problem> {
        let mut errors = Self::SHOWN;
        let mut warnings = Self::SHOWN.saturating_sub(self.errors());
        self.found.iter().filter(move |problem| {
            let left = if problem.is_error() { &mut errors } else { &mut warnings };
            let is_shown = *left > 0;
            *left = left.saturating_sub(1);
            is_shown
        })
    }

    /// Returns a line about the problems that are not shown.
    pub fn rest(&self) -> Option<String> {
        self.rest.map(|rest| rest.to_string())
    }

    /// Returns `true` if there are no problems.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns the number of errors, which forbid the use of the file.
    pub fn errors(&self) -> usize {
        self.found.iter().filter(|problem| problem.is_error()).count()
    }

    /// Returns the number of warnings.
    pub fn warnings(&self) -> usize {
        self.found.len() - self.errors()
    }

    /// Returns the sum of these problems and of others in the same file.
    pub fn sum_with(&self, others: &Self) -> String {
        let (errors, warnings) = (others.errors(), others.warnings());
        sum(self.name(), self.errors() + errors, self.warnings() + warnings)
    }

    /// Returns one or two lines for each problem that is shown: `file:line:column: error: message`, and the help text.
    pub fn brief(&self) -> String {
        let mut text = String::new();
        for problem in self.shown() {
            let kind = if problem.is_error() { "error" } else { "warning" };
            let Problem {
                line, column, message, ..
            } = problem;
            text.push_str(&format!("{}:{line}:{column}: {kind}: {message}\n", self.name()));
            if let Some(help) = &problem.help {
                text.push_str(&format!("    {help}\n"));
            }
        }
        if let Some(rest) = self.rest {
            text.push_str(&format!("{}: {rest}\n", self.name()));
        }
        text
    }
}

/// The sum of the problems: `node.yaml: 2 errors, 1 warning`.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&sum(self.name(), self.errors(), self.warnings()))
    }
}

/// Line with the numbers of errors and warnings in a file.
fn sum(name: &str, errors: usize, warnings: usize) -> String {
    let counted = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    match (errors, warnings) {
        (0, warnings) => format!("{name}: {}", counted(warnings, "warning")),
        (errors, 0) => format!("{name}: {}", counted(errors, "error")),
        (errors, warnings) => format!("{name}: {}, {}", counted(errors, "error"), counted(warnings, "warning")),
    }
}

impl std::error::Error for Problems {}

impl Diagnostic for Problems {
    fn severity(&self) -> Option<Severity> {
        Some(if self.errors() > 0 {
            Severity::Error
        } else {
            Severity::Warning
        })
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let shown = self.shown().map(|problem| problem as &dyn Diagnostic);
        Some(Box::new(
            shown.chain(self.rest.iter().map(|rest| rest as &dyn Diagnostic)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    fn problems(text: &str, found: impl Fn(usize) -> Finding) -> Problems {
        let document = Document::parse("a.yaml", text).unwrap_or_else(|problems| panic!("{}", problems.brief()));
        let ends = text.match_indices('\n').map(|(end, _)| end).enumerate();
        document.problems(
            ends.map(|(index, end)| document.at_span(end..end, found(index)))
                .collect(),
        )
    }

    #[test]
    fn errors_come_first_and_the_rest_is_counted() {
        let kind = |index: usize| match index % 3 {
            0 => Finding::error(format!("error {index}"), ""),
            _ => Finding::warning(format!("warning {index}"), ""),
        };
        let many = problems(&"- a\n".repeat(90), kind);
        assert_eq!(
            (many.errors(), many.warnings(), many.shown().count()),
            (30, 60, Problems::SHOWN)
        );
        let brief = many.brief();
        assert_eq!(brief.matches(": error: ").count(), 30);
        assert!(brief.ends_with("a.yaml: and 40 more, which are not shown\n"), "{brief}");
        assert_eq!(many.related().into_iter().flatten().count(), Problems::SHOWN + 1);
        let few = problems(&"- a\n".repeat(50), kind);
        assert_eq!((few.shown().count(), few.rest()), (50, None));
    }

    #[test]
    fn problems_of_one_file_have_one_sum() {
        let warning = problems("- a\n", |_| Finding::warning("", ""));
        let error = problems("- a\n- b\n", |_| Finding::error("", ""));
        assert_eq!(warning.to_string(), "a.yaml: 1 warning");
        assert_eq!(warning.sum_with(&warning), "a.yaml: 2 warnings");
        assert_eq!(warning.sum_with(&error), "a.yaml: 2 errors, 1 warning");
    }

    #[test]
    fn words_are_short_and_without_secrets() {
        let long = problems("- a\n", |_| {
            Finding::error("é".repeat(10_000), "https://u:secret@host").with_help("u:secret@host")
        });
        let problem = long.iter().next().expect("one");
        assert_eq!(problem.message.chars().count(), LONGEST + 1);
        assert!(!format!("{problem:?}").contains("secret"));
    }

    #[test]
    fn sources_are_without_secrets() {
        let shown = problems("token: abcdef.0123456789abcdef\n", |_| Finding::warning("", ""));
        assert_eq!(shown.source().text(), "token: abcdef.****************\n");
    }
}
