//! From the events of the YAML parser to the trees of all documents of a stream, as Kubernetes' own readers take them.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Options, Parser, ScalarStyle, Tag};

use super::parse::{plain, syntax_help};
use super::{DocumentNode, Entries, Entry, Finding, Kind, Span};

/// Levels of lists and objects below one another. Objects of Kubernetes have some 20.
const DEEPEST: usize = 100;
/// Values of all documents, with those that aliases repeat.
const MOST_VALUES: usize = 1_000_000;

/// Defect of a text, with its place.
type Defect = (Span, Finding);

/// Trees of the documents that have content.
pub(super) fn trees(text: &str) -> Result<Vec<DocumentNode>, Defect> {
    let mut builder = Builder::default();
    let mut options = Options::default();
    options.set_emit_comments(false);
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => builder.take(text, event, span.byte_range().unwrap_or(0..0))?,
            Err(error) => {
                let start = error.marker().byte_offset().unwrap_or(0).min(text.len());
                // The scanner runs ahead of the events that the builder counts, and has a limit of its own.
                if error.info().contains("recursion limit") {
                    return Err((start..start, too_deep()));
                }
                let finding = Finding::error(format!("this is not YAML: {}", error.info()), "the reader stopped here");
                return Err((start..start, finding.with_help(help(text, start))));
            }
        }
    }
    Ok(builder.roots)
}

/// Help for a syntax error: charts that were not rendered are the commonest cause.
fn help(text: &str, at: usize) -> &'static str {
    if text.contains("{{") && text.contains("}}") {
        "this is a template: render the chart with `helm template`, and read what that writes"
    } else {
        syntax_help(text, at)
    }
}

fn too_deep() -> Finding {
    Finding::error(
        format!("lists and objects are nested more than {DEEPEST} deep"),
        "one more",
    )
}

/// List or object that is not closed yet.
struct Open {
    content: Content,
    start: usize,
    anchor: usize,
}

enum Content {
    List(Vec<DocumentNode>),
    Object {
        entries: Vec<Entry>,
        names: HashSet<String>,
        key: Option<(String, Span)>,
    },
}

#[derive(Default)]
struct Builder {
    roots: Vec<DocumentNode>,
    open: Vec<Open>,
    /// Values that have an anchor, with their number of values.
    anchors: HashMap<usize, (DocumentNode, usize)>,
    values: usize,
}

impl Builder {
    fn take(&mut self, text: &str, event: Event<'_>, span: Span) -> Result<(), Defect> {
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain && !tag.as_deref().is_some_and(is_string);
                let kind = if is_plain {
                    word(&value).unwrap_or_else(|| plain(&value))
                } else {
                    Kind::Text(value.into_owned())
                };
                self.value(DocumentNode { span, kind }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Content::List(Vec::new()), span, anchor),
            Event::MappingStart(_, anchor, _) => {
                let object = Content::Object {
                    entries: Vec::new(),
                    names: HashSet::new(),
                    key: None,
                };
                self.begin(object, span, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(text, span.end),
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some((node, values)) => {
                    // One of them is counted below.
                    self.values += values.saturating_sub(1);
                    let node = node.clone();
                    self.value(node, 0)
                }
                None => Err((span, Finding::error("this alias leads into itself", "the alias"))),
            },
            _ => Ok(()),
        }
    }

    fn begin(&mut self, content: Content, span: Span, anchor: usize) -> Result<(), Defect> {
        if self.open.len() >= DEEPEST {
            return Err((span, too_deep()));
        }
        self.open.push(Open {
            content,
            start: span.start,
            anchor,
        });
        Ok(())
    }

    fn close(&mut self, text: &str, end: usize) -> Result<(), Defect> {
        let Some(Open { content, start, anchor }) = self.open.pop() else {
            return Ok(());
        };
        let kind = match content {
            Content::List(items) => Kind::List(items),
            Content::Object { entries, .. } => Kind::Object(Entries::new(merged(entries))),
        };
        let end = end.clamp(start, text.len());
        // The parser closes a block where the next one starts; what counts ends with its last character.
        let end = start + text.get(start..end).map_or(0, |inside| inside.trim_end().len());
        self.value(DocumentNode { span: start..end, kind }, anchor)
    }

    fn value(&mut self, node: DocumentNode, anchor: usize) -> Result<(), Defect> {
        self.values += 1;
        if self.values > MOST_VALUES {
            let finding = Finding::error(
                format!("the text stands for more than {MOST_VALUES} values"),
                "up to here",
            );
            return Err((node.span, finding.with_help("look at its aliases (`*name`)")));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), count(&node)));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None if node.kind == Kind::Null => {}
            None => self.roots.push(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Object { entries, names, key }) => match key.take() {
                Some((key, key_span)) => {
                    let value = node;
                    if !names.insert(key.clone()) && key != "<<" {
                        entries.retain(|entry| entry.key != key);
                    }
                    entries.push(Entry { key, key_span, value });
                }
                None => *key = Some((key_text(node.kind), node.span)),
            },
        }
        Ok(())
    }
}

