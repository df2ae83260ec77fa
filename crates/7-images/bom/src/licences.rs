//! The licences of modules and crates, and the texts of licences that SPDX's list does not have.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use camino::Utf8Path;
use serde::Deserialize;

use crate::{BomError, ComponentKind};

/// The file that `basalt licenses --lock` writes, in `distro/packages`.
pub const LOCK: &str = "licences.lock";
/// The file that people write, in `distro/packages`.
pub const DECISIONS: &str = "licences.toml";
const HEADING: &str = "\
# Under which licence each Go module and each crate is that is linked into a program of ours: SPDX expressions, found by
# comparing the licence files of its source with the texts on SPDX's list. `./basalt licenses --lock` writes this file. What
# no program could tell is decided in licences.toml. A changed line here deserves a look.
";

/// Licences of modules and crates: the lock file, and decisions made by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Licences {
    lock: Lock,
    decisions: Decisions,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    /// Licences by `path@version`.
    #[serde(default)]
    go: BTreeMap<String, String>,
    /// Licences by `name@version`.
    #[serde(default)]
    crates: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decisions {
    /// Decisions by the path of a module, or the name of a crate.
    #[serde(default)]
    decided: BTreeMap<String, LicenceDecision>,
    /// Licences by `LicenseRef-…`.
    #[serde(default)]
    reference: BTreeMap<String, CustomLicence>,
}

/// Licence of a module or crate as determined by a person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenceDecision {
    /// The SPDX expression.
    pub licence: String,
    /// Evidence for the decision.
    pub because: String,
}

/// A licence that is not on SPDX's list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomLicence {
    /// Name of the licence.
    pub name: String,
    /// Text of the licence, or the statement that stands in for one.
    pub text: String,
}

impl Licences {
    /// Reads the two files; one that is not there says nothing.
    ///
    /// # Errors
    /// When a file is not as described, and when a licence is no SPDX expression.
    pub fn read(packages: &Utf8Path) -> Result<Self, BomError> {
        let mut licences = Self::default();
        let path = packages.join(LOCK);
        if let Some(text) = text(&path)? {
            licences.lock = toml::from_str(&text).map_err(BomError::catalogue(&path, &text))?;
        }
        let path = packages.join(DECISIONS);
        if let Some(text) = text(&path)? {
            licences.decisions = toml::from_str(&text).map_err(BomError::catalogue(&path, &text))?;
        }
        let locked = licences.lock.go.iter().chain(&licences.lock.crates);
        let locked = locked.map(|(of, licence)| (of, licence.as_str()));
        let decided = licences.decisions.decided.iter();
        for (of, licence) in locked.chain(decided.map(|(of, decision)| (of, decision.licence.as_str()))) {
            expression(of, licence)?;
        }
        Ok(licences)
    }

    /// Adds the licences of another folder, which replace those of the same modules and crates.
    pub(crate) fn extend(&mut self, other: Self) {
        self.lock.go.extend(other.lock.go);
        self.lock.crates.extend(other.lock.crates);
        self.decisions.decided.extend(other.decisions.decided);
        self.decisions.reference.extend(other.decisions.reference);
    }

    /// The licence of a module or crate, if it is locked.
    pub fn of(&self, kind: ComponentKind, name: &str, version: &str) -> Option<&str> {
        let list = match kind {
            ComponentKind::Package => return None,
            ComponentKind::GoModule => &self.lock.go,
            ComponentKind::Crate => &self.lock.crates,
        };
        list.get(&format!("{name}@{version}")).map(String::as_str)
    }

    /// Returns the decision about a module or crate; it holds for all versions.
    pub fn decision(&self, name: &str) -> Option<&LicenceDecision> {
        self.decisions.decided.get(name)
    }

    /// A licence that is not on SPDX's list, by its `LicenseRef-…`.
    pub fn reference(&self, id: &str) -> Option<&CustomLicence> {
        self.decisions.reference.get(id)
    }
}

/// The text of a lock that says these licences: kind, name, version, SPDX expression.
pub fn lock_text<'l>(licences: impl IntoIterator<Item = (ComponentKind, &'l str, &'l str, &'l str)>) -> String {
    let mut sorted: BTreeMap<(ComponentKind, String), &str> = BTreeMap::new();
    for (kind, name, version, licence) in licences {
        sorted.insert((kind, format!("{name}@{version}")), licence);
    }
    let mut text = HEADING.to_owned();
    for (kind, title) in [(ComponentKind::GoModule, "go"), (ComponentKind::Crate, "crates")] {
        let _ = writeln!(text, "\n[{title}]");
        for ((_, name), licence) in sorted.iter().filter(|((of, _), _)| *of == kind) {
            let _ = writeln!(text, "{name:?} = {licence:?}");
        }
    }
    text
}

/// Reads an SPDX expression, as strictly as SPDX does; `of` is for the error.
///
/// # Errors
/// When it is none.
pub(crate) fn expression(of: &str, licence: &str) -> Result<spdx::Expression, BomError> {
    spdx::Expression::parse(licence).map_err(|error| BomError::Licence {
        of: of.to_owned(),
        licence: licence.to_owned(),
        why: error.reason.to_string(),
    })
}

/// Checks that a text is an SPDX expression.
///
/// # Errors
/// When it is none; the error says why, with `of` as the licensed thing.
pub fn check(of: &str, licence: &str) -> Result<(), BomError> {
    expression(of, licence).map(drop)
}

/// Reads a text file; returns `None` if it does not exist.
pub(crate) fn text(path: &Utf8Path) -> Result<Option<String>, BomError> {
    match fs_err::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BomError::io("cannot read", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_reads_as_it_was_written() {
        let text = lock_text([
            (ComponentKind::Crate, "libc", "0.2.191", "MIT OR Apache-2.0"),
            (ComponentKind::GoModule, "golang.org/x/net", "v0.50.0", "BSD-3-Clause"),
        ]);
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        fs_err::write(folder.join(LOCK), &text).expect("written");
        let licences = Licences::read(folder).expect("understood");
        assert_eq!(
            licences.of(ComponentKind::GoModule, "golang.org/x/net", "v0.50.0"),
            Some("BSD-3-Clause")
        );
        assert_eq!(
            licences.of(ComponentKind::Crate, "libc", "0.2.191"),
            Some("MIT OR Apache-2.0")
        );
        assert_eq!(
            licences.of(ComponentKind::GoModule, "golang.org/x/net", "v0.51.0"),
            None
        );

        fs_err::write(folder.join(LOCK), text.replace("BSD-3-Clause", "BSD-ish")).expect("written");
        let error = Licences::read(folder).expect_err("no licence");
        assert!(error.to_string().contains("golang.org/x/net"), "{error}");
        fs_err::write(folder.join(LOCK), "[og]\n").expect("written");
        assert!(matches!(Licences::read(folder), Err(BomError::Catalogue { .. })));
    }
}
