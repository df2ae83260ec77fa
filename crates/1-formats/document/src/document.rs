//! YAML files as trees in which every key and value has its place in the text.
//!
//! `serde` stops at the first error, and decoded values have no places. To report all problems at once, with lines and
//! columns, a file is parsed into this tree first, validated against the JSON schema of its type ([`crate::schema`]),
//! and only then decoded. Rules that no schema can express report their findings by [`Path`], and the tree maps a path
//! back to a place.

use std::fmt;
use std::sync::Arc;

use miette::{NamedSource, Severity};
use serde_json::{Map, Value};

use crate::excerpt::LineIndex;
use crate::problem::{Problem, ProblemKind, Problems};
use crate::redaction::masked;

mod entries;
mod parse;
mod stream;

pub use entries::Entries;

/// Range of bytes in a text.
pub type Span = std::ops::Range<usize>;

/// Value of the tree, with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentNode {
    /// Bytes of the value in the text.
    pub span: Span,
    /// Type and content of the value.
    pub kind: Kind,
}

/// Type and content of a value. Plain scalars follow the core schema of YAML 1.2: `no` is text, `0o17` is 15.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Number, and its text in the file.
    Number(serde_json::Number, String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<DocumentNode>),
    /// Keys and values, in the order of the file.
    Object(Entries),
}

/// Key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Name of the key.
    pub key: String,
    /// Bytes of the key in the text.
    pub key_span: Span,
    /// Value of the key.
    pub value: DocumentNode,
}

impl Kind {
    /// Returns the name of the type for messages, with its article: `a number`.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(..) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "keys with values",
        }
    }
}

impl DocumentNode {
    /// Returns the entry of a key; `None` if the value is no object or does not have the key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Object(entries) => entries.get(key),
            _ => None,
        }
    }

    /// Value that a step leads to, with the place of its key; an item of a list has none.
    fn step(&self, step: &Step) -> Option<(&Self, Option<&Span>)> {
        match (step, &self.kind) {
            (Step::Key(key), Kind::Object(entries)) => {
                let entry = entries.get(key)?;
                Some((&entry.value, Some(&entry.key_span)))
            }
            (Step::Index(index), Kind::List(items)) => Some((items.get(*index)?, None)),
            _ => None,
        }
    }

    /// Step to the entry or item that a place is in, and its value unless the place is in the key.
    fn step_to(&self, place: &Span) -> Option<(Step, Option<&Self>)> {
        let is_in = |span: &Span| span.start <= place.start && place.end <= span.end;
        match &self.kind {
            Kind::Object(entries) => entries.iter().find_map(|entry| {
                let value = (!is_in(&entry.key_span)).then_some(&entry.value);
                let is_here = value.is_none_or(|value| is_in(&value.span));
                is_here.then(|| (Step::Key(entry.key.clone()), value))
            }),
            Kind::List(items) => {
                let (index, item) = items.iter().enumerate().find(|(_, item)| is_in(&item.span))?;
                Some((Step::Index(index), Some(item)))
            }
            _ => None,
        }
    }

    /// Returns the value as JSON.
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number, _) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(DocumentNode::to_json).collect()),
            Kind::Object(entries) => {
                let json: Map<_, _> = entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_json()))
                    .collect();
                Value::Object(json)
            }
        }
    }
}

/// Path from the root of a document to a value: `cluster.dns.addresses[0]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

/// Step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Value of a key.
    Key(String),
    /// Item of a list, counted from 0.
    Index(usize),
}

impl Path {
    /// Returns the path of the document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// Returns this path with a key appended.
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.step(Step::Key(key.into()))
    }

    /// Returns this path with the index of a list item appended.
    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    /// Iterates over the keys, without indexes of list items.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
    }

    /// Returns this path up to its last key, without list items after it.
    pub fn nearest_key(&self) -> Self {
        let keep = self
            .0
            .iter()
            .rposition(|step| matches!(step, Step::Key(_)))
            .map_or(0, |last| last + 1);
        Self(self.0.iter().take(keep).cloned().collect())
    }

    /// Returns `true` for a path itself, and for one of a value below it.
    pub fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

/// Converts keys that are separated by dots: `"cluster.dns"`.
impl From<&str> for Path {
    fn from(keys: &str) -> Self {
        Self(
            keys.split('.')
                .filter(|key| !key.is_empty())
                .map(|key| Step::Key(key.to_owned()))
                .collect(),
        )
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => write!(f, "{key}")?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Problem without its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Severity: an error forbids the use of the file, a warning does not.
    pub severity: Severity,
    /// Message, one sentence without a full stop.
    pub message: String,
    /// Text under the marked place.
    pub label: String,
    /// Instruction that resolves the problem.
    pub help: Option<String>,
}

impl Finding {
    /// Returns an error, which forbids the use of the file.
    pub fn error(message: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            label: label.into(),
            help: None,
        }
    }

    /// Returns a warning.
    pub fn warning(message: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message, label)
        }
    }

    /// Returns the finding with a help text.
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

