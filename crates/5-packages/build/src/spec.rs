//! Declarations of a spec file, as `rpmspec` reads them.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// Folder of specs in the sandbox.
pub(crate) const SPECS: &str = "/build/SPECS";

/// Source package that one spec file defines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePackage {
    /// Name, which is also its folder's.
    pub name: String,
    /// Version, without release.
    pub version: String,
    /// Release, with the distribution's tag.
    pub release: String,
    /// Names in its `BuildRequires`, without versions.
    pub build_requires: Vec<String>,
    /// Binary packages that it makes.
    pub binaries: Vec<BinaryPackage>,
}

/// Binary package that a spec defines, as far as it is known before the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinaryPackage {
    /// Name of the binary package.
    pub name: String,
    /// Names in its `Requires` tags.
    pub requires: Vec<String>,
    /// Names in its `Provides` tags, its own name among them.
    pub provides: Vec<String>,
}

/// Package folder under `distro/packages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFolder {
    /// Name of the package.
    pub name: String,
    /// Path of the folder.
    pub path: Utf8PathBuf,
}

impl PackageFolder {
    /// Returns the path of the spec file.
    pub fn spec(&self) -> Utf8PathBuf {
        self.path.join(format!("{}.spec", self.name))
    }
}

/// Query format of `rpmspec` for the source package: one line for each field, with a tab before the value.
pub(crate) const SOURCE_FORMAT: &str =
    r"name\t%{name}\nversion\t%{version}\nrelease\t%{release}\n[buildrequires\t%{requirename}\n]";
/// Query format of `rpmspec` for the binary packages.
pub(crate) const BINARY_FORMAT: &str = r"binary\t%{name}\n[requires\t%{requirename}\n][provides\t%{providename}\n]";

impl SourcePackage {
    /// Parses the output of both queries of `rpmspec`, in [`SOURCE_FORMAT`] and [`BINARY_FORMAT`].
    ///
    /// # Errors
    /// A text that names the missing field: a bug of basalt or a change in rpm.
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
