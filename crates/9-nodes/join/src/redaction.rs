//! Removal of the secrets of bootstrap tokens from text that is shown.

use std::sync::Arc;

use basalt_document::problem::{Problem, Problems};
use miette::NamedSource;

/// Characters of a token's id.
const ID: usize = 6;
/// Characters of a token's secret.
const SECRET: usize = 16;

/// Text with a `*` in place of each character of a bootstrap token's secret. Lengths and places stay the same.
///
/// Everything of the form `[a-z0-9]{6}.[a-z0-9]{16,}` counts as a token, in either case: an upper-case letter in a token
/// is a mistake of whoever wrote it, and the rest of it is a secret all the same.
pub fn redact(text: &str) -> String {
    let mut shown = text.as_bytes().to_vec();
    for (dot, _) in text.match_indices('.') {
        let before = shown
            .iter()
            .take(dot)
            .rev()
            .take_while(|byte| byte.is_ascii_alphanumeric());
        let id = before.count();
        let secret = shown
            .iter()
            .skip(dot + 1)
            .take_while(|byte| byte.is_ascii_alphanumeric());
        let secret = secret.count();
        // One character too few or too many is a token, too.
        if id.abs_diff(ID) <= 1 && secret + 1 >= SECRET {
            shown
                .iter_mut()
                .skip(dot + 1)
                .take(secret)
                .for_each(|byte| *byte = b'*');
        }
    }
    // Only ASCII was replaced, by ASCII.
    String::from_utf8(shown).unwrap_or_default()
}

/// Problems that show no secret of a token, neither in the text of the document nor in their words.
pub(crate) fn without_secrets(problems: &Problems) -> Problems {
    let text: Arc<str> = redact(problems.source().inner()).into();
    let source = NamedSource::new(problems.name(), text).with_language("yaml");
    let found = problems.iter().map(|problem| Problem {
        message: redact(&problem.message),
        help: problem.help.as_deref().map(redact),
        ..problem.clone()
    });
    Problems::new(source, found.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_go_and_ids_stay() {
        for (text, expected) in [
            ("abcdef.0123456789abcdef", "abcdef.****************"),
            ("--token=abcdef.0123456789abcdef x", "--token=abcdef.**************** x"),
            ("'ABCDEF.0123456789ABCDEF'", "'ABCDEF.****************'"),
            ("abcdef.0123456789abcde", "abcdef.***************"),
            ("abcdef.0123456789abcdefg", "abcdef.*****************"),
            ("api.example.com:6443", "api.example.com:6443"),
            ("é abcdef.0123456789abcdef é", "é abcdef.**************** é"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }

    proptest! {
        #[test]
        fn no_token_is_left(before in "[ \"'=:,]", id in "[a-z0-9]{6}", secret in "[a-z0-9]{16}", after in "[ \"',\n]") {
            let text = format!("{before}{id}.{secret}{after}");
            let shown = redact(&text);
            prop_assert!(!shown.contains(&secret));
            prop_assert_eq!(shown.len(), text.len());
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            prop_assert_eq!(redact(&text).len(), text.len());
        }
    }
}
