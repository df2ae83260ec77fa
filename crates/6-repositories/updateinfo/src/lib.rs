//! Advisories: defects of packages, and the first versions that are free of them.
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
//! Advisories go into a repository's `updateinfo.xml`, from which `dnf updateinfo` and scanners learn what an update
//! fixes.

use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An advisory, as its file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advisory {
    /// Id, equal to the file's name without `.toml`: `BASALT-2026-0001`.
    pub id: String,
    /// Title, one line.
    pub title: String,
    /// Kind of the change that fixes the defect; `security` when the file gives none.
    #[serde(default)]
    pub kind: AdvisoryKind,
    /// Severity, on Red Hat's scale.
    pub severity: AdvisorySeverity,
    /// Date of issue, `YYYY-MM-DD`: `2026-11-25`.
    pub issued: String,
    /// Description, free text; may be empty.
    #[serde(default)]
    pub description: String,
    /// Packages that fix the defect; at least one.
    #[serde(rename = "package")]
    pub packages: Vec<FixedVersion>,
    /// References to other databases: CVE records, reports of upstream.
    #[serde(rename = "reference", default)]
    pub references: Vec<Link>,
}

/// A package that fixes the defect, with its first fixed version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedVersion {
    /// Name of the binary package.
    pub name: String,
    /// First version that is not affected: `[epoch:]version-release`.
    pub fixed: String,
}

/// A reference to another database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Id in that database: `CVE-2026-00000`.
    pub id: String,
    /// Address of the entry.
    pub url: String,
    /// Title of the entry; the id stands for it when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// Kind of the change that an advisory announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdvisoryKind {
    /// Fix of a vulnerability.
    #[default]
    Security,
    /// Fix of a defect that is no vulnerability.
    Bugfix,
    /// New function.
    Enhancement,
}

/// Severity of a defect, on Red Hat's scale, which dnf knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdvisorySeverity {
    /// No vulnerability.
    None,
    /// Minimal consequences.
    Low,
    /// Consequences only under rare conditions.
    Moderate,
    /// Confidentiality, integrity or availability can be lost.
    Important,
    /// Remote code execution without credentials.
    Critical,
}

/// An advisory that cannot be read, or breaks a rule of the format.
#[derive(Debug, Error, Diagnostic)]
#[error("the advisory {path} is not right: {why}")]
#[diagnostic(code(repo::advisory), help("{help}"))]
pub struct AdvisoryError {
    /// Path of the advisory, or of its folder.
    pub path: Utf8PathBuf,
    /// The violation, or the cause from the system.
    pub why: String,
    /// Advice for its author.
    pub help: &'static str,
}

impl AdvisoryKind {
    /// Returns the value of `type` in `updateinfo.xml`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Bugfix => "bugfix",
            Self::Enhancement => "enhancement",
        }
    }
}

impl AdvisorySeverity {
    /// Returns the value of `severity` in `updateinfo.xml`.
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
    /// Returns the `type` of the reference in `updateinfo.xml`: `cve` for ids that begin with `CVE-`, else `other`.
    pub fn kind(&self) -> &'static str {
        if self.id.starts_with("CVE-") { "cve" } else { "other" }
    }
}

/// Parses and checks the text of an advisory. The file stem of `path` must be the advisory's id; errors name `path`.
///
/// # Errors
/// When the text is no TOML of that form, names no package, or has an id, a version or a date that is not valid.
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

/// Reads all advisories (`*.toml`) of a folder, sorted by id; none when the folder does not exist.
///
/// # Errors
/// When one cannot be read or is not valid.
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
        // Editors keep locks and copies under names with a dot at the front.
        let is_hidden = path.file_name().is_some_and(|name| name.starts_with('.'));
        if path.extension() == Some("toml") && !is_hidden {
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
    fn files_of_editors_are_no_advisories() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8Path::from_path(folder.path()).expect("UTF-8");
        fs_err::write(path.join("A-1.toml"), RIGHT).expect("written");
        fs_err::write(path.join(".A-1.toml.swp"), "x").expect("written");
        fs_err::os::unix::fs::symlink("user@host.1:2", path.join(".#A-1.toml")).expect("linked");
        assert_eq!(read_advisories(path).expect("read").len(), 1);
    }

    #[test]
    fn advisories_are_checked() {
        let path = Utf8Path::new("distro/advisories/A-1.toml");
        let advisory = parse_advisory(path, RIGHT).expect("right");
        assert_eq!(
            (advisory.kind, advisory.severity),
            (AdvisoryKind::Security, AdvisorySeverity::Low)
        );
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