/// Parsed YAML file.
#[derive(Clone)]
pub struct Document {
    /// Text as reports show it.
    source: NamedSource<Arc<str>>,
    text: Arc<str>,
    lines: Arc<LineIndex>,
    root: DocumentNode,
    has_secrets: bool,
}

/// Shows no content, which may have secrets.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Document").field(&self.name()).finish()
    }
}

impl Document {
    /// Parses a file's text; `name` is the file's name in errors.
    ///
    /// Anchors, aliases and tags are refused, so that reviewers see each value where it applies.
    ///
    /// # Errors
    /// All problems of the syntax, and the refused features.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let text: Arc<str> = text.into();
        let lines = Arc::new(LineIndex::new(&text));
        let source = NamedSource::new(name, text.clone());
        match parse::tree(&text, &lines) {
            (Some(root), found) if found.is_empty() => Ok(Self {
                source,
                text,
                lines,
                root,
                has_secrets: false,
            }),
            (_, found) => {
                let found = found.into_iter();
                let found = found.map(|(span, kind, finding)| Problem {
                    kind,
                    ..place(&text, &lines, span, finding)
                });
                Err(Problems::new(source, found.collect()))
            }
        }
    }

    /// Reads a stream of documents, as `kubectl`, Helm and others write them, in their order; those without content are
    /// left out. Places are those of the whole text. Read as the readers of Kubernetes do: words such as `yes` and `off`
    /// are booleans (YAML 1.1), aliases and merge keys are followed, of two equal keys the last one counts.
    ///
    /// # Errors
    /// When the text is not YAML, nested more than 100 levels deep, or more than a million values by its aliases.
    pub fn parse_stream(name: &str, text: &str) -> Result<Vec<Self>, Problems> {
        let text: Arc<str> = text.into();
        let lines = Arc::new(LineIndex::new(&text));
        let source = NamedSource::new(name, text.clone());
        match stream::trees(&text) {
            Ok(roots) => Ok(roots
                .into_iter()
                .map(|root| Self {
                    source: source.clone(),
                    text: text.clone(),
                    lines: lines.clone(),
                    root,
                    has_secrets: false,
                })
                .collect()),
            Err((span, finding)) => Err(Problems::new(source, vec![place(&text, &lines, span, finding)])),
        }
    }

    /// Returns line and column of a byte of the text, both counted from 1; columns are characters.
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        self.lines
            .line_and_column(&self.text, self.text.floor_char_boundary(offset))
    }

    /// Returns the document with these ranges of bytes as secrets: reports have `*` in their place.
    pub(crate) fn with_secrets(mut self, spans: &[Span]) -> Self {
        self.source = NamedSource::new(self.source.name(), masked(&self.text, spans).into());
        self.has_secrets = true;
        self
    }

    /// Returns `true` if the type of the document may have secrets.
    pub(crate) fn has_secrets(&self) -> bool {
        self.has_secrets
    }

    /// Returns the text, with its secrets.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the file's name in errors.
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// Returns the root of the tree.
    pub fn root(&self) -> &DocumentNode {
        &self.root
    }

    /// Returns the document as JSON, without the keys at the ends of these paths.
    pub fn json_without(&self, unfit: &[Path]) -> Value {
        let mut json = self.root.to_json();
        for path in unfit {
            let Some((Step::Key(last), before)) = path.0.split_last() else {
                continue;
            };
            let parent = before.iter().try_fold(&mut json, |value, step| match step {
                Step::Key(key) => value.get_mut(key),
                Step::Index(index) => value.get_mut(*index),
            });
            if let Some(Value::Object(keys)) = parent {
                keys.remove(last);
            }
        }
        json
    }

    /// Places a finding at the value of a path; if there is no such value, at the nearest one around it.
    pub fn at(&self, path: &Path, finding: Finding) -> Problem {
        let span = match self.along(path).last() {
            None => self.root.span.start..self.root.span.start,
            Some((node, _)) if self.is_in_one_line(&node.span) => node.span.clone(),
            // Values that are empty or have several lines are marked at their key.
            Some((_, Some(key))) => key.clone(),
            Some((node, None)) => self.first_line(&node.span),
        };
        self.at_span(span, finding)
    }

    /// Steps to the smallest value that a problem of this document is about, itself or its key.
    pub fn steps_to(&self, problem: &Problem) -> Vec<Step> {
        let start = problem.span.offset();
        let place = start..start + problem.span.len();
        let (mut steps, mut node) = (Vec::new(), Some(&self.root));
        while let Some((step, inner)) = node.and_then(|node| node.step_to(&place)) {
            steps.push(step);
            node = inner;
        }
        steps
    }

    /// Places a finding at the key that a path ends with; if there is no such key, where [`Document::at`] places it.
    pub fn at_key(&self, path: &Path, finding: Finding) -> Problem {
        let last = path.0.len().checked_sub(1);
        match last.and_then(|last| self.along(path).nth(last)) {
            Some((_, Some(key))) => self.at_span(key.clone(), finding),
            _ => self.at(path, finding),
        }
    }

    /// Values along a path as far as the document has them, each with the place of its key; items of lists have none.
    fn along<'d>(&'d self, path: &'d Path) -> impl Iterator<Item = (&'d DocumentNode, Option<&'d Span>)> {
        let mut node = &self.root;
        path.0.iter().map_while(move |step| {
            let (next, key) = node.step(step)?;
            node = next;
            Some((next, key))
        })
    }

    /// Places a finding at a range of bytes.
    pub fn at_span(&self, span: Span, finding: Finding) -> Problem {
        place(&self.text, &self.lines, span, finding)
    }

    /// Returns a report of problems of this document.
    pub fn problems(&self, found: Vec<Problem>) -> Problems {
        let found = found.into_iter().map(|problem| self.without_secret(problem));
        Problems::new(self.source.clone(), found.collect())
    }

    /// The problem, whose words do not repeat the value at its place if that is masked.
    fn without_secret(&self, mut problem: Problem) -> Problem {
        let place = problem.span.offset()..problem.span.offset() + problem.span.len();
        let value = self.text.get(place.clone()).unwrap_or_default();
        if self.source.inner().get(place.clone()) == Some(value) {
            return problem;
        }
        let value = value.trim_matches(['"', '\'']);
        let hidden = |text: &str| {
            let quoted = text.replace(&format!("`{value}`"), "`…`");
            let quoted = quoted.replace(&format!("\"{value}\""), "\"…\"");
            // A short one is part of other words.
            if value.len() < 6 {
                quoted
            } else {
                quoted.replace(value, "…")
            }
        };
        // Of a longer value, only the beginning is marked.
        let help = problem.help.filter(|_| place.len() < WIDEST);
        problem.help = help.as_deref().map(hidden);
        problem.message = hidden(&problem.message);
        problem
    }

    /// The text of a node of this document.
    fn spanned(&self, span: &Span) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// Returns `true` for a value that is not empty, and ends in the line that it starts in.
    fn is_in_one_line(&self, span: &Span) -> bool {
        let last = span.start + self.spanned(span).trim_end().len().saturating_sub(1);
        !span.is_empty() && self.lines.line(span.start) == self.lines.line(last)
    }

    fn first_line(&self, span: &Span) -> Span {
        let length = self.spanned(span).find('\n').unwrap_or(span.len());
        span.start..span.start + length
    }
}

