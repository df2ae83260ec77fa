//! Secrets of join commands, by their places: a command that cannot be read has them, too.
//!
//! A bootstrap token is known by its form wherever it stands as a word ([`crate::redaction::redact`]). What follows a flag for a
//! secret, with a sign between them or without, is one in any form: whoever wrote it wrong has written most of it.

use std::ops::Range;

use basalt_document::spelling::closest;
use basalt_node_config::token::BootstrapToken;

/// Flags whose values are secrets.
const FLAGS: [&str; 4] = ["certificate-key", "discovery-token", "tls-bootstrap-token", "token"];
/// Hexadecimal digits of a key that encrypts certificates: `kubeadm certs certificate-key`.
const CERTIFICATE_KEY: usize = 64;
/// Characters of a bootstrap token.
const TOKEN: usize = 23;
/// Characters of a bootstrap token's secret, but for one that may be missing.
const NEARLY_A_SECRET: usize = 15;
/// Bytes of a value that is short enough to be a part of other words.
const SHORT: usize = 4;

/// Ranges of bytes of the secrets in a command.
pub(super) fn spans(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut is_value = false;
    let mut after = 0;
    for word in words(text) {
        // The rest of a value with spaces, in quotes.
        if word.start < after {
            continue;
        }
        let content = text.get(word.clone()).unwrap_or_default();
        // A backslash that joins two lines stands between a flag and its value.
        if is_value && content == "\\" {
            continue;
        }
        let value = match std::mem::take(&mut is_value) {
            true => Some(word.start),
            false => match flag(content) {
                Some(length) if length == content.len() => {
                    is_value = true;
                    None
                }
                Some(length) => Some(word.start + length),
                None => is_secret(content).then_some(word.start),
            },
        };
        if let Some(start) = value {
            after = end(text, start, word.end);
            let value = text.get(start..after).unwrap_or_default();
            let is_token = value.trim_matches(is_quote).parse::<BootstrapToken>().is_ok();
            found.push(match value.find('.').filter(|_| is_token) {
                // Of one that is whole, the id is shown.
                Some(dot) => start + dot + 1..start + value.trim_end_matches(is_quote).len(),
                None => start..after,
            });
        }
    }
    found
}

/// Secrets at these places, without their quotes. One that is short is left out.
pub(super) fn values<'t>(text: &'t str, spans: &[Range<usize>]) -> impl Iterator<Item = &'t str> {
    spans
        .iter()
        .filter_map(|span| Some(text.get(span.clone())?.trim_matches(is_quote)))
        .filter(|value| value.len() >= SHORT)
}

/// Ranges of bytes without white space.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    text.split_inclusive(char::is_whitespace).filter_map(move |part| {
        let start = at;
        at += part.len();
        let length = part.trim_end().len();
        (length > 0).then_some(start..start + length)
    })
}

/// Bytes of a word up to the value of a flag for a secret; all of them where the value is the next word.
fn flag(word: &str) -> Option<usize> {
    // Dashes in any form: a mail program may have changed them.
    let body = word.trim_start_matches(|sign: char| !sign.is_ascii_alphanumeric());
    if body.len() == word.len() {
        return None;
    }
    let (name, rest) = body.split_at_checked(body.find(['=', ':']).unwrap_or(body.len()))?;
    if is_other(name) {
        return None;
    }
    // `--tokenabcdef.0123`: a sign is missing.
    let glued = FLAGS.iter().find_map(|flag| body.strip_prefix(flag));
    let glued = glued.filter(|rest| rest.len() > SHORT && rest.starts_with(|sign: char| sign.is_ascii_alphanumeric()));
    if let Some(value) = glued {
        return Some(word.len() - value.len());
    }
    // The same after a name that no flag has: the form of a token is what is left to know it by.
    let end = body.len().checked_sub(TOKEN).and_then(|at| body.get(at..));
    if let Some(token) = end.filter(|end| end.parse::<BootstrapToken>().is_ok()) {
        return Some(word.len() - token.len());
    }
    closest(name, FLAGS.into_iter())?;
    let sign = rest.chars().next().map_or(0, char::len_utf8);
    Some(word.len() - rest.len() + sign)
}

/// Returns `true` for another flag of `kubeadm join`, whose value is no secret.
fn is_other(name: &str) -> bool {
    super::flags::is_known(name) && !FLAGS.contains(&name)
}

