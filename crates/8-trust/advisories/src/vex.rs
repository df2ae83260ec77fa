//! VEX statements about vulnerabilities of a package: `distro/vex/<package>.toml`.
//!
//! Fields and values are those of OpenVEX 0.2.0 (github.com/openvex/spec), which these files are exported as. The files
//! are beside the packages' folders, not in them: a statement changes nothing that is built.

use std::fmt;

use basalt_document::problem::Problems;
use basalt_document::toml_file::TomlFile;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::value::Datetime;

/// Status of a package with regard to a vulnerability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VexStatus {
    /// The package is not affected; a justification says why.
    NotAffected,
    /// The package is affected; the words say what to do.
    Affected,
    /// The package was affected and contains a fix.
    Fixed,
    /// The effect on the package is not known yet.
    UnderInvestigation,
}

impl VexStatus {
    /// Returns `true` if no further action is needed: the package is not affected, or fixed.
    pub fn is_resolved(self) -> bool {
        matches!(self, Self::NotAffected | Self::Fixed)
    }
}

impl fmt::Display for VexStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotAffected => "not affected",
            Self::Affected => "affected",
            Self::Fixed => "fixed",
            Self::UnderInvestigation => "under investigation",
        })
    }
}

/// Justification of the status "not affected".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Justification {
    /// The component is not in the package.
    ComponentNotPresent,
    /// The vulnerable code is not in the package.
    VulnerableCodeNotPresent,
    /// The vulnerable code is never executed.
    VulnerableCodeNotInExecutePath,
    /// The code cannot be controlled by an adversary.
    VulnerableCodeCannotBeControlledByAdversary,
    /// Mitigations prevent exploitation.
    InlineMitigationsAlreadyExist,
}

impl fmt::Display for Justification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ComponentNotPresent => "the component is not present",
            Self::VulnerableCodeNotPresent => "the code is not present",
            Self::VulnerableCodeNotInExecutePath => "the code is never run",
            Self::VulnerableCodeCannotBeControlledByAdversary => "no adversary controls the code",
            Self::InlineMitigationsAlreadyExist => "mitigations are in place",
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    statement: Vec<RawStatement>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStatement {
    id: Spanned<String>,
    #[serde(default)]
    component: Option<Spanned<String>>,
    status: Spanned<VexStatus>,
    #[serde(default)]
    justification: Option<Spanned<Justification>>,
    words: Spanned<String>,
    date: Spanned<Datetime>,
}

/// VEX statement: the status of a package with regard to one vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VexStatement {
    /// Source package.
    pub package: String,
    /// Id of the vulnerability, in any database.
    pub id: String,
    /// Component inside the package that has the vulnerability (a Go module, a crate); `None` for every component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Status of the package.
    pub status: VexStatus,
    /// Justification; present exactly if the status is "not affected".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justification: Option<Justification>,
    /// Explanation in a sentence: why the package is not affected, or what to do.
    pub words: String,
    /// Date of the statement: `2026-11-25`.
    pub date: String,
}

/// Parses a file of VEX statements about a source package; `name` is the file's name in errors.
///
/// # Errors
/// With all places that are wrong.
pub fn parse_statements(package: &str, name: &str, text: &str) -> Result<Vec<VexStatement>, Problems> {
    let file = TomlFile::new(name, text);
    let raw: RawFile = file.read()?;
    let mut faults = file.faults();
    let mut statements: Vec<VexStatement> = Vec::new();
    for raw in raw.statement {
        if !is_id(raw.id.get_ref()) {
            faults.wrong(
                &raw.id,
                "this is no id of a vulnerability",
                "write it as databases do: `CVE-2026-1234`",
            );
        }
        let status = *raw.status.get_ref();
        match &raw.justification {
            None if status == VexStatus::NotAffected => {
                let help = "component_not_present, vulnerable_code_not_present, vulnerable_code_not_in_execute_path, \
                            vulnerable_code_cannot_be_controlled_by_adversary or inline_mitigations_already_exist";
                faults.wrong(&raw.status, "what is not affected needs a `justification`", help);
            }
            Some(justification) if status != VexStatus::NotAffected => {
                let help = "take it out, or set `status = \"not_affected\"`";
                faults.wrong(justification, "only what is not affected has a justification", help);
            }
            _ => {}
        }
        let words = raw.words.get_ref().split_whitespace().collect::<Vec<_>>().join(" ");
        if words.len() < 10 {
            faults.wrong(
                &raw.words,
                "these words do not tell a reader enough",
                "say it in a sentence",
            );
        }
        let date = raw.date.get_ref();
        if date.date.is_none() || date.time.is_some() || date.offset.is_some() {
            faults.wrong(&raw.date, "this is no date", "write the day: `date = 2026-11-25`");
        }
        let component = raw.component.map(Spanned::into_inner);
        let same = |other: &VexStatement| other.id == *raw.id.get_ref() && other.component == component;
        if statements.iter().any(same) {
            faults.wrong(
                &raw.id,
                "there is an answer to this already",
                "keep the one that is true now",
            );
        }
        statements.push(VexStatement {
            package: package.to_owned(),
            id: raw.id.get_ref().clone(),
            component,
            status,
            justification: raw.justification.map(Spanned::into_inner),
            words,
            date: date.date.map(|date| date.to_string()).unwrap_or_default(),
        });
    }
    faults.or(statements)
}

/// Returns `true` for the form of an id: `CVE-2026-1234`, `GHSA-aaaa-bbbb-cccc`, `GO-2026-1234`, `RUSTSEC-2026-0001`.
fn is_id(text: &str) -> bool {
    let mut parts = text.split('-');
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b':');
    parts
        .next()
        .is_some_and(|first| plain(first) && first.starts_with(|letter: char| letter.is_ascii_uppercase()))
        && parts.clone().count() > 0
        && parts.all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[[statement]]
id = "CVE-2026-1234"
component = "golang.org/x/net"
status = "not_affected"
justification = "vulnerable_code_not_in_execute_path"
words = """
The kubelet serves
no HTML."""
date = 2026-11-25

[[statement]]
id = "GO-2026-0001"
status = "affected"
words = "Do not expose the port before the next release."
date = 2026-11-25
"#;

    #[test]
    fn an_answer_is_understood() {
        let statements = parse_statements("kubernetes", "kubernetes.toml", GOOD).expect("right");
        assert_eq!(statements[0].words, "The kubelet serves no HTML.");
        assert_eq!(statements[0].date, "2026-11-25");
        assert!(statements[0].status.is_resolved() && !statements[1].status.is_resolved());
    }

    #[test]
    fn mistakes_have_places() {
        let text = r#"[[statement]]
id = "the one with the header"
status = "not_affected"
words = "no"
date = 2026-11-25T10:00:00Z

[[statement]]
id = "CVE-2026-1"
status = "fixed"
justification = "component_not_present"
words = "A patch is carried here."
date = 2026-11-25

[[statement]]
id = "CVE-2026-1"
status = "fixed"
words = "A patch is carried here."
date = 2026-11-25
"#;
        insta::assert_snapshot!(parse_statements("zlib", "zlib.toml", text).expect_err("wrong").brief());
        for (from, to) in [
            ("not_affected", "unaffected"),
            ("vulnerable_code_not_in_execute_path", "we_checked"),
            ("words", "word"),
            ("2026-11-25", "\"yesterday\""),
        ] {
            let text = GOOD.replacen(from, to, 1);
            let brief = parse_statements("a", "a.toml", &text).expect_err(to).brief();
            assert!(brief.starts_with("a.toml:"), "{brief}");
        }
    }
}
