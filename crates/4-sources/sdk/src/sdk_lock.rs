//! `sdk.toml` and `sdk.lock`: the packages of the SDK, as wanted and as locked.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use basalt_digest::Digest;

/// What the SDK is made from, as a person writes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SdkDefinition {
    /// The suites of the archive, the base first.
    pub suites: Vec<String>,
    /// The packages that are wanted, in groups that say what for. A package may name its suite: `name/suite`.
    pub packages: std::collections::BTreeMap<String, Vec<String>>,
}

/// Every package of the SDK, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SdkLock {
    /// The base suite.
    pub suite: String,
    /// The packages, sorted by name.
    #[serde(rename = "package")]
    pub packages: Vec<LockedPackage>,
}

/// One package of the SDK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it is below the archive's root.
    pub path: String,
    /// Its SHA-256.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl SdkDefinition {
    /// Reads the text of `sdk.toml`.
    ///
    /// # Errors
    /// With the place, when it is not as described.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// All packages that are wanted.
    pub fn wanted(&self) -> Vec<&str> {
        self.packages.values().flatten().map(String::as_str).collect()
    }
}

impl SdkLock {
    /// Reads the text of `sdk.lock`.
    ///
    /// # Errors
    /// With the place, when it is not as described.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The text of the lock of a tree: of `sdk`, or of one beside it.
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
