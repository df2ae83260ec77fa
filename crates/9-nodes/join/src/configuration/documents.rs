//! Documents of a YAML stream.

use std::collections::BTreeSet;
use std::ops::Range;

use basalt_document::{Document, Finding, Kind};

/// Lines of a document, with their numbers, and the bytes at which they begin.
type Lines<'t> = Vec<(usize, usize, &'t str)>;

/// One document of a stream, alone in its text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Alone {
    /// Text in which every line but those of the document is blank, so that places stay what they are. Where no document names
    /// its kind in a line of its own, the text itself.
    pub(crate) text: String,
    /// The other documents that have content: the bytes of the line that is to be marked, in that text, and what it is.
    pub(crate) others: Vec<(Range<usize>, OtherDocument)>,
}

/// A document beside the one that was looked for, as kubeadm takes it (`SplitYAMLDocuments`, and `Interpret` of apimachinery).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OtherDocument {
    /// An object of a kind.
    Object(String),
    /// No object: it lacks a kind, or a version with a group.
    Untyped,
    /// No YAML.
    Unreadable,
}

impl OtherDocument {
    fn read(text: &str) -> Self {
        let Ok(documents) = Document::parse_stream("", text) else {
            return Self::Unreadable;
        };
        let root = documents.first().map(Document::root);
        let value = |key: &str| {
            let value = &root.and_then(|root| root.get(key))?.value;
            match &value.kind {
                Kind::Text(text) if !text.is_empty() => Some(text.as_str()),
                _ => None,
            }
        };
        let is_of_group = |version: &str| {
            let parts = version.split_once('/');
            parts.is_some_and(|(group, version)| !group.is_empty() && !version.is_empty() && !version.contains('/'))
        };
        match value("kind") {
            Some(kind) if value("apiVersion").is_some_and(is_of_group) => Self::Object(kind.to_owned()),
            _ => Self::Untyped,
        }
    }
}

/// Takes the document of a kind out of a stream.
///
/// # Errors
/// When there are two documents of one kind, or others only; with the bytes to be marked.
pub(crate) fn only(text: &str, kind: &str) -> Result<Alone, (Range<usize>, Finding)> {
    let documents = split(text);
    let named: Vec<_> = documents
        .iter()
        .filter_map(|document| Some((document, kind_of(document)?)))
        .collect();
    let mut wanted = named.iter().filter(|(_, of)| of.kind == kind);
    let document = match (wanted.next(), named.first()) {
        (Some((document, _)), _) => *document,
        (None, Some((_, first))) => {
            let kinds: Vec<_> = named.iter().map(|(_, of)| of.kind).collect();
            let finding = Finding::error(format!("this is {}, not {kind}", kinds.join(" and ")), "another kind");
            return Err((
                first.place.clone(),
                finding.with_help("give the file of `kubeadm join --config`"),
            ));
        }
        (None, None) => {
            return Ok(Alone {
                text: text.to_owned(),
                others: Vec::new(),
            });
        }
    };
    let mut seen = BTreeSet::new();
    if let Some((_, again)) = named.iter().find(|(_, of)| !seen.insert(of.kind)) {
        let finding = Finding::error(format!("a second {} in one file", again.kind), "given again here");
        return Err((
            again.place.clone(),
            finding.with_help("keep one of them; kubeadm refuses two, too"),
        ));
    }
    let others = documents.iter().filter(|other| !std::ptr::eq(*other, document));
    let others: Vec<_> = others.filter_map(other).collect();
    Ok(alone(text, document, &others))
}

/// Documents of a stream, with those that have no content.
fn split(text: &str) -> Vec<Lines<'_>> {
    let mut documents: Vec<Lines<'_>> = vec![Vec::new()];
    let mut start = 0;
    for (number, whole) in text.split_inclusive('\n').enumerate() {
        let line = whole.trim_end_matches(['\n', '\r']);
        if is_separator(line) {
            documents.push(Vec::new());
        } else if let Some(document) = documents.last_mut() {
            document.push((number, start, line));
        }
        start += whole.len();
    }
    documents
}

/// A document of a text, alone; the others have the numbers of the lines that are to be marked.
fn alone(text: &str, document: &Lines<'_>, others: &[(usize, OtherDocument)]) -> Alone {
    let mut alone = Alone {
        text: String::with_capacity(text.len()),
        others: Vec::new(),
    };
    let mut lines = document.iter().peekable();
    for (number, line) in text.lines().enumerate() {
        let start = alone.text.len();
        match lines.next_if(|(own, ..)| *own == number) {
            Some(_) => alone.text.push_str(line),
            None => alone.text.extend(std::iter::repeat_n(' ', line.len())),
        }
        let here = others.iter().filter(|(marked, _)| *marked == number);
        let place = start..alone.text.len();
        alone
            .others
            .extend(here.map(|(_, other)| (place.clone(), other.clone())));
        alone.text.push('\n');
    }
    alone
}

