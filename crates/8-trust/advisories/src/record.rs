//! A record of the OSV schema (ossf.github.io/osv-schema, up to 1.7): as written, and what is kept of it.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::severity::{Level, Severity, worst};

/// Length of an id in bytes, at most; a record with a longer one is rejected.
const LONGEST_ID: usize = 128;
/// Length of a summary in characters; the rest is cut off.
const LONGEST_SUMMARY: usize = 200;
/// The ecosystem of what is known by its repository only.
pub(crate) const GIT: &str = "GIT";

/// Parsed OSV record, reduced to the fields that an audit needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OsvRecord {
    /// Id in the database: `GO-2026-1234`.
    pub id: String,
    /// Time of the last modification, in RFC 3339; of two records with one id, the later one is kept.
    pub modified: String,
    /// `true` if the record has been withdrawn.
    pub withdrawn: bool,
    /// Ids of the same vulnerability elsewhere, and of those upstream that it is about: `CVE-2026-1234`.
    pub aliases: Vec<String>,
    /// Summary in one line.
    pub summary: String,
    /// Severity for all affected packages, if the record has one.
    pub severity: Option<Severity>,
    /// Affected packages.
    pub affected: Vec<Affected>,
}

/// Versions of one package that are affected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Affected {
    /// The ecosystem, without a release of a distribution: `Go`, `crates.io`, `Linux`; `GIT` for a repository.
    pub ecosystem: String,
    /// The name in it; of a repository, its address without scheme and `.git`.
    pub name: String,
    /// Severity for this package, if the record has one.
    pub severity: Option<Severity>,
    /// Ranges of versions.
    pub ranges: Vec<Range>,
    /// Affected versions, listed one by one; of a repository, its tags.
    pub versions: Vec<String>,
    /// `true` if there are ranges of Git commits, which cannot be evaluated without the repository.
    pub commits: bool,
}

/// A range of versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// `true` if the range is of type `SEMVER`: versions are compared as semantic ones in every ecosystem, as far as
    /// they are.
    pub semantic: bool,
    /// Events, in the order of the record.
    pub events: Vec<RangeEvent>,
}

/// Event of a range, with the version in which it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RangeEvent {
    /// The vulnerability came. `0` is before all versions.
    Introduced(String),
    /// The vulnerability was fixed in this version.
    Fixed(String),
    /// The last version that has it, as far as is known.
    LastAffected(String),
    /// Upper limit of the range; later versions are not evaluated. `*` is after all versions.
    Limit(String),
}

#[derive(Deserialize)]
struct RawRecord {
    id: String,
    #[serde(default)]
    modified: Option<String>,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default, deserialize_with = "list")]
    aliases: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    upstream: Vec<String>,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default, deserialize_with = "list")]
    severity: Vec<RawSeverity>,
    #[serde(default, deserialize_with = "list")]
    affected: Vec<RawAffected>,
    #[serde(default)]
    database_specific: Option<Value>,
}

#[derive(Deserialize)]
struct RawSeverity {
    #[serde(rename = "type")]
    kind: String,
    score: String,
}

#[derive(Deserialize)]
struct RawAffected {
    #[serde(default)]
    package: Option<RawPackage>,
    #[serde(default, deserialize_with = "list")]
    severity: Vec<RawSeverity>,
    #[serde(default, deserialize_with = "list")]
    ranges: Vec<RawRange>,
    #[serde(default, deserialize_with = "list")]
    versions: Vec<String>,
    #[serde(default)]
    database_specific: Option<Value>,
}

