//! Texts of an inventory, as they may reach a terminal and a file: on one line, without control characters, and without what is a
//! secret by its form, wherever it stands.
//!
//! Readers keep what is known to be public ([`crate::redaction`]). This is for what they take for names and addresses, and for
//! inventories that somebody else has written.

use serde_json::Value;

use crate::redaction::{HIDDEN, hides, is_secret, is_secret_word, is_switch};

/// Length of a text that is kept at most, in characters: a longer one can be neither an argument nor a variable of a program.
const LONGEST: usize = 128 << 10;

/// Texts of a document, cleaned; cleaning again changes nothing.
pub(crate) fn clean(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(cleaned(&text)),
        Value::Array(list) => Value::Array(list.into_iter().map(clean).collect()),
        Value::Object(fields) => {
            let fields = fields.into_iter();
            Value::Object(fields.map(|(name, value)| (cleaned(&name), clean(value))).collect())
        }
        other => other,
    }
}

/// Text, cleaned.
pub(crate) fn cleaned(text: &str) -> String {
    scrubbed(&clipped(&one_line(text)))
}

/// Text that is not too long for a value.
fn clipped(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "...",
        None => text.to_owned(),
    }
}

/// Text on one line, without characters that a terminal or a reader of YAML acts on.
pub(crate) fn one_line(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => kept.push_str("\\n"),
            '\t' | '\r' => kept.push(' '),
            _ if is_shown(letter) => kept.push(letter),
            _ => kept.push(char::REPLACEMENT_CHARACTER),
        }
    }
    kept
}

