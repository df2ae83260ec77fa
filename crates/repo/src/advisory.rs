//! Advisories: what was wrong with packages, and which version is not.
//!
//! One file each, `distro/advisories/<id>.toml`:
//!
//! ```toml
//! id = "BASALT-2026-0001"
//! title = "zlib: a heap overflow when inflating"
//! severity = "important"
//! issued = "2026-11-25"
//! description = "..."
//!
//! [[package]]
//! name = "zlib"
//! fixed = "1.3.1-2.bs1"
//!
//! [[reference]]
//! id = "CVE-2026-00000"
//! url = "https://..."
//! ```
//!
//! They go into a repository's `updateinfo.xml`, from which `dnf updateinfo` and scanners tell what an update mends.

use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An advisory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advisory {
    /// Its name, which its file has too.
    pub id: String,
    /// What it is about, in a line.
    pub title: String,
    /// What kind of change mends it.
    #[serde(default)]
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// The day on which it was written: `2026-11-25`.
    pub issued: String,
    /// More about it.
    #[serde(default)]
    pub description: String,
    /// The packages that mend it.
    #[serde(rename = "package")]
    pub packages: Vec<Fixed>,
    /// Where others write about it.
    #[serde(rename = "reference", default)]
    pub references: Vec<Link>,
}

/// A package that mends something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    /// The name of the binary package.
    pub name: String,
    /// The first version that is not concerned: `[epoch:]version-release`.
    pub fixed: String,
}

/// A place where others write about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// What it is called there: `CVE-2026-00000`.
    pub id: String,
    /// Where.
    pub url: String,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// What kind of change an advisory tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Somebody could have done harm.
    #[default]
    Security,
    /// Something did not work.
    Bugfix,
    /// Something works that did not before.
    Enhancement,
}

/// How bad it is, in the words of Red Hat's scale, which dnf knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Not about security.
    None,
    /// Hardly any harm.
    Low,
    /// Harm under rare conditions.
    Moderate,
    /// Somebody's data or rights are at stake.
    Important,
    /// Anybody on the network may take the machine.
    Critical,
}

/// An advisory that is not right.
#[derive(Debug, Error, Diagnostic)]
#[error("the advisory {path} is not right: {why}")]
#[diagnostic(code(repo::advisory), help("{help}"))]
pub struct AdvisoryError {
    /// Its file.
    pub path: Utf8PathBuf,
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub help: &'static str,
}

impl Kind {
    /// As `updateinfo.xml` has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Bugfix => "bugfix",
            Self::Enhancement => "enhancement",
        }
    }
}

impl Severity {
    /// As `updateinfo.xml` has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Low => "Low",
            Self::Moderate => "Moderate",
            Self::Important => "Important",
            Self::Critical => "Critical",
        }
    }
}

impl Link {
    /// What `updateinfo.xml` calls such a reference.
    pub fn kind(&self) -> &'static str {
        if self.id.starts_with("CVE-") { "cve" } else { "other" }
    }
}

/// Reads the text of an advisory; `path` is what it is called in errors, and holds its id.
///
/// # Errors
/// When it is not as described.
pub fn parse_advisory(path: &Utf8Path, text: &str) -> Result<Advisory, AdvisoryError> {
    let wrong = |why: String, help| AdvisoryError {
        path: path.to_owned(),
        why,
        help,
    };
    let advisory: Advisory = toml::from_str(text).map_err(|error| {
        wrong(
            error.to_string(),
            "distro/advisories/README.md shows what one looks like",
        )
    })?;
    if path.file_stem() != Some(&advisory.id) {
        return Err(wrong(
            format!("its id is `{}`", advisory.id),
            "an advisory and its file have the same name",
        ));
    }
    if advisory.packages.is_empty() {
        return Err(wrong("it names no package".to_owned(), "add a table [[package]]"));
    }
    for package in &advisory.packages {
        let evr = rpm_version::Evr::parse(&package.fixed);
        if evr.version().is_empty() || evr.release().is_empty() {
            return Err(wrong(
                format!(
                    "`{}` of {} is not a version with a release",
                    package.fixed, package.name
                ),
                "write it as in the spec: fixed = \"1.3.1-2.bs1\"",
            ));
        }
    }
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let day: Vec<&str> = advisory.issued.split('-').collect();
    if !matches!(day.as_slice(), [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2)) {
        return Err(wrong(
            format!("`{}` is not a day", advisory.issued),
            "write it as 2026-11-25",
        ));
    }
    Ok(advisory)
}

/// All advisories of a folder, by their ids; none where there is no folder.
///
/// # Errors
/// When one is not right, or cannot be read.
pub fn read_advisories(folder: &Utf8Path) -> Result<Vec<Advisory>, AdvisoryError> {
    let failed = |path: &Utf8Path, error: std::io::Error| AdvisoryError {
        path: path.to_owned(),
        why: error.to_string(),
        help: "see that it can be read",
    };
    let mut advisories = Vec::new();
    if !folder.is_dir() {
        return Ok(advisories);
    }
    for entry in folder.read_dir_utf8().map_err(|error| failed(folder, error))? {
        let path = entry.map_err(|error| failed(folder, error))?.into_path();
        if path.extension() == Some("toml") {
            let text = fs_err::read_to_string(&path).map_err(|error| failed(&path, error))?;
            advisories.push(parse_advisory(&path, &text)?);
        }
    }
    advisories.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(advisories)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "id = 'A-1'\ntitle = 'x'\nseverity = 'low'\nissued = '2026-11-25'\n[[package]]\nname = 'zlib'\n\
                         fixed = '1.3.1-2.bs1'\n";

    #[test]
    fn advisories_are_checked() {
        let path = Utf8Path::new("distro/advisories/A-1.toml");
        let advisory = parse_advisory(path, RIGHT).expect("right");
        assert_eq!((advisory.kind, advisory.severity), (Kind::Security, Severity::Low));
        for (from, to, why) in [
            ("1.3.1-2.bs1", "1.3.1", "not a version with a release"),
            ("2026-11-25", "yesterday", "is not a day"),
            ("id = 'A-1'", "id = 'A-2'", "its id is `A-2`"),
            ("severity = 'low'", "severity = 'awful'", "unknown variant"),
            ("title", "titel", "unknown field"),
        ] {
            let error = parse_advisory(path, &RIGHT.replacen(from, to, 1)).expect_err(why);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