/// Most bytes that are marked.
const WIDEST: usize = 200;

/// Places a finding at a range of bytes in a text, whose lines are known.
pub(crate) fn place(text: &str, lines: &LineIndex, span: Span, finding: Finding) -> Problem {
    let start = text.floor_char_boundary(span.start);
    let end = text.floor_char_boundary(span.end.clamp(start, start + WIDEST));
    let (line, column) = lines.line_and_column(text, start);
    Problem {
        kind: ProblemKind::default(),
        severity: finding.severity,
        message: finding.message,
        label: finding.label,
        help: finding.help,
        line,
        column,
        span: (start, end - start).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_of_yaml_have_kinds() {
        for (text, kind) in [
            ("a: &x 1\nb: *x\n", ProblemKind::RefusedYaml),
            ("a: !!str 1\n", ProblemKind::RefusedYaml),
            ("a: 1\n---\nb: 2\n", ProblemKind::RefusedYaml),
            ("a: 1\na: 2\n", ProblemKind::DuplicateKey),
            ("a: [1\n", ProblemKind::Other),
            ("[a, b]: c\n", ProblemKind::Other),
            ("", ProblemKind::Other),
        ] {
            let problems = Document::parse("a.yaml", text).expect_err("a problem");
            assert!(problems.iter().all(|problem| problem.kind == kind), "{text}");
        }
    }

    #[test]
    fn steps_lead_to_the_smallest_value() {
        let text = "a:\n  b: [1, 2]\n  c:\nd:\n- e: 1\n  f: 2\n- g\n";
        let document = Document::parse("a.yaml", text).expect("a document");
        let of = |path: &Path| document.at(path, Finding::error("", ""));
        let (a, d) = (Path::root().key("a"), Path::root().key("d"));
        for path in [
            a.key("b").index(1),
            a.key("c"),
            a.clone(),
            d.index(0),
            d.index(0).key("f"),
            d.index(1),
        ] {
            assert_eq!(document.steps_to(&of(&path)), path.0, "{path}");
        }
        let key = document.at_key(&a.key("b"), Finding::error("", ""));
        assert_eq!(document.steps_to(&key), a.key("b").0);
        let place = |problem: Problem| {
            let (start, length) = (problem.span.offset(), problem.span.len());
            text.get(start..start + length)
                .map(str::to_owned)
                .expect("a place in the text")
        };
        let key = |path: &Path| place(document.at_key(path, Finding::error("", "")));
        assert_eq!(
            (key(&a.key("b")), key(&d.index(0).key("e"))),
            ("b".to_owned(), "e".to_owned())
        );
        // An item has no key, and what is not there is marked at what is around it.
        assert_eq!(
            (key(&a.key("b").index(1)), key(&a.key("x"))),
            ("2".to_owned(), "a".to_owned())
        );
        assert_eq!(place(of(&a.key("b").key("x"))), "[1, 2]");
        assert_eq!(
            (place(of(&Path::root())), place(of(&d.index(7)))),
            (String::new(), "d".to_owned())
        );
    }
}
