//! Problems of files that people write: all problems of a file at once, each with its place and a help text.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode, SourceSpan};

/// Problem at one place of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
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

/// All problems of one file, in the order of their places.
///
/// As a [`Diagnostic`], they are shown with the lines around each place. [`Problems::brief`] returns one or two lines
/// for each, for logs and for editors that jump to `file:line:column`.
#[derive(Debug, Clone)]
pub struct Problems {
    source: NamedSource<Arc<str>>,
    found: Vec<Problem>,
}

impl Problems {
    /// Returns the problems of a file with this name and text, sorted by their places.
    pub fn new(source: NamedSource<Arc<str>>, mut found: Vec<Problem>) -> Self {
        found.sort_by_key(|problem| problem.span.offset());
        Self { source, found }
    }

    /// Returns the name of the file.
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// Returns the name and the text of the file.
    pub fn source(&self) -> &NamedSource<Arc<str>> {
        &self.source
    }

    /// Iterates over the problems in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }

    /// Returns `true` if there are no problems.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns the number of errors, which forbid the use of the file.
    pub fn errors(&self) -> usize {
        self.found
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .count()
    }

    /// Returns the number of warnings.
    pub fn warnings(&self) -> usize {
        self.found.len() - self.errors()
    }

    /// Returns one or two lines for each problem: `file:line:column: error: message`, and the help text.
    pub fn brief(&self) -> String {
        let mut text = String::new();
        for problem in &self.found {
            let kind = if problem.severity == Severity::Error {
                "error"
            } else {
                "warning"
            };
            let Problem {
                line, column, message, ..
            } = problem;
            text.push_str(&format!("{}:{line}:{column}: {kind}: {message}\n", self.name()));
            if let Some(help) = &problem.help {
                text.push_str(&format!("    {help}\n"));
            }
        }
        text
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        write!(f, "{}: ", self.name())?;
        match (self.errors(), self.warnings()) {
            (0, warnings) => f.write_str(&counted(warnings, "warning")),
            (errors, 0) => f.write_str(&counted(errors, "error")),
            (errors, warnings) => write!(f, "{}, {}", counted(errors, "error"), counted(warnings, "warning")),
        }
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
        Some(Box::new(self.found.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}
