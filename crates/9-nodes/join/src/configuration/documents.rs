//! Documents of a YAML stream.

use std::collections::BTreeSet;
use std::ops::Range;

use basalt_document::Finding;

/// Lines of a document, with their numbers, and the bytes at which they begin.
type Lines<'t> = Vec<(usize, usize, &'t str)>;

/// One document of a stream, alone in its text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Alone {
    /// Text in which every line but those of the document is blank, so that places stay what they are. Where no document names
    /// its kind in a line of its own, the text itself.
    pub(crate) text: String,
    /// The other documents that have content: the bytes of the line that is to be marked, in that text, and the kind. None
    /// where no line names one.
    pub(crate) others: Vec<(Range<usize>, Option<String>)>,
}

/// Takes the document of a kind out of a stream.
///
/// # Errors
/// When there are two documents of one kind, or others only; with the bytes to be marked.
pub(crate) fn only(text: &str, kind: &str) -> Result<Alone, (Range<usize>, Finding)> {
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
            .extend(here.map(|(_, kind)| (place.clone(), kind.map(str::to_owned))));
        alone.text.push('\n');
    }
    Ok(alone)
}

/// Number of the line that names the kind of a document, and the kind; of a document that names none, that of its first
/// line with content. None for a document without content.
fn other<'t>(document: &Lines<'t>) -> Option<(usize, Option<&'t str>)> {
    let has_content =
        |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#') && line.trim_end() != "...";
    let (first, ..) = document.iter().find(|(_, _, line)| has_content(line))?;
    Some(kind_of(document).map_or((*first, None), |named| (named.line, Some(named.kind))))
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
        let text = "# none\n---\nkind: A\na: 1\n---\nx: 1\nkind: 'B'\n---\n\n# none\n...\n---\n{\"kind\": \"C\"}\n";
        for text in [text.to_owned(), text.replace('\n', "\r\n")] {
            let alone = only(&text, "A").unwrap();
            let before = |at: usize| alone.text.get(..at).unwrap();
            let lines = alone
                .others
                .iter()
                .map(|(place, kind)| (before(place.start).matches('\n').count() + 1, kind.as_deref()));
            assert_eq!(lines.collect::<Vec<_>>(), [(7, Some("B")), (13, None)]);
        }
        assert!(only("---\nkind: A\n---\n", "A").unwrap().others.is_empty());
    }
}
