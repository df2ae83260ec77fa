//! Documents of a YAML stream.

use std::ops::Range;

use basalt_document::Finding;

/// Lines of a document, with their numbers, and the bytes at which they begin.
type Lines<'t> = Vec<(usize, usize, &'t str)>;

/// Text in which every line but those of the document of a kind is blank, so that places stay what they are. Where no
/// document names its kind in a line of its own, the text itself.
///
/// # Errors
/// When there are two such documents, or others only; with the bytes to be marked.
pub(crate) fn only(text: &str, kind: &str) -> Result<String, (Range<usize>, Finding)> {
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
    let mut wanted = named.iter().filter(|(_, (_, name))| *name == kind);
    let document = match (wanted.next(), wanted.next(), named.first()) {
        (Some((document, _)), None, _) => *document,
        (Some(_), Some((_, (place, _))), _) => {
            let finding = Finding::error(format!("a second {kind} in one file"), "given again here");
            return Err((
                place.clone(),
                finding.with_help("keep one of them; kubeadm refuses two, too"),
            ));
        }
        (None, _, Some((_, (place, _)))) => {
            let kinds: Vec<_> = named.iter().map(|(_, (_, name))| *name).collect();
            let finding = Finding::error(format!("this is {}, not {kind}", kinds.join(" and ")), "another kind");
            return Err((
                place.clone(),
                finding.with_help("give the file of `kubeadm join --config`"),
            ));
        }
        (None, _, None) => return Ok(text.to_owned()),
    };
    let mut alone = String::with_capacity(text.len());
    let mut lines = document.iter().peekable();
    for (number, line) in text.lines().enumerate() {
        match lines.next_if(|(own, ..)| *own == number) {
            Some(_) => alone.push_str(line),
            None => alone.extend(std::iter::repeat_n(' ', line.len())),
        }
        alone.push('\n');
    }
    Ok(alone)
}

fn is_separator(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r']))
}

/// Kind that a document names, and the bytes of that line: `kind: KIND`, with or without quotes and a comment.
fn kind_of<'t>(document: &Lines<'t>) -> Option<(Range<usize>, &'t str)> {
    document.iter().find_map(|(_, start, line)| {
        let value = line.strip_prefix("kind:")?.split(" #").next()?;
        let name = value.trim().trim_matches(['"', '\'']);
        (!name.is_empty()).then(|| (*start..start + line.len(), name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_document_is_left_at_its_place() {
        let text = "---\nkind: A\na: é\n---\nkind: \"B\" # second\nb: 1\n--- # third\nkind: C\n";
        let alone = only(text, "B").unwrap();
        assert_eq!(alone.trim(), "kind: \"B\" # second\nb: 1");
        assert_eq!(alone.lines().count(), text.lines().count());
        assert_eq!(alone.find("kind: \"B\""), text.find("kind: \"B\""));
        let flow = "{\"kind\": \"A\"}\n";
        assert_eq!(only(flow, "D").unwrap(), flow);
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
    }
}
