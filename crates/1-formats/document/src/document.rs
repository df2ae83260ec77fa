//! A YAML file as a tree in which every key and value knows its place.
//!
//! `serde` stops at the first thing that it does not like, and what it decodes no longer knows where it stood.
//! Whoever fixes a file wants all of it at once, with lines and columns. So a file is read into this tree first, held
//! against the JSON schema of its type ([`crate::schema`]), and only then decoded; rules that no schema can express
//! report their findings by [`Path`], and the tree turns a path back into a place.

use std::fmt;
use std::sync::Arc;

use miette::{NamedSource, Severity};
use serde_json::{Map, Value};

use crate::problem::{Problem, Problems};

mod parse;
mod stream;

/// A range of bytes.
pub type Span = std::ops::Range<usize>;

/// A value of the tree and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The bytes of the value.
    pub span: Span,
    /// The value.
    pub kind: Kind,
}

/// What a value can be. Plain scalars mean what YAML 1.2 says: `no` is a word, `0o17` is 15.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, and how it was written.
    Number(serde_json::Number, String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values, in the order of the file.
    Object(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The bytes of the key.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Kind {
    /// A word for what it is, with its article.
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

impl Node {
    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Object(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The same as JSON.
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number, _) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
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

/// The way from the root of a document to a value: `cluster.dns.addresses[0]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into the value of a key.
    Key(String),
    /// Into an item of a list, counted from 0.
    Index(usize),
}

impl Path {
    /// The document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// One step further, to a key.
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.step(Step::Key(key.into()))
    }

    /// One step further, to an item.
    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    /// This path up to its last key, without the list items after that.
    pub fn nearest_key(&self) -> Self {
        let keep = self
            .0
            .iter()
            .rposition(|step| matches!(step, Step::Key(_)))
            .map_or(0, |last| last + 1);
        Self(self.0[..keep].to_vec())
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

/// Keys only: `"cluster.dns"`.
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

/// What is wrong, before it is known where that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to write under the place.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Finding {
    /// Something that forbids the use of the file.
    pub fn error(message: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            label: label.into(),
            help: None,
        }
    }

    /// Something that is worth a word.
    pub fn warning(message: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message, label)
        }
    }

    /// The same with a remedy.
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

/// A YAML file that was read.
#[derive(Debug, Clone)]
pub struct Document {
    source: NamedSource<Arc<str>>,
    text: Arc<str>,
    root: Node,
}

impl Document {
    /// Reads a file's text; `name` is what errors call the file.
    ///
    /// Anchors, aliases and tags are refused: a file that people review says what it means where it means it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let text: Arc<str> = text.into();
        let source = NamedSource::new(name, text.clone()).with_language("yaml");
        let placed = |found: Vec<(Span, Finding)>| {
            let found = found
                .into_iter()
                .map(|(span, finding)| place(&text, span, finding))
                .collect();
            Problems::new(source.clone(), found)
        };
        match parse::tree(&text) {
            (Some(root), found) if found.is_empty() => Ok(Self { source, text, root }),
            (_, found) => Err(placed(found)),
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
        let source = NamedSource::new(name, text.clone()).with_language("yaml");
        match stream::trees(&text) {
            Ok(roots) => Ok(roots
                .into_iter()
                .map(|root| Self {
                    source: source.clone(),
                    text: text.clone(),
                    root,
                })
                .collect()),
            Err((span, finding)) => Err(Problems::new(source.clone(), vec![place(&text, span, finding)])),
        }
    }

    /// Line and column of a byte of the text, both counted from 1; columns are characters.
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let problem = place(&self.text, offset..offset, Finding::error("", ""));
        (problem.line, problem.column)
    }

    /// What errors call the file.
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// The tree.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The document as JSON, without the keys that some paths end in.
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

    /// The problem that a finding is, at the value of a path.
    ///
    /// Where there is no such value, the nearest one around it is meant.
    pub fn at(&self, path: &Path, finding: Finding) -> Problem {
        let (mut node, mut span) = (&self.root, self.root.span.start..self.root.span.start);
        for step in &path.0 {
            let (next, key) = match (step, &node.kind) {
                (Step::Key(key), Kind::Object(_)) => match node.get(key) {
                    Some(entry) => (&entry.value, Some(entry.key_span.clone())),
                    None => break,
                },
                (Step::Index(index), Kind::List(items)) => match items.get(*index) {
                    Some(item) => (item, None),
                    None => break,
                },
                _ => break,
            };
            node = next;
            // What runs over several lines, or is nothing at all, is better shown by its key.
            let clear = !node.span.is_empty() && !self.text[node.span.clone()].trim_end().contains('\n');
            span = if clear {
                node.span.clone()
            } else {
                key.unwrap_or_else(|| self.first_line(&node.span))
            };
        }
        self.at_span(span, finding)
    }

    /// The problem that a finding is, at a place.
    pub fn at_span(&self, span: Span, finding: Finding) -> Problem {
        place(&self.text, span, finding)
    }

    /// All the problems of this document.
    pub fn problems(&self, found: Vec<Problem>) -> Problems {
        Problems::new(self.source.clone(), found)
    }

    fn first_line(&self, span: &Span) -> Span {
        let length = self.text[span.clone()].find('\n').unwrap_or(span.len());
        span.start..span.start + length
    }
}

/// The problem that a finding is, at some bytes of a text.
pub(crate) fn place(text: &str, span: Span, finding: Finding) -> Problem {
    let start = text.floor_char_boundary(span.start);
    let before = &text[..start];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Problem {
        severity: finding.severity,
        message: finding.message,
        label: finding.label,
        help: finding.help,
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        span: (start, text.floor_char_boundary(span.end.max(start)) - start).into(),
    }
}