/// Returns `false` for characters that a terminal does not show as such: control characters, separators of lines, and signs that
/// have no width or turn the direction of writing, which hide or move other letters.
pub fn is_shown(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Text without names and passwords in addresses, and without values of settings that are called after secrets.
fn scrubbed(text: &str) -> String {
    let mut before = words_scrubbed(text);
    // What is cut may have stood before the name of a setting. Each turn makes the text shorter or hides a word.
    loop {
        let after = words_scrubbed(&before);
        if after == before {
            return after;
        }
        before = after;
    }
}

fn words_scrubbed(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut is_announced = false;
    for piece in text.split_inclusive(is_between_words) {
        let word = piece.strip_suffix(is_between_words).unwrap_or(piece);
        let end = piece.strip_prefix(word).unwrap_or_default();
        if !word.is_empty() {
            let is_hidden = is_announced && !word.starts_with('-') && !is_switch(word);
            match is_hidden {
                true => kept.push_str(HIDDEN),
                false => kept.push_str(&word_scrubbed(word)),
            }
            is_announced = announces(word);
        }
        kept.push_str(end);
    }
    kept
}

fn is_between_words(letter: char) -> bool {
    letter.is_whitespace() || ",;\"'|&(){}<>`".contains(letter)
}

/// Returns `true` for a word behind which a secret stands: `--token`, `password:`, `Bearer`.
fn announces(word: &str) -> bool {
    let flag = word.strip_prefix('-').filter(|_| !word.contains('='));
    let named = flag.map(|flag| flag.trim_start_matches('-')).or(word.strip_suffix(':'));
    named.is_some_and(is_secret) || ["bearer", "basic"].iter().any(|kind| word.eq_ignore_ascii_case(kind))
}

/// Word without a secret: of `name=value` the value, of an address the name and the password.
fn word_scrubbed(word: &str) -> String {
    let mut kept = String::new();
    let mut rest = word;
    while let Some((name, given)) = rest.split_once('=')
        && !name.contains([':', '@'])
    {
        kept.push_str(name);
        kept.push('=');
        if hides(name, given) {
            return kept + HIDDEN;
        }
        rest = given;
    }
    kept + &without_user(rest)
}

/// Address without name, password, query and fragment. The digest of an image stays.
fn without_user(text: &str) -> String {
    let (text, digest) = match text.rsplit_once('@') {
        Some((before, after)) if is_digest(after) => (before, after),
        _ => (text, ""),
    };
    let after_user = |text: &str| text.rsplit_once('@').map_or(text, |(_, after)| after).to_owned();
    let kept = match text.split_once("://") {
        Some((scheme, rest)) => {
            let rest = after_user(rest);
            let rest = rest.split(['?', '#']).next().unwrap_or_default();
            format!("{}://{rest}", after_user(scheme))
        }
        None => match text.rsplit_once('@') {
            Some((before, after)) if before.contains(':') => {
                let start = if before.starts_with("//") { "//" } else { "" };
                format!("{start}{after}")
            }
            _ => text.to_owned(),
        },
    };
    let kept = match kept.split_once(':') {
        Some((name, given)) if is_secret_word(name) && !given.is_empty() && !given.starts_with("//") => {
            format!("{name}:{HIDDEN}")
        }
        _ => kept,
    };
    match digest.is_empty() {
        true => kept,
        false => format!("{kept}@{digest}"),
    }
}

/// Returns `true` for a digest as names of images have it.
fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").or(text.strip_prefix("sha512:"));
    digits.is_some_and(|digits| digits.len() >= 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_on_one_line() {
        for (text, kept) in [
            ("certs.d/x\nsysctls:\n  a: 1", "certs.d/x\\nsysctls:\\n  a: 1"),
            ("\u{1b}]0;title\u{7} red", "\u{fffd}]0;title\u{fffd} red"),
            ("4096\t87380", "4096 87380"),
            ("a\u{2028}b\u{202e}c\u{85}d", "a\u{fffd}b\u{fffd}c\u{fffd}d"),
            ("a\u{2060}b\u{206a}c\u{206f}d", "a\u{fffd}b\u{fffd}c\u{fffd}d"),
        ] {
            assert_eq!(cleaned(text), kept);
        }
    }

    #[test]
    fn texts_are_as_long_as_values_may_be() {
        assert_eq!(cleaned(&"ü".repeat(LONGEST + 700)).chars().count(), LONGEST + 3);
        assert_eq!(cleaned(&"ü".repeat(LONGEST)).chars().count(), LONGEST);
    }

    #[test]
    fn secrets_are_found_by_their_form() {
        let image = format!("u:x@registry.example/pause@sha256:{}", "0".repeat(64));
        for (text, kept) in [
            ("u:x@r/p", "r/p"),
            ("//u:x@nas/s", "//nas/s"),
            ("localhost,http://u:x@h/,.svc", "localhost,http://h/,.svc"),
            ("https://u:p=x@h/a?sig=x#x", "https://h/a"),
            ("a=b,token=x,c=d", "a=b,token=*,c=d"),
            ("worker-1 password=x", "worker-1 password=*"),
            ("/mnt/pw=x", "/mnt/pw=*"),
            ("ntp.example --token x iburst", "ntp.example --token * iburst"),
            ("Authorization: Basic x", "Authorization: * *"),
            ("password:x", "password:*"),
            ("a:b@password=x", "password=*"),
            (image.as_str(), image.get(4..).expect("longer")),
            ("getty@tty1.service", "getty@tty1.service"),
            ("registry.example/secrets-store:v1", "registry.example/secrets-store:v1"),
            ("tls-private-key-file=/etc/key.pem", "tls-private-key-file=/etc/key.pem"),
            (
                "CN=system:node:worker-1,O=system:nodes",
                "CN=system:node:worker-1,O=system:nodes",
            ),
            ("authentication-token-webhook=true", "authentication-token-webhook=true"),
        ] {
            assert_eq!(cleaned(text), kept, "{text}");
        }
    }

    proptest! {
        #[test]
        fn cleaning_again_changes_nothing(text in "(\\PC|[:@=/ \n]|password|--token|://){0,40}") {
            let once = cleaned(&text);
            prop_assert_eq!(cleaned(&once), once);
        }
    }
}
