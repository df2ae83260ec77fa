//! Masks over the secrets of a text that is shown. Lengths and places stay the same: one `*` for each byte.
//!
//! [`redact`] finds secrets by their form, in any text: bootstrap tokens, private keys, passwords of URLs. Secrets that
//! only the type of a document knows are masked by their places ([`crate::secret`]).

use crate::document::Span;

/// Characters of a bootstrap token's id.
const ID: usize = 6;
/// Characters of a bootstrap token's secret.
const SECRET: usize = 16;
/// Ends of the words among which a URL stands, besides white space.
const SEPARATORS: &str = "\"'`<>";

/// Text in which secrets that are known by their form are masked: those of bootstrap tokens, private keys in PEM, and
/// passwords before the `@` of a URL.
///
/// Everything of the form `[a-z0-9]{6}.[a-z0-9]{16,}` counts as a token, in either case: an upper-case letter in a token
/// is a mistake of whoever wrote it, and the rest of it is a secret all the same. Keys in camel case are none.
pub fn redact(text: &str) -> String {
    let mut mask = Mask::new(text);
    mask.tokens();
    mask.private_keys();
    mask.passwords_of_urls();
    mask.finish()
}

/// Text in which these ranges of bytes are masked, but for line breaks and the indentation of their lines.
pub fn masked(text: &str, spans: &[Span]) -> String {
    let mut mask = Mask::new(text);
    for span in spans {
        mask.block(span.clone());
    }
    mask.finish()
}

/// Text of which the structure is shown and the keys that a document may have, and nothing else: that of a document that
/// cannot be read, where nobody knows which words are secrets.
pub(crate) fn outline(text: &str, is_key: impl Fn(&str) -> bool) -> String {
    let mut mask = Mask::new(text);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        for word in words(line) {
            let shown = line.get(word.clone()).is_some_and(&is_key) && line.get(word.end..).is_some_and(ends_a_key);
            if !shown {
                mask.cover(start + word.start..start + word.end);
            }
        }
        start += line.len();
    }
    mask.finish()
}

/// Returns `true` for what follows a key.
fn ends_a_key(rest: &str) -> bool {
    rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':')
}

/// Ranges of a line that are neither white space nor structure of YAML.
fn words(line: &str) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    let is_marker = |character: char| character == '-' || character.is_whitespace();
    let content = line.len() - line.trim_start_matches(is_marker).len();
    for (at, character) in line.char_indices().skip_while(|(at, _)| *at < content) {
        if character.is_whitespace() || "{}[]:,\"'#|>&*!%@`?".contains(character) {
            continue;
        }
        let end = at + character.len_utf8();
        match found.last_mut() {
            Some(last) if last.end == at => last.end = end,
            _ => found.push(at..end),
        }
    }
    found
}

/// Bytes of a text, of which some are masked. Whole characters are: what is left is UTF-8.
struct Mask<'t> {
    text: &'t str,
    shown: Vec<u8>,
}

impl<'t> Mask<'t> {
    fn new(text: &'t str) -> Self {
        let shown = text.as_bytes().to_vec();
        Self { text, shown }
    }

    fn finish(self) -> String {
        String::from_utf8(self.shown).unwrap_or_default()
    }

    /// Masks a range, but for its line breaks.
    fn cover(&mut self, span: Span) {
        let range = self.text.floor_char_boundary(span.start)..self.text.ceil_char_boundary(span.end);
        let bytes = self.shown.get_mut(range).into_iter().flatten();
        bytes
            .filter(|byte| !matches!(byte, b'\n' | b'\r'))
            .for_each(|byte| *byte = b'*');
    }

    /// Masks a range, but for line breaks, and white space before and after what is in a line.
    fn block(&mut self, span: Span) {
        let start = self.text.floor_char_boundary(span.start);
        let Some(inside) = self.text.get(start..self.text.ceil_char_boundary(span.end)) else {
            return;
        };
        let mut at = start;
        for line in inside.split_inclusive('\n') {
            let content = line.trim();
            let from = at + (line.len() - line.trim_start().len());
            self.cover(from..from + content.len());
            at += line.len();
        }
    }

    fn tokens(&mut self) {
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric();
        for (dot, _) in self.text.match_indices('.') {
            let bytes = self.text.as_bytes();
            let id = bytes.iter().take(dot).rev().take_while(is_part).count();
            let secret = bytes.iter().skip(dot + 1).take_while(is_part).count();
            let is_key = self.text.get(dot + 1..dot + 1 + secret).is_some_and(is_camel_case);
            // One character too few or too many is a token, too.
            if id.abs_diff(ID) <= 1 && secret + 1 >= SECRET && !is_key {
                self.cover(dot + 1..dot + 1 + secret);
            }
        }
    }

    fn private_keys(&mut self) {
        const BEGIN: &str = "PRIVATE KEY-----";
        let text = self.text;
        let mut from = 0;
        while let Some(found) = text.get(from..).and_then(|rest| rest.find(BEGIN)) {
            let start = from + found + BEGIN.len();
            let rest = text.get(start..).unwrap_or_default();
            let length = rest.find("-----END").unwrap_or(rest.len());
            self.block(start..start + length);
            // What ends a key has the words that begin one.
            let after = rest.get(length..).unwrap_or_default();
            from = start + length + after.find(BEGIN).map_or(after.len(), |end| end + BEGIN.len());
        }
    }

