//! Characters that word processors, mail programs and chats put into commands, and that no shell takes for what they look like.

use super::CommandLineProblem;

/// Mark at the begin of a text that says how it is encoded; some editors write it.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Text without a byte order mark before it.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Problems of such characters, each told at the first place of it.
pub(super) fn problems(text: &str) -> Vec<CommandLineProblem> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for (at, sign) in text.char_indices() {
        let Some((name, help)) = meaning(sign) else { continue };
        if seen.contains(&sign) {
            continue;
        }
        seen.push(sign);
        let number = u32::from(sign);
        let message =
            format!("there is {name} (U+{number:04X}) in the command, and no shell takes it for another sign");
        let help =
            format!("{help}; copy the command from a terminal: chats, mail programs and word processors change signs");
        found.push(CommandLineProblem::InvalidValue {
            message,
            help: Some(help),
            at: (at, sign.len_utf8()).into(),
        });
    }
    found
}

/// Name of such a character, and what to write in its place.
fn meaning(sign: char) -> Option<(&'static str, &'static str)> {
    Some(match sign {
        '\u{2013}' => ("an en dash", "write `--`"),
        '\u{2014}' | '\u{2015}' => ("a long dash", "write `--`"),
        '\u{2010}'..='\u{2012}' | '\u{2212}' | '\u{ad}' => ("a dash of another kind", "write `-`"),
        '\u{2018}'..='\u{201b}' => ("a curly quote", "write `'`, or leave it out"),
        '\u{201c}'..='\u{201f}' | '\u{ab}' | '\u{bb}' => ("a curly quote", "write `\"`, or leave it out"),
        '\u{200b}'..='\u{200f}' | '\u{2060}' | BYTE_ORDER_MARK => ("a sign without width", "remove it"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_them_is_told_once_by_its_name() {
        let text = "a \u{2013}b \u{2013}c \u{201c}d\u{201d} e\u{200b}";
        let found = problems(text);
        let said: Vec<_> = found.iter().map(|problem| format!("{problem}")).collect();
        let names = [
            "an en dash (U+2013)",
            "a curly quote (U+201C)",
            "a curly quote (U+201D)",
            "without width (U+200B)",
        ];
        assert_eq!(said.len(), names.len(), "{said:?}");
        for (said, name) in said.iter().zip(names) {
            assert!(said.contains(name), "{said}");
        }
        let at = found[0].at().unwrap();
        assert_eq!((at.offset(), at.len()), (2, 3));
        assert!(problems("kubeadm join a:1 --node-name 'é' \"b\" -v5").is_empty());
        assert_eq!(without_mark("\u{feff}a"), "a");
    }
}