/// Text of a key, as JSON has it.
fn key_text(kind: Kind) -> String {
    match kind {
        Kind::Text(text) | Kind::Number(_, text) => text,
        Kind::Bool(value) => value.to_string(),
        Kind::Null => "null".to_owned(),
        Kind::List(_) | Kind::Object(_) => String::new(),
    }
}

/// Number of values in a tree. Its depth is bounded.
fn count(node: &DocumentNode) -> usize {
    1 + match &node.kind {
        Kind::List(items) => items.iter().map(count).sum(),
        Kind::Object(entries) => entries.iter().map(|entry| count(&entry.value)).sum(),
        _ => 0usize,
    }
}

/// Entries with those of merge keys (`<<`), which give way to those that are written out.
fn merged(entries: Vec<Entry>) -> Vec<Entry> {
    let (merges, mut own): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|entry| entry.key == "<<" && matches!(entry.value.kind, Kind::Object(_) | Kind::List(_)));
    if merges.is_empty() {
        return own;
    }
    let mut names: HashSet<String> = own.iter().map(|entry| entry.key.clone()).collect();
    for merge in merges {
        let sources = match merge.value.kind {
            Kind::List(items) => items,
            _ => vec![merge.value],
        };
        for source in sources {
            let Kind::Object(inherited) = source.kind else { continue };
            for entry in inherited {
                if names.insert(entry.key.clone()) {
                    own.push(entry);
                }
            }
        }
    }
    own
}

/// Returns `true` for the tag `!!str`.
fn is_string(tag: &Tag) -> bool {
    tag.is_yaml_core_schema_tag("str")
}

/// Boolean of a word that YAML 1.1 knows beside `true` and `false`.
fn word(text: &str) -> Option<Kind> {
    match text {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(Kind::Bool(true)),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(Kind::Bool(false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::Document;

    fn read(text: &str) -> Vec<Value> {
        let documents = Document::parse_stream("stream.yaml", text).unwrap_or_else(|problems| panic!("{problems:?}"));
        documents.iter().map(|document| document.root().to_json()).collect()
    }

    fn refused(text: &str) -> String {
        Document::parse_stream("stream.yaml", text)
            .expect_err("refused")
            .brief()
    }

    #[test]
    fn documents_follow_one_another() {
        let text = "# Source: a.yaml\n---\na: 1\n---\n# nothing\n---\n---\nb: [2]\n...\n---\n{\"c\":3}\n";
        assert_eq!(read(text), [json!({"a": 1}), json!({"b": [2]}), json!({"c": 3})]);
        assert_eq!(read("# only a comment\n"), [] as [Value; 0]);
    }

    #[test]
    fn places_are_those_of_the_whole_text() {
        let documents = Document::parse_stream("stream.yaml", "a: 1\n---\nb:\n  c: 2\n").expect("right");
        let document = documents.get(1).expect("two");
        let entry = document.root().get("b").expect("b").value.get("c").expect("c");
        assert_eq!(document.line_and_column(entry.value.span.start), (4, 6));
    }

    #[test]
    fn it_is_read_as_kubernetes_does() {
        let text =
            "base: &base {x: 1, y: 2}\nout: {<<: *base, y: 3}\nsame: *base\nflag: yes\nquoted: \"no\"\ntag: !!str 1\n";
        assert_eq!(
            read(text),
            [json!({
                "base": {"x": 1, "y": 2}, "out": {"y": 3, "x": 1}, "same": {"x": 1, "y": 2},
                "flag": true, "quoted": "no", "tag": "1",
            })]
        );
        assert_eq!(read("a: 1\nb: 2\na: 3\n"), [json!({"b": 2, "a": 3})]);
    }

    #[test]
    fn templates_are_recognised() {
        let said = refused("a: {{ .Values.x }}\n{{- if }}\n");
        assert!(said.contains("helm template"), "{said}");
        assert!(!refused("a: [1\nb: 2").contains("helm"));
    }

    #[test]
    fn bombs_are_refused() {
        let mut text = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n".to_owned();
        for level in 1..9 {
            let before = format!("*a{},", level - 1).repeat(10);
            text += &format!("a{level}: &a{level} [{before}]\n");
        }
        assert!(refused(&text).contains("1000000 values"));
        let said = refused(&"[".repeat(100_000));
        assert!(said.contains("nested"), "{said:.500}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[-a:&*{}\\[\\],!<>|'\" \n#.0-9]{0,120}") {
            let _ = Document::parse_stream("stream.yaml", &text);
        }
    }
}
