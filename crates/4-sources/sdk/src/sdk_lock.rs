//! Definition (`sdk.toml`) and lock (`sdk.lock`) of the SDK's packages.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use basalt_digest::Digest;

/// Definition of the SDK: content of `sdk.toml`, which people write.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SdkDefinition {
    /// Suites of the archive, the base suite first.
    pub suites: Vec<String>,
    /// Packages to install, in groups by purpose. A package may name its suite: `name/suite`.
    pub packages: std::collections::BTreeMap<String, Vec<String>>,
}

/// Lock of the SDK: content of `sdk.lock`, with every package and its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SdkLock {
    /// Base suite.
    pub suite: String,
    /// Packages, sorted by name.
    #[serde(rename = "package")]
    pub packages: Vec<LockedPackage>,
}

/// Package of the SDK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Name of the binary package.
    pub name: String,
    /// Debian version: `1:4.4-1`.
    pub version: String,
    /// Path below the archive's root: `pool/main/...`.
    pub path: String,
    /// SHA-256 digest of the package.
    pub sha256: Digest,
    /// Size in bytes.
    pub size: u64,
}

impl SdkDefinition {
    /// Parses the text of `sdk.toml`.
    ///
    /// # Errors
    /// When the text is not TOML or has other fields, with the place.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Returns the packages of all groups.
    pub fn wanted(&self) -> Vec<&str> {
        self.packages.values().flatten().map(String::as_str).collect()
    }
}

impl SdkLock {
    /// Parses the text of `sdk.lock`.
    ///
    /// # Errors
    /// When the text is not TOML or has other fields, with the place.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Returns the text of the lock; `tree` is the name of its tree: `sdk`, or another one.
    pub fn render(&self, tree: &str) -> String {
        let what = match tree {
            "sdk" => "SDK".to_owned(),
            _ => format!("tree `{tree}`"),
        };
        let mut text = format!(
            "# Every package of the {what}. Written by `./basalt sdk lock` from {tree}.toml; do not edit.\n\nsuite = \"{}\"\n",
            self.suite
        );
        for package in &self.packages {
            let LockedPackage {
                name,
                version,
                path,
                sha256,
                size,
            } = package;
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\npath = \"{path}\"\nsha256 = \"{sha256}\"\nsize = {size}\n"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_read_as_it_was_written() {
        let lock = SdkLock {
            suite: "trixie".to_owned(),
            packages: vec![LockedPackage {
                name: "make".to_owned(),
                version: "4.4.1-2".to_owned(),
                path: "pool/main/m/make-dfsg/make_4.4.1-2_amd64.deb".to_owned(),
                sha256: Digest::of("x"),
                size: 7,
            }],
        };
        assert_eq!(SdkLock::parse(&lock.render("sdk")), Ok(lock));
    }
}