#[derive(Deserialize)]
struct RawPackage {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct RawRange {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    repo: Option<String>,
    #[serde(default, deserialize_with = "list")]
    events: Vec<RawEvent>,
}

#[derive(Deserialize)]
struct RawEvent {
    #[serde(default)]
    introduced: Option<String>,
    #[serde(default)]
    fixed: Option<String>,
    #[serde(default)]
    last_affected: Option<String>,
    #[serde(default)]
    limit: Option<String>,
}

/// Deserializes a list, and `null`, which some databases write for an empty one.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a record.
///
/// # Errors
/// In words, when it is not JSON, or no record.
pub fn parse_record(bytes: &[u8]) -> Result<OsvRecord, String> {
    let raw: RawRecord = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let id = clean(&raw.id, LONGEST_ID + 1);
    if id.is_empty() || id.len() > LONGEST_ID {
        return Err("its id is empty or too long".to_owned());
    }
    let mut aliases: Vec<String> = raw
        .aliases
        .iter()
        .chain(&raw.upstream)
        .map(|alias| clean(alias, LONGEST_ID))
        .filter(|alias| !alias.is_empty() && *alias != id)
        .collect();
    aliases.sort();
    aliases.dedup();
    Ok(OsvRecord {
        id,
        modified: clean(raw.modified.as_deref().unwrap_or_default(), LONGEST_ID),
        withdrawn: raw.withdrawn.is_some_and(|when| !when.is_empty()),
        aliases,
        summary: clean(raw.summary.as_deref().unwrap_or_default(), LONGEST_SUMMARY),
        severity: severity(&raw.severity, raw.database_specific.as_ref()),
        affected: raw.affected.into_iter().flat_map(affected).collect(),
    })
}

fn severity(raw: &[RawSeverity], specific: Option<&Value>) -> Option<Severity> {
    let stated = raw.iter().filter_map(|raw| Severity::read(&raw.kind, &raw.score));
    worst(stated).or_else(|| {
        let word = specific?.get("severity")?.as_str()?;
        word.parse::<Level>().ok().map(Severity::of)
    })
}

/// Returns the affected packages of one `affected` entry: its package, and the repositories of its Git ranges.
fn affected(raw: RawAffected) -> Vec<Affected> {
    let severity = severity(&raw.severity, raw.database_specific.as_ref());
    let commits = raw.ranges.iter().any(|range| range.kind == GIT);
    let mut repositories: Vec<String> = raw
        .ranges
        .iter()
        .filter(|range| range.kind == GIT)
        .filter_map(|range| range.repo.as_deref().map(repository))
        .collect();
    repositories.sort();
    repositories.dedup();
    let ranges: Vec<Range> = raw
        .ranges
        .into_iter()
        .filter(|range| range.kind != GIT)
        .map(|range| Range {
            semantic: range.kind == "SEMVER",
            events: range.events.into_iter().flat_map(events).collect(),
        })
        .collect();
    let versions: Vec<String> = raw.versions.iter().map(|version| clean(version, LONGEST_ID)).collect();
    let of = |ecosystem: &str, name: String, ranges: Vec<Range>| Affected {
        ecosystem: ecosystem.to_owned(),
        name,
        severity,
        ranges,
        versions: versions.clone(),
        commits,
    };
    let package = raw.package.map(|package| {
        let ecosystem = package.ecosystem.split(':').next().unwrap_or_default();
        of(&clean(ecosystem, LONGEST_ID), clean(&package.name, 512), ranges)
    });
    let repositories = repositories.into_iter().map(|name| of(GIT, name, Vec::new()));
    package.into_iter().chain(repositories).collect()
}

/// An event says one thing; where one says two, both are meant.
fn events(raw: RawEvent) -> Vec<RangeEvent> {
    let version = |text: String| clean(&text, LONGEST_ID);
    [
        raw.introduced.map(|text| RangeEvent::Introduced(version(text))),
        raw.fixed.map(|text| RangeEvent::Fixed(version(text))),
        raw.last_affected.map(|text| RangeEvent::LastAffected(version(text))),
        raw.limit.map(|text| RangeEvent::Limit(version(text))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The address of a repository in one form: `github.com/openssl/openssl`.
pub(crate) fn repository(address: &str) -> String {
    let address = clean(address, 512).to_lowercase();
    let rest = address.split_once("://").map_or(address.as_str(), |(_, rest)| rest);
    let rest = rest.strip_prefix("git@").unwrap_or(rest).trim_end_matches('/');
    rest.strip_suffix(".git")
        .unwrap_or(rest)
        .trim_end_matches('/')
        .to_owned()
}

/// Text that may be shown: in one line, without control characters (a terminal would obey them), not too long.
pub(crate) fn clean(text: &str, longest: usize) -> String {
    let shown = text
        .chars()
        .map(|letter| if letter.is_whitespace() { ' ' } else { letter });
    let shown = shown.filter(|letter| !letter.is_control() && !is_direction(*letter));
    shown.take(longest).collect::<String>().trim().to_owned()
}

/// Characters that turn the direction of writing, so that one reads something else than stands there.
fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{
        "schema_version": "1.7.4", "id": "GO-2026-0001", "modified": "2026-02-03T04:05:06Z",
        "aliases": ["CVE-2026-1111", "GHSA-aaaa-bbbb-cccc"], "upstream": null, "summary": "A\u001b[31mred\nline",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [
            {"package": {"ecosystem": "Go", "name": "example.org/m", "purl": "pkg:golang/example.org/m"},
             "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.2.3"}]}],
             "ecosystem_specific": {"imports": [{"path": "example.org/m/p"}]}},
            {"ranges": [{"type": "GIT", "repo": "https://GitHub.com/o/R.git", "events": [{"introduced": "0"}]}],
             "versions": ["v1", "v2"], "database_specific": {"severity": "LOW"}}],
        "references": [{"type": "WEB", "url": "https://example.org"}], "database_specific": {"x": [1, 2]}
    }"#;

    #[test]
    fn a_record_is_understood() {
        let advisory = parse_record(RECORD.as_bytes()).expect("a record");
        assert_eq!(advisory.aliases, ["CVE-2026-1111", "GHSA-aaaa-bbbb-cccc"]);
        assert_eq!(advisory.summary, "A[31mred line");
        assert_eq!(advisory.severity.map(|severity| severity.level), Some(Level::Critical));
        let [module, repository] = advisory.affected.as_slice() else {
            panic!("{advisory:?}");
        };
        assert_eq!((module.ecosystem.as_str(), module.commits), ("Go", false));
        assert_eq!(
            module.ranges[0].events,
            [RangeEvent::Introduced("0".into()), RangeEvent::Fixed("1.2.3".into())]
        );
        assert_eq!(repository.name, "github.com/o/r");
        assert_eq!((repository.versions.len(), repository.commits), (2, true));
        assert_eq!(repository.severity.map(|severity| severity.level), Some(Level::Low));
    }

    #[test]
    fn a_release_of_a_distribution_is_no_ecosystem_of_its_own() {
        let text = r#"{"id": "X-1", "affected": [{"package": {"ecosystem": "Debian:12", "name": "zlib"}}]}"#;
        assert_eq!(
            parse_record(text.as_bytes()).expect("a record").affected[0].ecosystem,
            "Debian"
        );
    }

    #[test]
    fn hostile_records_are_refused_in_words() {
        let deep = format!(r#"{{"id": "X-1", "affected": {}"#, "[".repeat(100_000));
        let deep_elsewhere = format!(r#"{{"id": "X-1", "database_specific": {}"#, r#"{"a":"#.repeat(100_000));
        let long = format!(r#"{{"id": "{}"}}"#, "X".repeat(1_000_000));
        for (text, why) in [
            ("", "EOF"),
            ("{", "EOF"),
            (RECORD.split_at(RECORD.len() / 2).0, "EOF"),
            ("[]", "invalid"),
            ("{}", "missing field `id`"),
            (r#"{"id": 7}"#, "invalid type"),
            (r#"{"id": ""}"#, "id is empty"),
            (r#"{"id": "\u0000\u001b"}"#, "id is empty"),
            (r#"{"id": "X-1", "affected": {}}"#, "invalid type"),
            (r#"{"id": "X-1", "affected": [{"versions": [1]}]}"#, "invalid type"),
            (
                r#"{"id": "X-1", "affected": [{"ranges": [{"events": []}]}]}"#,
                "missing field `type`",
            ),
            (deep.as_str(), "invalid type"),
            (deep_elsewhere.as_str(), "recursion limit"),
            (long.as_str(), "too long"),
        ] {
            let error = parse_record(text.as_bytes()).expect_err(&format!("{text:.60}"));
            assert!(error.contains(why), "{error}: {text:.60}");
        }
        assert!(parse_record(b"{\"id\": \"\xff\"}").is_err());
    }

    proptest::proptest! {
        #[test]
        fn damage_is_an_error_and_never_a_panic(at in 0_usize..1400, with: u8, cut in 0_usize..1400) {
            let mut bytes = RECORD.as_bytes().to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = with;
            }
            bytes.truncate(cut);
            let _ = parse_record(&bytes);
        }
    }
}
