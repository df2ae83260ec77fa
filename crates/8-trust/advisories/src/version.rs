//! Versions, and which comes before which.

use std::cmp::Ordering;

use semver::Version;

/// Ordering of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Semantic versions (semver.org, section 11), as Go and crates have them; a `v` in front and missing parts are
    /// allowed, for databases are not strict.
    SemVer,
    /// Versions of any upstream, as rpm compares them: piece by piece, numbers as numbers. A release candidate comes
    /// before its release.
    Upstream,
}

/// Compares two versions; none when one of them is no version in that scheme.
pub fn compare(scheme: Scheme, one: &str, other: &str) -> Option<Ordering> {
    match scheme {
        Scheme::SemVer => Some(semantic(one)?.cmp_precedence(&semantic(other)?)),
        Scheme::Upstream => {
            let (one, other) = (upstream(one)?, upstream(other)?);
            let evr = |version: String| rpm_version::Evr::new(String::new(), version, String::new());
            Some(evr(one).cmp(&evr(other)))
        }
    }
}

/// A version without what stands before its first digit: `v1.2`, `go1.22`.
pub(crate) fn plain(version: &str) -> &str {
    let version = version.trim();
    ["v", "V", "go"]
        .iter()
        .find_map(|prefix| version.strip_prefix(prefix))
        .filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
        .unwrap_or(version)
}

fn semantic(text: &str) -> Option<Version> {
    let text = plain(text);
    if let Ok(version) = Version::parse(text) {
        return Some(version);
    }
    // Fewer parts than three, or zeros in front, which the standard does not allow and databases have.
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let mut parts = numbers.split('.').map(|part| part.parse::<u64>().ok());
    let mut next = || parts.next().unwrap_or(Some(0));
    let (major, minor, patch) = (next()?, next()?, next()?);
    if parts.next().is_some() {
        return None;
    }
    Version::parse(&format!("{major}.{minor}.{patch}{rest}")).ok()
}

fn upstream(text: &str) -> Option<String> {
    let text = plain(text);
    if !text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return None;
    }
    // To rpm, what follows a tilde comes before what has none.
    let candidates = [
        ("-rc", "~rc"),
        ("_rc", "~rc"),
        (".rc", "~rc"),
        ("-alpha", "~alpha"),
        ("-beta", "~beta"),
        ("-pre", "~pre"),
    ];
    let mut text = text.to_owned();
    for (mark, lower) in candidates {
        text = text.replace(mark, lower);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_scheme_has_its_order() {
        let ascending: [(Scheme, &[&str]); 2] = [
            (
                Scheme::SemVer,
                &[
                    "v0.0.0-20220622213112-05595931fe9d",
                    "0",
                    "0.0.1",
                    "1",
                    "1.2.3-alpha.2",
                    "1.2.3-alpha.10",
                    "1.2.3-rc.1",
                    "v1.2.3",
                    "1.10.0",
                    "2.0.0+incompatible",
                    "go10.1",
                ],
            ),
            (
                Scheme::Upstream,
                &[
                    "0", "1.2", "1.2a", "1.2.9", "1.2.10", "2.41", "2025c", "6.12-rc3", "6.12", "6.12.107", "20250419",
                ],
            ),
        ];
        for (scheme, versions) in ascending {
            // 2025c is a year: it is no part of this order.
            let versions: Vec<_> = versions.iter().filter(|version| **version != "2025c").collect();
            for pair in versions.windows(2) {
                assert_eq!(compare(scheme, pair[0], pair[1]), Some(Ordering::Less), "{pair:?}");
                assert_eq!(compare(scheme, pair[1], pair[0]), Some(Ordering::Greater), "{pair:?}");
            }
        }
        assert_eq!(compare(Scheme::Upstream, "2025c", "2026a"), Some(Ordering::Less));
        assert_eq!(compare(Scheme::SemVer, "1.2.3+a", "1.2.3+b"), Some(Ordering::Equal));
    }

    #[test]
    fn what_is_no_version_is_not_compared() {
        assert_eq!(compare(Scheme::SemVer, "1.2.3.4", "1.2.3"), None);
        assert_eq!(compare(Scheme::SemVer, "latest", "1"), None);
        assert_eq!(compare(Scheme::Upstream, "", "1"), None);
        assert_eq!(compare(Scheme::Upstream, "*", "1"), None);
    }

    proptest! {
        #[test]
        fn semantic_versions_are_ordered_by_their_numbers(one in any::<[u32; 3]>(), other in any::<[u32; 3]>()) {
            let text = |parts: [u32; 3]| format!("{}.{}.{}", parts[0], parts[1], parts[2]);
            prop_assert_eq!(compare(Scheme::SemVer, &text(one), &text(other)), Some(one.cmp(&other)));
            prop_assert_eq!(compare(Scheme::Upstream, &text(one), &text(other)), Some(one.cmp(&other)));
        }

        #[test]
        fn no_text_is_a_panic(one in ".{0,40}", other in "[0-9a-z.+~^-]{0,40}") {
            for scheme in [Scheme::SemVer, Scheme::Upstream] {
                let forwards = compare(scheme, &one, &other);
                prop_assert_eq!(forwards.map(Ordering::reverse), compare(scheme, &other, &one));
            }
        }
    }
}
