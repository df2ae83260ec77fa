//! Removal of secrets from text: logs and configurations that others wrote.
//!
//! By shape (private keys in PEM, JSON Web Tokens, bootstrap tokens, credentials in URLs and after `Bearer` and `Basic`) and
//! by name (the value of `password:`, `client-key-data:`, `--token`, ...). What looks like a secret and is none goes, too.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Text in the place of a secret.
pub const MARK: &str = "[redacted]";

/// Endings of names whose values are secrets, in lower case, without `-` and `_`.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "clientkeydata",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "auth",
];

/// Kind of a removed secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretKind {
    /// Private key in PEM.
    PrivateKey,
    /// JSON Web Token (RFC 7519).
    JsonWebToken,
    /// Bootstrap token of Kubernetes.
    BootstrapToken,
    /// Credentials of a URL.
    UrlCredentials,
    /// Credentials after `Bearer` or `Basic` (RFC 6750, RFC 7617).
    HttpCredentials,
    /// Value of a name that says so.
    NamedValue,
}

impl SecretKind {
    /// Name for the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::PrivateKey => "private keys",
            Self::JsonWebToken => "JSON Web Tokens",
            Self::BootstrapToken => "bootstrap tokens",
            Self::UrlCredentials => "credentials in URLs",
            Self::HttpCredentials => "HTTP credentials",
            Self::NamedValue => "values of secret names",
        }
    }
}

/// Numbers of removed secrets, by kind.
pub type RedactionCounts = BTreeMap<SecretKind, u64>;

/// Removes secrets from a text.
pub fn redact(text: &str) -> (String, RedactionCounts) {
    let mut counts = RedactionCounts::new();
    let mut result = String::with_capacity(text.len());
    let mut in_key = false;
    for line in text.split_inclusive('\n') {
        let begins = line.contains("-----BEGIN ") && line.contains("PRIVATE KEY-----");
        let ends = line.contains("-----END ") && line.contains("PRIVATE KEY-----");
        if begins && !in_key {
            in_key = true;
            *counts.entry(SecretKind::PrivateKey).or_default() += 1;
            result += MARK;
            result.push('\n');
        }
        if !in_key {
            result += &redact_line(line, &mut counts);
        }
        in_key = in_key && !ends;
    }
    (result, counts)
}

fn redact_line<'l>(line: &'l str, counts: &mut RedactionCounts) -> Cow<'l, str> {
    let mut line = Cow::Borrowed(line);
    // Those by shape first: names before them have only the first word as their value.
    for pass in [
        url_credentials,
        bearer_credentials,
        basic_credentials,
        tokens,
        named_values,
    ] {
        if let Some(changed) = pass(&line, counts) {
            line = Cow::Owned(changed);
        }
    }
    line
}

/// Text with marks in some places.
struct Marked<'t> {
    text: &'t str,
    result: String,
    copied: usize,
}

impl<'t> Marked<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            result: String::new(),
            copied: 0,
        }
    }

    /// Replaces a range, which begins after the one before.
    fn replace(&mut self, start: usize, end: usize) {
        let before = self.text.get(self.copied..start);
        self.result += before.unwrap_or_default();
        self.result += MARK;
        self.copied = end;
    }

    /// Whole text; `None` when nothing was replaced.
    fn finish(mut self) -> Option<String> {
        if self.copied == 0 {
            return None;
        }
        self.result += self.text.get(self.copied..).unwrap_or_default();
        Some(self.result)
    }
}

fn count(counts: &mut RedactionCounts, kind: SecretKind) {
    *counts.entry(kind).or_default() += 1;
}

/// `scheme://user:password@host`.
fn url_credentials(line: &str, counts: &mut RedactionCounts) -> Option<String> {
    let mut marked = Marked::new(line);
    for (place, separator) in line.match_indices("://") {
        let start = place + separator.len();
        let rest = line.get(start..).unwrap_or_default();
        let authority = rest
            .split(|letter: char| letter.is_whitespace() || "/?#\"'`,<>".contains(letter))
            .next();
        let Some(at) = authority.and_then(|authority| authority.rfind('@')) else {
            continue;
        };
        if at > 0 && rest.get(..at) != Some(MARK) && start >= marked.copied {
            marked.replace(start, start + at);
            count(counts, SecretKind::UrlCredentials);
        }
    }
    marked.finish()
}

fn bearer_credentials(line: &str, counts: &mut RedactionCounts) -> Option<String> {
    http_credentials("bearer ", line, counts)
}

fn basic_credentials(line: &str, counts: &mut RedactionCounts) -> Option<String> {
    http_credentials("basic ", line, counts)
}

