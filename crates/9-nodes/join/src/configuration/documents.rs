//! Documents of a YAML stream.

/// Text in which every line but those of the document of a kind is blank, so that places stay what they are. Without
/// such a document, the text itself.
pub(crate) fn only(text: &str, kind: &str) -> String {
    let mut documents: Vec<Vec<(usize, &str)>> = vec![Vec::new()];
    for (number, line) in text.lines().enumerate() {
        if is_separator(line) {
            documents.push(Vec::new());
        } else if let Some(document) = documents.last_mut() {
            document.push((number, line));
        }
    }
    let is_wanted = |document: &&Vec<(usize, &str)>| document.iter().any(|(_, line)| names_kind(line, kind));
    let Some(wanted) = documents.iter().find(is_wanted) else {
        return text.to_owned();
    };
    let mut alone = String::with_capacity(text.len());
    let mut wanted = wanted.iter().peekable();
    for (number, line) in text.lines().enumerate() {
        match wanted.next_if(|(own, _)| *own == number) {
            Some(_) => alone.push_str(line),
            None => alone.extend(std::iter::repeat_n(' ', line.len())),
        }
        alone.push('\n');
    }
    alone
}

fn is_separator(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r']))
}

/// `true` for `kind: KIND`, with or without quotes and a comment.
fn names_kind(line: &str, kind: &str) -> bool {
    let Some(value) = line.strip_prefix("kind:") else {
        return false;
    };
    let value = value.split(" #").next().unwrap_or_default();
    value.trim().trim_matches(['"', '\'']) == kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_document_is_left_at_its_place() {
        let text = "---\nkind: A\na: é\n---\nkind: \"B\" # second\nb: 1\n--- # third\nkind: C\n";
        let alone = only(text, "B");
        assert_eq!(alone.trim(), "kind: \"B\" # second\nb: 1");
        assert_eq!(alone.lines().count(), text.lines().count());
        assert_eq!(alone.find("kind: \"B\""), text.find("kind: \"B\""));
        assert_eq!(only(text, "D"), text);
    }
}
