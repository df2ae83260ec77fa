//! What a spec file declares, as `rpmspec` reads it.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// The macros with which every spec of an architecture is read and built, besides those of `distro/macros`.
pub(crate) const SPECS: &str = "/build/SPECS";

/// A source package: what one spec file makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePackage {
    /// Its name, which is also its folder's.
    pub name: String,
    /// The version, without release.
    pub version: String,
    /// The release, with the distribution's tag.
    pub release: String,
    /// The names in its `BuildRequires`, without versions.
    pub build_requires: Vec<String>,
    /// The packages that it makes.
    pub binaries: Vec<BinaryPackage>,
}

/// One of the packages that a spec makes, as far as it can be told before it is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinaryPackage {
    /// Its name.
    pub name: String,
    /// The names in its `Requires` tags.
    pub requires: Vec<String>,
    /// The names in its `Provides` tags, its own name among them.
    pub provides: Vec<String>,
}

/// A package's folder under `distro/packages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The package's name.
    pub name: String,
    /// The folder.
    pub path: Utf8PathBuf,
}

impl Folder {
    /// The spec file.
    pub fn spec(&self) -> Utf8PathBuf {
        self.path.join(format!("{}.spec", self.name))
    }
}

/// The format in which `rpmspec` is asked about the source package. One line a fact; a tab stands before the value.
pub(crate) const SOURCE_FORMAT: &str =
    r"name\t%{name}\nversion\t%{version}\nrelease\t%{release}\n[buildrequires\t%{requirename}\n]";
/// The same about the packages that are made.
pub(crate) const BINARY_FORMAT: &str = r"binary\t%{name}\n[requires\t%{requirename}\n][provides\t%{providename}\n]";

impl SourcePackage {
    /// Reads the two answers of `rpmspec`, in [`SOURCE_FORMAT`] and [`BINARY_FORMAT`].
    ///
    /// # Errors
    /// A text that tells what is missing: a bug of ours or a change in rpm.
    pub fn parse(source: &str, binaries: &str) -> Result<Self, String> {
        let fact = |name: &str| {
            facts(source)
                .find_map(|(key, value)| (key == name).then(|| value.to_owned()))
                .ok_or_else(|| format!("rpmspec did not tell the {name}"))
        };
        let mut package = Self {
            name: fact("name")?,
            version: fact("version")?,
            release: fact("release")?,
            build_requires: named(source, "buildrequires"),
            binaries: Vec::new(),
        };
        for (key, value) in facts(binaries) {
            if key == "binary" {
                let binary = BinaryPackage {
                    name: value.to_owned(),
                    requires: Vec::new(),
                    provides: vec![value.to_owned()],
                };
                package.binaries.push(binary);
                continue;
            }
            let binary = package.binaries.last_mut().ok_or("rpmspec told of no package")?;
            let list = if key == "requires" {
                &mut binary.requires
            } else {
                &mut binary.provides
            };
            if !value.starts_with("rpmlib(") && !list.iter().any(|known| known == value) {
                list.push(value.to_owned());
            }
        }
        Ok(package)
    }
}

fn facts(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .filter_map(|line| line.split_once('\t'))
        .filter(|(_, value)| !value.is_empty() && *value != "(none)")
}

fn named(text: &str, name: &str) -> Vec<String> {
    let mut values: Vec<_> = facts(text)
        .filter(|(key, value)| *key == name && !value.starts_with("rpmlib("))
        .map(|(_, value)| value.to_owned())
        .collect();
    values.sort();
    values.dedup();
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_rpmspec_are_understood() {
        let source =
            "name\tzlib\nversion\t1.3.1\nrelease\t1.bs1\nbuildrequires\tglibc-devel\nbuildrequires\trpmlib(X)\n";
        let binaries = "binary\tzlib\nrequires\t(none)\nbinary\tzlib-devel\nrequires\tzlib\nprovides\tzlib-devel\n";
        let package = SourcePackage::parse(source, binaries).expect("understood");
        assert_eq!(package.name, "zlib");
        assert_eq!(package.build_requires, ["glibc-devel"]);
        assert_eq!(package.binaries.len(), 2);
        assert_eq!(package.binaries[1].requires, ["zlib"]);
        assert_eq!(package.binaries[1].provides, ["zlib-devel"]);
        assert!(SourcePackage::parse("name\tx\n", "").is_err());
    }
}
