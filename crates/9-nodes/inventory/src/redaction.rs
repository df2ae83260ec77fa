//! Secrets, which are left out of an inventory: names and passwords in addresses, values of secrets, arguments of programs.

use serde_json::Value;

use crate::syntax::{is_name, words};

/// Length of a text that is kept at most, in characters.
const LONGEST: usize = 300;
/// Sign in place of a secret.
const HIDDEN: &str = "*";
/// Parts of names of settings that are secrets.
const SECRETS: [&str; 10] = [
    "pass",
    "pwd",
    "token",
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "private",
    "credential",
    "cookie",
];
/// Options of mounts whose values are no secrets.
const SHOWN_OPTIONS: [&str; 26] = [
    "vers",
    "nfsvers",
    "minorversion",
    "proto",
    "port",
    "mountport",
    "rsize",
    "wsize",
    "timeo",
    "retrans",
    "nconnect",
    "sec",
    "uid",
    "gid",
    "mode",
    "size",
    "data",
    "subvol",
    "compress",
    "commit",
    "errors",
    "x-systemd.requires",
    "x-systemd.after",
    "lookupcache",
    "actimeo",
    "pri",
];

/// Address without name and password, query and fragment; and whether it had a name.
///
/// A password may have any characters: everything up to the last `@` is taken for one.
pub(crate) fn address(text: &str) -> (String, bool) {
    let text = text.trim();
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let (has_name, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    (clipped(&format!("{scheme}{rest}")), has_name)
}

/// Text that is not too long.
pub(crate) fn clipped(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "...",
        None => text.to_owned(),
    }
}

/// Returns `true` for a name of a setting that is a secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // `imagePullCredentialsVerificationPolicy` is none.
    !name.ends_with("policy") && SECRETS.iter().any(|part| name.contains(part))
        || name.ends_with("key") && !name.starts_with("key")
}

/// Value of a setting: of secrets only what cannot be one (switches, paths, short numbers), of addresses no password.
pub(crate) fn value(name: &str, value: &str) -> String {
    let is_plain = value.is_empty()
        || matches!(value, "true" | "false" | "yes" | "no" | "on" | "off")
        || value.starts_with('/') && !value.contains("://")
        || value.len() <= 4 && value.bytes().all(|byte| byte.is_ascii_digit());
    if is_secret(name) && !is_plain {
        return HIDDEN.to_owned();
    }
    match value.contains("://") {
        true => address(value).0,
        false => clipped(value),
    }
}

/// Argument `name=value` or `--name=value`, without a secret.
pub(crate) fn argument(text: &str) -> String {
    match text.split_once('=') {
        Some((name, given)) => format!("{}={}", clipped(name), value(name, given)),
        None if text.contains("://") => address(text).0,
        None => clipped(text),
    }
}

/// Option of a mount: a value only where it is known for no secret.
pub(crate) fn mount_option(text: &str) -> String {
    match text.split_once('=') {
        Some((name, _)) if !SHOWN_OPTIONS.contains(&name) => clipped(name),
        _ => clipped(text),
    }
}

/// Program of a command line, without arguments; settings of variables before it are left out, and signs of systemd
/// (`-`, `@`, `+`). `None` where the first word can be something else than a program.
pub(crate) fn program(command: &str) -> Option<String> {
    let words = words(command).into_iter();
    let mut words = words.skip_while(|word| word.split_once('=').is_some_and(|(name, _)| is_name(name)));
    let word = words.next()?;
    let word = word.trim_start_matches(['-', '@', ':', '+', '!', '|']);
    let is_program = word
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || "/_.-+[]".contains(letter));
    (is_program && !word.is_empty() && word.len() <= 200).then(|| word.to_owned())
}

/// Configuration without values of secrets, and without passwords in addresses. Switches and numbers stay.
pub(crate) fn configuration(config: &Value) -> Value {
    match config {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(name, _)| name.as_str() != "staticPodURLHeader");
            let kept = fields.map(|(name, given)| {
                let kept = match given {
                    Value::String(text) => Value::String(value(name, text)),
                    Value::Array(list) if is_secret(name) && list.iter().any(Value::is_string) => {
                        Value::String(HIDDEN.to_owned())
                    }
                    other => configuration(other),
                };
                (name.clone(), kept)
            });
            Value::Object(kept.collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(configuration).collect()),
        Value::String(text) => Value::String(value("", text)),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_no_passwords() {
        for (text, kept, has_name) in [
            ("http://proxy:3128", "http://proxy:3128", false),
            ("http://me:p@ss/w?rd@proxy:3128/", "http://proxy:3128/", true),
            ("me:secret@proxy:3128", "proxy:3128", true),
            ("https://a/b?sig=abc#x", "https://a/b", false),
            ("//server/share", "//server/share", false),
        ] {
            assert_eq!(address(text), (kept.to_owned(), has_name));
        }
        assert_eq!(clipped(&"ü".repeat(1000)).chars().count(), LONGEST + 3);
    }

    #[test]
    fn secrets_have_no_values() {
        for (text, kept) in [
            ("--bootstrap-token=abcdef.0123456789abcdef", "--bootstrap-token=*"),
            (
                "--authentication-token-webhook=true",
                "--authentication-token-webhook=true",
            ),
            (
                "--image-credential-provider-config=/etc/x.yaml",
                "--image-credential-provider-config=/etc/x.yaml",
            ),
            ("rd.luks.key=abc", "rd.luks.key=*"),
            ("ds=nocloud-net;s=http://u:p@host/x?token=1", "ds=http://host/x"),
            ("quiet", "quiet"),
        ] {
            assert_eq!(argument(text).replace("ds=nocloud-net;s=", "ds="), kept);
        }
        assert_eq!(mount_option("password=x"), "password");
        assert_eq!(mount_option("vers=4.2"), "vers=4.2");
        assert_eq!(mount_option("ro"), "ro");
    }

    #[test]
    fn programs_have_no_arguments() {
        for (command, kept) in [
            ("-/usr/bin/backup --password x", Some("/usr/bin/backup")),
            ("AWS_SECRET=abc TOKEN='x' aws s3 sync", Some("aws")),
            ("curl -H 'Authorization: x' https://a", Some("curl")),
            ("https://user:pass@host/x", None),
            ("A=\"b c\" d", Some("d")),
            ("", None),
            ("[ -x /usr/bin/a ] && /usr/bin/a", Some("[")),
        ] {
            assert_eq!(program(command).as_deref(), kept, "{command}");
        }
    }

    #[test]
    fn configuration_keeps_what_is_no_secret() {
        let config = serde_json::json!({
            "maxPods": 110, "staticPodURLHeader": {"Authorization": ["x"]}, "authentication": {"webhook": {"enabled": true}},
            "tlsPrivateKeyFile": "/etc/key.pem", "someToken": "abc", "tokens": ["abc"], "list": ["http://a:b@c/"],
        });
        let kept = serde_json::json!({
            "maxPods": 110, "authentication": {"webhook": {"enabled": true}},
            "tlsPrivateKeyFile": "/etc/key.pem", "someToken": "*", "tokens": "*", "list": ["http://c/"],
        });
        assert_eq!(configuration(&config), kept);
    }
}