/// Word after a scheme of HTTP authentication, in quotes or not.
fn http_credentials(scheme: &str, line: &str, counts: &mut RedactionCounts) -> Option<String> {
    let lower = line.to_ascii_lowercase();
    let mut marked = Marked::new(line);
    for (place, _) in lower.match_indices(scheme) {
        let after = line.get(place + scheme.len()..).unwrap_or_default();
        let rest = after.trim_start_matches(['\\', '"', '\'']);
        let start = line.len() - rest.len();
        let length = rest
            .find(|letter: char| letter.is_whitespace() || "\\\"'`,;<>()[]".contains(letter))
            .unwrap_or(rest.len());
        // Shorter words are prose: "Basic system".
        if length >= 8 && start >= marked.copied {
            marked.replace(start, start + length);
            count(counts, SecretKind::HttpCredentials);
        }
    }
    marked.finish()
}

/// JSON Web Tokens and bootstrap tokens, as whole words.
fn tokens(line: &str, counts: &mut RedactionCounts) -> Option<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let mut marked = Marked::new(line);
    let mut start = None;
    let ends = line.char_indices().chain(std::iter::once((line.len(), '\n')));
    for (place, letter) in ends {
        if is_part(letter) {
            start.get_or_insert(place);
            continue;
        }
        let Some(from) = start.take() else { continue };
        let word = line.get(from..place).unwrap_or_default();
        let word = word.trim_end_matches('.');
        let kind = if is_json_web_token(word) {
            SecretKind::JsonWebToken
        } else if is_bootstrap_token(word) {
            SecretKind::BootstrapToken
        } else {
            continue;
        };
        marked.replace(from, from + word.len());
        count(counts, kind);
    }
    marked.finish()
}

/// Three parts in base64url, of which the first two are JSON objects.
fn is_json_web_token(word: &str) -> bool {
    word.starts_with("eyJ") && word.len() > 40 && word.matches('.').count() == 2 && word.contains(".eyJ")
}

/// Six and sixteen letters and digits with a point between them (kubernetes.io: Authenticating with Bootstrap Tokens).
fn is_bootstrap_token(word: &str) -> bool {
    let is_part = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
    };
    word.split_once('.')
        .is_some_and(|(id, secret)| is_part(id, 6) && is_part(secret, 16))
}

/// `name: value`, `name=value`, `"name": "value"`, `--name value`.
fn named_values(line: &str, counts: &mut RedactionCounts) -> Option<String> {
    let mut marked = Marked::new(line);
    for (place, separator) in line.char_indices() {
        if place < marked.copied || !matches!(separator, ':' | '=' | ' ') {
            continue;
        }
        let before = line.get(..place).unwrap_or_default();
        let Some(name) = name_at_end(before, separator) else {
            continue;
        };
        if !is_secret_name(name) {
            continue;
        }
        let Some((start, end)) = value(line, place + separator.len_utf8()) else {
            continue;
        };
        marked.replace(start, end);
        count(counts, SecretKind::NamedValue);
    }
    marked.finish()
}

/// Name that ends a text, with quotes after it if any. Before a space, only an option is one.
fn name_at_end(text: &str, separator: char) -> Option<&str> {
    let text = text.trim_end_matches(['"', '\'', '\\']);
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    let start = text.rfind(|letter: char| !is_part(letter)).map_or(0, |place| {
        place
            + text
                .get(place..)
                .and_then(|rest| rest.chars().next())
                .map_or(1, char::len_utf8)
    });
    let name = text.get(start..)?;
    (separator != ' ' || name.starts_with("--")).then_some(name)
}

fn is_secret_name(name: &str) -> bool {
    let plain: String = name.chars().filter(|letter| !"-_".contains(*letter)).collect();
    let plain = plain.to_ascii_lowercase();
    NAMES.iter().any(|secret| plain.ends_with(secret))
}

/// Start and end of the value that begins at a place or after spaces and quotes; `None` when there is none, or it is a mark.
fn value(line: &str, from: usize) -> Option<(usize, usize)> {
    let rest = line.get(from..)?.trim_start_matches([' ', '\t']);
    let inner = rest.trim_start_matches(['\\', '"', '\'', '`']);
    let opening = rest.get(..rest.len() - inner.len())?;
    let length = match opening.chars().next_back() {
        // Quotes that are escaped themselves end with another such one.
        Some(quote) if opening.starts_with('\\') => inner.find(&format!("\\{quote}")),
        Some(quote) => end_of_quoted(inner, quote),
        None => inner.find(|letter: char| letter.is_whitespace() || ",;&\"'`<>()[]{}".contains(letter)),
    };
    let length = length.unwrap_or_else(|| inner.trim_end_matches('\n').len());
    let start = line.len() - inner.len();
    (length > 0 && !inner.starts_with(MARK)).then_some((start, start + length))
}

