//! Construction of the tree from the events of the YAML parser.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use granit_parser::{Event, Options, Parser, ScalarStyle};

use super::{DocumentNode, Entries, Entry, Finding, Kind, Span};
use crate::excerpt::LineIndex;
use crate::problem::ProblemKind;

/// Finding with its place and kind.
type Found = (Span, ProblemKind, Finding);

/// Parses a text. Returns the tree, which is missing after a syntax error, and all findings.
pub(super) fn tree(text: &str, lines: &LineIndex) -> (Option<DocumentNode>, Vec<Found>) {
    let mut builder = Builder {
        lines,
        open: Vec::new(),
        root: None,
        found: Vec::new(),
    };
    let mut options = Options::default();
    options.set_emit_comments(false);
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => builder.take(text, event, span.byte_range().unwrap_or(0..0)),
            Err(error) => {
                let start = error.marker().byte_offset().unwrap_or(0).min(text.len());
                let finding = Finding::error(format!("this is not YAML: {}", error.info()), "the reader stopped here");
                builder.say(start..start, finding.with_help(syntax_help(text, start)));
                return (None, builder.found);
            }
        }
    }
    if builder.root.is_none() && builder.found.is_empty() {
        let finding = Finding::error("the file is empty", "nothing here").with_help("write the document's keys");
        builder.say(0..0, finding);
    }
    (builder.root, builder.found)
}

pub(super) fn syntax_help(text: &str, at: usize) -> &'static str {
    let (before, after) = text.split_at(text.floor_char_boundary(at));
    let start = before.rsplit_once('\n').map_or(before, |(_, start)| start);
    let line = format!("{start}{}", after.lines().next().unwrap_or_default());
    if line.starts_with('\t') || line.trim_start_matches(' ').starts_with('\t') {
        "indent with spaces: YAML does not allow tabs there"
    } else {
        "look at this line and the one before it: indentation, a missing `:`, quotes or brackets left open"
    }
}

/// List or object that is not closed yet.
enum Open {
    List(Vec<DocumentNode>),
    Object {
        entries: Vec<Entry>,
        /// Line of each key, from 1.
        lines: HashMap<String, usize>,
        key: Option<(String, Span)>,
    },
}

struct Builder<'t> {
    lines: &'t LineIndex,
    open: Vec<(Open, usize)>,
    root: Option<DocumentNode>,
    found: Vec<Found>,
}

impl Builder<'_> {
    fn say(&mut self, span: Span, finding: Finding) {
        self.found.push((span, ProblemKind::Other, finding));
    }

    /// Adds a finding about YAML that is not taken. Its words have none of the text in them.
    fn refuse(&mut self, span: Span, message: &str, label: &str, help: &str) {
        let finding = Finding::error(message, label).with_help(help);
        self.found.push((span, ProblemKind::RefusedYaml, finding));
    }

    fn take(&mut self, text: &str, event: Event<'_>, span: Span) {
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                self.refuse_extras(anchor, tag.is_some(), &span);
                let kind = if style == ScalarStyle::Plain {
                    plain(&value)
                } else {
                    Kind::Text(value.into_owned())
                };
                self.value(DocumentNode { span, kind });
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_extras(anchor, tag.is_some(), &span);
                self.open.push((Open::List(Vec::new()), span.start));
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_extras(anchor, tag.is_some(), &span);
                self.open.push((
                    Open::Object {
                        entries: Vec::new(),
                        lines: HashMap::new(),
                        key: None,
                    },
                    span.start,
                ));
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(text, span.end),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let message = "aliases (`*name`) are not taken";
                self.refuse(span.clone(), message, "an alias", "write the value out");
                self.value(DocumentNode { span, kind: Kind::Null });
            }
            _ => {}
        }
    }

    fn refuse_extras(&mut self, anchor: usize, tagged: bool, span: &Span) {
        let (message, label) = match (anchor, tagged) {
            (0, false) => return,
            (0, true) => ("tags (`!name`) are not taken", "this has a tag"),
            _ => ("anchors (`&name`) are not taken", "this has an anchor"),
        };
        self.refuse(span.start..span.start, message, label, "remove it");
    }

    fn close(&mut self, text: &str, end: usize) {
        let Some((open, start)) = self.open.pop() else { return };
        let kind = match open {
            Open::List(items) => Kind::List(items),
            Open::Object { entries, .. } => Kind::Object(Entries::new(entries)),
        };
        let end = end.clamp(start, text.len());
        // The parser ends a block where the next one starts; the value ends with its last character.
        let end = start + text.get(start..end).map_or(0, |inside| inside.trim_end().len());
        self.value(DocumentNode { span: start..end, kind });
    }

    fn value(&mut self, node: DocumentNode) {
        match self.open.last_mut() {
            None if self.root.is_some() => {
                let message = "the file holds a second document";
                let help = "keep one document per file: remove what follows `---`";
                self.refuse(node.span.start..node.span.start, message, "it starts here", help);
            }
            None => self.root = Some(node),
            Some((Open::List(items), _)) => items.push(node),
            Some((Open::Object { entries, lines, key }, _)) => match key.take() {
                Some((name, key_span)) => {
                    match lines.entry(name.clone()) {
                        Slot::Vacant(slot) => {
                            slot.insert(self.lines.line(key_span.start) + 1);
                        }
                        Slot::Occupied(first) => {
                            // What has no value may be one, in braces: `auth: { correct horse }`.
                            let named = match node.kind {
                                Kind::Null => "a key".to_owned(),
                                _ => format!("`{name}`"),
                            };
                            let finding = Finding::error(format!("{named} is there twice"), "given again here");
                            let help = format!("the first one is in line {}; keep one of them", first.get());
                            let finding = finding.with_help(help);
                            self.found.push((key_span.clone(), ProblemKind::DuplicateKey, finding));
                        }
                    }
                    entries.push(Entry {
                        key: name,
                        key_span,
                        value: node,
                    });
                }
                None => {
                    let name = match node.kind {
                        Kind::Text(name) | Kind::Number(_, name) => name,
                        Kind::Bool(value) => value.to_string(),
                        Kind::Null => "null".to_owned(),
                        Kind::List(_) | Kind::Object(_) => {
                            let finding = Finding::error("a key must be a word", "this is used as a key");
                            let place = node.span.start..node.span.start;
                            self.found.push((place, ProblemKind::Other, finding));
                            String::new()
                        }
                    };
                    *key = Some((name, node.span));
                }
            },
        }
    }
}

/// Returns the value of an unquoted scalar by the core schema of YAML 1.2.
pub(super) fn plain(text: &str) -> Kind {
    let number = |number: serde_json::Number| Kind::Number(number, text.to_owned());
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        _ => {}
    }
    let based = |prefix, radix| {
        text.strip_prefix(prefix)
            .and_then(|digits| u64::from_str_radix(digits, radix).ok())
    };
    if let Some(value) = based("0x", 16).or_else(|| based("0o", 8)) {
        return number(value.into());
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && digits
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'))
    {
        if let Ok(value) = text.strip_prefix('+').unwrap_or(text).parse::<i64>() {
            return number(value.into());
        }
        if let Ok(value) = digits.parse::<u64>() {
            return if text.starts_with('-') {
                Kind::Text(text.to_owned())
            } else {
                number(value.into())
            };
        }
        if let Some(value) = text.parse().ok().and_then(serde_json::Number::from_f64) {
            return number(value);
        }
    }
    Kind::Text(text.to_owned())
}