/// Number of the line that names the kind of a document, or else of its first line with content; and what it is. None for a
/// document without content.
fn other(document: &Lines<'_>) -> Option<(usize, OtherDocument)> {
    let has_content =
        |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#') && line.trim_end() != "...";
    let (first, ..) = document.iter().find(|(_, _, line)| has_content(line))?;
    let lines: Vec<_> = document.iter().map(|(_, _, line)| *line).collect();
    let marked = kind_of(document).map_or(*first, |named| named.line);
    Some((marked, OtherDocument::read(&lines.join("\n"))))
}

fn is_separator(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r']))
}

/// Kind of a document, and the line that names it.
struct NamedKind<'t> {
    line: usize,
    place: Range<usize>,
    kind: &'t str,
}

/// Kind that a document names: `kind: KIND`, with or without quotes and a comment.
fn kind_of<'t>(document: &Lines<'t>) -> Option<NamedKind<'t>> {
    document.iter().find_map(|(number, start, line)| {
        let value = line.strip_prefix("kind:")?.split(" #").next()?;
        let kind = value.trim().trim_matches(['"', '\'']);
        (!kind.is_empty()).then(|| NamedKind {
            line: *number,
            place: *start..start + line.len(),
            kind,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_document_is_left_at_its_place() {
        let text = "---\nkind: A\na: é\n---\nkind: \"B\" # second\nb: 1\n--- # third\nkind: C\n";
        let alone = only(text, "B").unwrap().text;
        assert_eq!(alone.trim(), "kind: \"B\" # second\nb: 1");
        assert_eq!(alone.lines().count(), text.lines().count());
        assert_eq!(alone.find("kind: \"B\""), text.find("kind: \"B\""));
        let flow = "{\"kind\": \"A\"}\n";
        assert_eq!(only(flow, "D").unwrap().text, flow);
    }

    #[test]
    fn two_of_a_kind_and_others_only_are_refused_at_their_lines() {
        let text = "kind: A\na: 1\n---\nkind: B\n---\nkind: A # again\na: 2\n";
        let (place, finding) = only(text, "A").unwrap_err();
        assert_eq!(text.get(place), Some("kind: A # again"));
        assert_eq!(finding.message, "a second A in one file");
        let (place, finding) = only(text, "C").unwrap_err();
        assert_eq!(place, 0..7);
        assert_eq!(finding.message, "this is A and B and A, not C");
        let windows = text.replace('\n', "\r\n");
        let (place, _) = only(&windows, "A").unwrap_err();
        assert_eq!(windows.get(place), Some("kind: A # again"));
        // kubeadm refuses two of any kind.
        let (place, finding) = only(text, "B").unwrap_err();
        assert_eq!(text.get(place), Some("kind: A # again"));
        assert_eq!(finding.message, "a second A in one file");
    }

    #[test]
    fn others_are_named_with_their_lines() {
        let text = "# none\n---\nkind: A\na: 1\n---\napiVersion: g/v1\nkind: 'B'\n---\n\n# none\n...\n---\n{\"kind\": \"C\", \"apiVersion\": \"g/v1\"}\n";
        for text in [text.to_owned(), text.replace('\n', "\r\n")] {
            let alone = only(&text, "A").unwrap();
            let before = |at: usize| alone.text.get(..at).unwrap();
            let lines = alone
                .others
                .iter()
                .map(|(place, other)| (before(place.start).matches('\n').count() + 1, other.clone()));
            let object = |kind: &str| OtherDocument::Object(kind.to_owned());
            assert_eq!(lines.collect::<Vec<_>>(), [(7, object("B")), (13, object("C"))]);
        }
        assert!(only("---\nkind: A\n---\n", "A").unwrap().others.is_empty());
    }

    #[test]
    fn documents_that_kubeadm_does_not_split_are_told_from_objects() {
        for (text, expected) in [
            ("apiVersion: g/v1\nkind: B\n", OtherDocument::Object("B".to_owned())),
            ("apiVersion: v1\nkind: ConfigMap\n", OtherDocument::Untyped),
            ("apiVersion: g/v1/x\nkind: B\n", OtherDocument::Untyped),
            ("apiVersion: g/v1\n", OtherDocument::Untyped),
            ("kind: B\n", OtherDocument::Untyped),
            ("apiVersion: g/v1\nkind: 1\n", OtherDocument::Untyped),
            ("text\n", OtherDocument::Untyped),
            ("null\n", OtherDocument::Untyped),
            ("a: [unclosed\n", OtherDocument::Unreadable),
            ("apiVersion: g/v1\nkind: B\na: 'b\n", OtherDocument::Unreadable),
        ] {
            let text = format!("kind: A\n---\n{text}");
            let others = only(&text, "A").unwrap().others;
            assert_eq!(others.len(), 1, "{text}");
            assert_eq!(others[0].1, expected, "{text}");
        }
    }
}
