//! Names of images, in the grammar of the CNCF's `distribution/reference`, made complete as nodes do it: `nginx` is
//! `docker.io/library/nginx:latest`.
//!
//! By hand: the rules are few, and crates for it bring a client of registries with them.

use std::fmt;
use std::str::FromStr;

use crate::OciError;

/// Host of names without one.
const DEFAULT_HOST: &str = "docker.io";
/// Greatest length of host and path together, in bytes.
const LONGEST_NAME: usize = 255;
/// Greatest length of a tag, in bytes.
const LONGEST_TAG: usize = 128;

/// Complete name of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageReference {
    /// Host of the registry, with its port if there is one: `docker.io`.
    pub host: String,
    /// Path of the repository: `library/nginx`.
    pub path: String,
    /// Tag: `latest` unless given.
    pub tag: String,
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.host, self.path, self.tag)
    }
}

impl FromStr for ImageReference {
    type Err = OciError;

    fn from_str(text: &str) -> Result<Self, OciError> {
        parse(text).map_err(|reason| OciError::Reference {
            name: text.to_owned(),
            reason: reason.to_owned(),
        })
    }
}

fn parse(text: &str) -> Result<ImageReference, &'static str> {
    if text.contains('@') {
        return Err("it has a digest, which a tag has to stand for here");
    }
    let (name, tag) = match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (text, "latest"),
    };
    if !is_tag(tag) {
        return Err("its tag has another character than letters, digits, `_`, `.` and `-`, or is too long");
    }
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if is_host_like(host) => (host, path.to_owned()),
        _ => (DEFAULT_HOST, name.to_owned()),
    };
    let host = if host == "index.docker.io" { DEFAULT_HOST } else { host };
    let path = if host == DEFAULT_HOST && !path.contains('/') {
        format!("library/{path}")
    } else {
        path
    };
    if !is_host(host) {
        return Err("its host is none");
    }
    if !path.split('/').all(is_component) {
        return Err(
            "a part of its path is empty, or has other characters than lower-case letters, digits and \
                    separators (`.`, `_`, `-`) between them",
        );
    }
    if host.len() + 1 + path.len() > LONGEST_NAME {
        return Err("it is longer than 255 characters");
    }
    Ok(ImageReference {
        host: host.to_owned(),
        path,
        tag: tag.to_owned(),
    })
}

/// Checks whether the first part of a name is a host, and no part of the path.
fn is_host_like(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':']) || part.bytes().any(|letter| letter.is_ascii_uppercase())
}

/// Checks for a host of an image's name: a DNS name or an IPv4 address, with a port or without one.
pub fn is_host(text: &str) -> bool {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let is_label = |label: &str| {
        let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(is_letter)
    };
    name.split('.').all(is_label) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_tag(text: &str) -> bool {
    let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_';
    let first = text.bytes().next().is_some_and(is_letter);
    first
        && text.len() <= LONGEST_TAG
        && text
            .bytes()
            .all(|letter| is_letter(letter) || matches!(letter, b'.' | b'-'))
}

/// Checks a part of the path: lower-case letters and digits, with `.`, `_`, `__` or dashes between them.
fn is_component(text: &str) -> bool {
    let is_letter = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    let mut separators = bytes.split(|letter| is_letter(*letter));
    let is_separator =
        |run: &[u8]| matches!(run, b"" | b"." | b"_" | b"__") || run.iter().all(|letter| *letter == b'-');
    is_letter(*first) && is_letter(*last) && separators.all(is_separator)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_made_complete() {
        for (text, expected) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("me/app", "docker.io/me/app:latest"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"),
            ("index.docker.io/me/app:2", "docker.io/me/app:2"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:15000/a/b:c", "localhost:15000/a/b:c"),
            ("quay.io/a/b_c/d__e/f--g.h:x", "quay.io/a/b_c/d__e/f--g.h:x"),
            ("REGISTRY/app", "REGISTRY/app:latest"),
        ] {
            assert_eq!(text.parse::<ImageReference>().expect("a name").to_string(), expected);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let long = "a".repeat(250);
        for text in [
            "",
            "/a",
            "a/",
            "a//b",
            "a:",
            "a:b c",
            "A",
            "a/B",
            "-a",
            "a_",
            "a..b",
            "a___b",
            "a@sha256:abc",
            "a.b:x/c",
            "../etc",
            "--output=/x",
            "a b",
            "[::1]:5000/a",
            long.as_str(),
        ] {
            assert!(text.parse::<ImageReference>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_complete_name_stays_as_it_is(text in "[a-z0-9.:/_A-Z-]{0,40}") {
            if let Ok(reference) = text.parse::<ImageReference>() {
                prop_assert_eq!(reference.to_string().parse::<ImageReference>().expect("a name"), reference);
            }
        }
    }
}