/// Place of a quote that is not escaped.
fn end_of_quoted(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(place, letter)| {
        let is_end = letter == quote && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        is_end.then_some(place)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ";

    #[test]
    fn secrets_go_and_the_rest_stays() {
        for (text, expected) in [
            ("nothing here: 1.2.3", "nothing here: 1.2.3"),
            (
                "https://me:pw@host/x and http://a@b",
                "https://[redacted]@host/x and http://[redacted]@b",
            ),
            ("see https://host/@x", "see https://host/@x"),
            (
                "Authorization: Bearer abcdefghij",
                "Authorization: [redacted] [redacted]",
            ),
            ("header basic dXNlcjpwYXNz==, next", "header basic [redacted], next"),
            ("a Basic system", "a Basic system"),
            ("joined with abcdef.0123456789abcdef.", "joined with [redacted]."),
            ("file abcdef.0123456789abcde", "file abcdef.0123456789abcde"),
            ("password=x&y=1", "password=[redacted]&y=1"),
            (
                "{\"token\": \"a b\", \"n\": 1}",
                "{\"token\": \"[redacted]\", \"n\": 1}",
            ),
            (
                "{\\\"secretKey\\\":\\\"abc\\\"}",
                "{\\\"secretKey\\\":\\\"[redacted]\\\"}",
            ),
            (
                "basic dXNlcjpwYXNz and Bearer abcdefghijk",
                "basic [redacted] and Bearer [redacted]",
            ),
            ("x: Bearer \"abcdefghijk\"", "x: Bearer \"[redacted]\""),
            (
                r#"{"password": "a\"b", "c": 1}"#,
                r#"{"password": "[redacted]", "c": 1}"#,
            ),
            ("  client-key-data: LS0tLQ==", "  client-key-data: [redacted]"),
            (
                "kubeadm join --token abc --discovery",
                "kubeadm join --token [redacted] --discovery",
            ),
            ("API_KEY='x y' z", "API_KEY='[redacted]' z"),
            ("the token is gone", "the token is gone"),
            ("password:", "password:"),
            ("token expired; tokenTTL: 5", "token expired; tokenTTL: 5"),
        ] {
            assert_eq!(redact(text).0, expected);
        }
        assert_eq!(redact(&format!("got {JWT} from")).0, "got [redacted] from");
    }

    #[test]
    fn private_keys_go_whole() {
        let text = "before\n-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\nabc\n-----END EC PRIVATE KEY-----\nafter\n";
        let (redacted, counts) = redact(text);
        assert_eq!(redacted, "before\n[redacted]\nafter\n");
        assert_eq!(counts, RedactionCounts::from([(SecretKind::PrivateKey, 1)]));
        // One that does not end hides the rest; certificates stay.
        assert_eq!(redact("-----BEGIN PRIVATE KEY-----\nabc").0, "[redacted]\n");
        let certificate = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n";
        assert_eq!(redact(certificate).0, certificate);
    }

    fn secret() -> impl Strategy<Value = (String, String)> {
        prop_oneof![
            "[a-z0-9]{6}\\.[a-z0-9]{16}".prop_map(|token| (token.clone(), token)),
            "[A-Za-z0-9]{12,30}".prop_map(|word| (format!("Bearer {word}"), word)),
            "[A-Za-z0-9]{12,30}".prop_map(|word| (format!("\"password\": \"{word}\""), word)),
            "[A-Za-z0-9]{12,30}".prop_map(|word| (format!("https://user:{word}@host/"), word)),
            "[A-Za-z0-9]{12,30}".prop_map(|word| (format!("--registry-token={word}"), word)),
        ]
    }

    proptest! {
        #[test]
        fn planted_secrets_do_not_stay(before in "[ -~é]{0,30}", (text, secret) in secret(), after in "[ -~]{0,30}") {
            let whole = format!("{before}\n {text} {after}");
            prop_assert!(!redact(&whole).0.contains(&secret), "{whole}");
        }

        #[test]
        fn prose_stays(text in "[a-zé]{1,4}([ .,:=/-][a-zé0-9]{1,4}){0,20}\n") {
            prop_assume!(!text.contains("auth"));
            prop_assert_eq!(&redact(&text).0, &text);
        }

        #[test]
        fn anything_is_read(text in "([ -~\né]|token|: |=|Bearer |://|@|\"|-----BEGIN PRIVATE KEY-----){0,60}") {
            redact(&text);
        }
    }
}