    fn passwords_of_urls(&mut self) {
        let text = self.text;
        let ends = |character: char| character.is_whitespace() || SEPARATORS.contains(character);
        let mut at = 0;
        for word in text.split(ends) {
            if let Some(span) = password(word) {
                self.cover(at + span.start..at + span.end);
            }
            // The separator may have more than one byte.
            let end = at + word.len();
            at = end
                + text
                    .get(end..)
                    .and_then(|rest| rest.chars().next())
                    .map_or(0, char::len_utf8);
        }
    }
}

/// Returns `true` for a key such as `shutdownGracePeriod`: letters of both cases, of which the first is a small one. Of a
/// token, the characters are small letters and digits; who wrote one wrong has digits in it, or capitals throughout.
fn is_camel_case(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_lowercase())
        && word.bytes().all(|byte| byte.is_ascii_alphabetic())
        && word.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Range of the credentials in a URL; of the password, where it has no scheme. Digests of images follow an `@`, too.
fn password(word: &str) -> Option<Span> {
    let end = word.rfind('@')?;
    let after = word.get(end + 1..)?;
    if after.starts_with("sha256:") || after.starts_with("sha512:") {
        return None;
    }
    let before = word.get(..end)?;
    let start = match before.find("://") {
        Some(scheme) => scheme + 3,
        None => before.find(':')? + 1,
    };
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_of_tokens_go_and_ids_stay() {
        for (text, expected) in [
            ("abcdef.0123456789abcdef", "abcdef.****************"),
            ("--token=abcdef.0123456789abcdef x", "--token=abcdef.**************** x"),
            ("'ABCDEF.0123456789ABCDEF'", "'ABCDEF.****************'"),
            ("abcdef.0123456789abcde", "abcdef.***************"),
            ("abcdef.0123456789abcdefg", "abcdef.*****************"),
            ("abcdef.ABCDEFGHIJKLMNOP", "abcdef.****************"),
            ("abcdef.Abcdefghijklmnop", "abcdef.****************"),
            ("abcdef.abcdeFGHIJKLMNO1", "abcdef.****************"),
            ("abcdef.abcdefghijklmnop", "abcdef.****************"),
            ("api.example.com:6443", "api.example.com:6443"),
            // Keys of a NodeConfig are no tokens.
            ("`kubelet.maxParallelImagePulls`", "`kubelet.maxParallelImagePulls`"),
            (
                "kubelet.imageGCHighThresholdPercent",
                "kubelet.imageGCHighThresholdPercent",
            ),
            ("`kubelet.containerLogMaxFiles`", "`kubelet.containerLogMaxFiles`"),
            ("kubelex.0123456789abcdef", "kubelex.****************"),
            ("é abcdef.0123456789abcdef é", "é abcdef.**************** é"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }

    #[test]
    fn private_keys_go() {
        for (text, expected) in [
            (
                "-----BEGIN EC PRIVATE KEY-----\n  AAAA\n-----END EC PRIVATE KEY-----\nb",
                "-----BEGIN EC PRIVATE KEY-----\n  ****\n-----END EC PRIVATE KEY-----\nb",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\nBB",
                "-----BEGIN PRIVATE KEY-----\n****\n**",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            ),
        ] {
            assert_eq!(redact(text), expected);
        }
    }

    #[test]
    fn passwords_of_urls_go() {
        for (text, expected) in [
            ("`https://u:p,w@m.example/v2` is", "`https://*****@m.example/v2` is"),
            ("write `https://token@host`", "write `https://*****@host`"),
            ("u:secret@m.example", "u:******@m.example"),
            ("{http: 'http://u:é@p:1'}", "{http: 'http://****@p:1'}"),
            ("r.example:5000/b@sha256:0123", "r.example:5000/b@sha256:0123"),
            ("systemd-fsck@dev.service", "systemd-fsck@dev.service"),
            ("https://host/path", "https://host/path"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }

    #[test]
    fn an_outline_has_keys_and_structure() {
        let text = "auth: { username: a, password: \"hunter2: x\" }\n- hidden: b\n\tpassword: |\n  secret-part é\n";
        let shown = outline(text, |word| ["auth", "username", "password"].contains(&word));
        assert_eq!(
            shown,
            "auth: { username: *, password: \"*******: *\" }\n- ******: *\n\tpassword: |\n  *********** **\n"
        );
    }

    #[test]
    fn blocks_keep_their_indentation() {
        assert_eq!(
            masked("a: |\n  one two\n\n   é\nb: c", std::slice::from_ref(&(3..22))),
            "a: *\n  *******\n\n   **\nb: c"
        );
        assert_eq!(masked("ab", std::slice::from_ref(&(1..9))), "a*");
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
        fn nothing_panics(text in any::<String>(), start in 0usize..40, end in 0usize..40) {
            prop_assert_eq!(redact(&text).len(), text.len());
            prop_assert_eq!(outline(&text, |_| false).len(), text.len());
            let span = Span { start, end };
            prop_assert_eq!(masked(&text, std::slice::from_ref(&span)).len(), text.len());
        }
    }
}