/// Returns `true` for a word that is a secret by its form, though not by that of a token.
fn is_secret(word: &str) -> bool {
    let word = word.trim_matches(is_quote);
    let is_key = word.len() == CERTIFICATE_KEY && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    // A token with a sign in it that neither tokens nor names of hosts have.
    let is_token = word.split_once('.').is_some_and(|(id, secret)| {
        let is_id = (5..=7).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_odd = |sign: char| !sign.is_ascii_alphanumeric() && !"-_.:/".contains(sign);
        is_id && secret.chars().count() >= NEARLY_A_SECRET && secret.contains(is_odd)
    });
    is_key || is_token
}

/// End of a value that begins at some byte: that of its word, or that of its quotes.
fn end(text: &str, start: usize, word_end: usize) -> usize {
    let value = text.get(start..).unwrap_or_default();
    let Some(quote) = value.chars().next().filter(|sign| matches!(sign, '"' | '\'')) else {
        return word_end;
    };
    let inner = value.get(quote.len_utf8()..).unwrap_or_default();
    // An open quote takes all that follows.
    inner.find(quote).map_or(text.len(), |length| {
        (start + length + 2 * quote.len_utf8()).max(word_end)
    })
}

fn is_quote(sign: char) -> bool {
    matches!(sign, '"' | '\'' | '\u{2018}'..='\u{201f}')
}

#[cfg(test)]
mod tests {
    use basalt_document::redaction::masked;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_of_flags_for_secrets_are_secrets_in_any_form() {
        for (text, expected) in [
            ("--certificate-key ab0 x", "--certificate-key *** x"),
            ("--certificate-key=ab0", "--certificate-key=***"),
            ("--token abc!def.1", "--token *********"),
            ("--token=abc", "--token=***"),
            ("--token: abc", "--token: ***"),
            ("--token \\\n\tabc x", "--token \\\n\t*** x"),
            ("--token 'a b' x", "--token ***** x"),
            ("--token 'a b", "--token ****"),
            ("--discovery-token \"a\"x y", "--discovery-token **** y"),
            ("\u{2013}token abc", "\u{2013}token ***"),
            ("\u{2014}tls-bootstrap-token=abc", "\u{2014}tls-bootstrap-token=***"),
            ("--tokenabcde", "--token*****"),
            ("--tokens abc", "--tokens ***"),
            ("--tokn abc", "--tokn ***"),
            ("--certificate_key abc", "--certificate_key ***"),
            ("--token abcdef.0123456789abcdef", "--token abcdef.****************"),
            (
                "--token='abcdef.0123456789abcdef' x",
                "--token='abcdef.****************' x",
            ),
            ("--token:abcdef.0123456789abcdef", "--token:abcdef.****************"),
            ("--tokenabcdef.0123456789abcdef", "--tokenabcdef.****************"),
            ("--tkoenabcdef.0123456789abcdef", "--tkoenabcdef.****************"),
            // Other flags, and words without a flag.
            (
                "--discovery-token-ca-cert-hash sha256:ab",
                "--discovery-token-ca-cert-hash sha256:ab",
            ),
            (
                "--discovery-token-unsafe-skip-ca-verification x",
                "--discovery-token-unsafe-skip-ca-verification x",
            ),
            ("kubeadm join token.example:6443", "kubeadm join token.example:6443"),
            ("abcdef.0123456789!bcdef", "***********************"),
            ("master.internal-domain.example", "master.internal-domain.example"),
        ] {
            assert_eq!(masked(text, &spans(text)), expected, "{text}");
        }
        let key = "0f".repeat(32);
        let text = format!("join {key} --x sha256:{key}");
        assert_eq!(values(&text, &spans(&text)).collect::<Vec<_>>(), [key.as_str()]);
    }

    proptest! {
        #[test]
        fn no_value_of_a_flag_is_left(
            dashes in "(--|-|\u{2013}|\u{2014})", flag in 0usize..4, sign in "[= ]", value in "[a-z0-9!]{8,24}", after in "( x| \\\\\n y|)",
        ) {
            let text = format!("kubeadm join a:1 {dashes}{}{sign}{value}{after}", FLAGS[flag]);
            let shown = masked(&text, &spans(&text));
            prop_assert!(!shown.contains(&value), "{}", shown);
            prop_assert_eq!(shown.len(), text.len());
        }

        #[test]
        fn nothing_panics(text in any::<String>(), more in "[-=a-z 'é\"\\\\:]{0,30}") {
            for text in [text.clone(), format!("--token{text}"), format!("--token {more}")] {
                let spans = spans(&text);
                prop_assert_eq!(masked(&text, &spans).len(), text.len());
                let _ = values(&text, &spans).count();
            }
        }
    }
}
