//! Declarations of a spec file, as `rpmspec` reads them.

use std::fmt::Display;
use std::str::FromStr;

use basalt_rpm::{Capability, Dependency, Operator};
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
    /// Dependencies in its `BuildRequires`.
    pub build_requires: Vec<Dependency>,
    /// Binary packages that it makes.
    pub binaries: Vec<BinaryPackage>,
}

/// Binary package that a spec defines, as far as it is known before the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinaryPackage {
    /// Name of the binary package.
    pub name: String,
    /// Dependencies in its `Requires` tags.
    pub requires: Vec<Dependency>,
    /// Capabilities in its `Provides` tags, its own name with its version among them.
    pub provides: Vec<Capability>,
    /// Names of its scriptlets and triggers: `%post`.
    pub scriptlets: Vec<String>,
}

/// Folder of a package in a content tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFolder {
    /// Name of the package.
    pub name: String,
    /// Path of the folder.
    pub path: Utf8PathBuf,
    /// Path for messages and provenance statements, the same in every checkout: `distro/packages/zlib`.
    pub place: Utf8PathBuf,
}

impl PackageFolder {
    /// Returns the path of the spec file.
    pub fn spec(&self) -> Utf8PathBuf {
        self.path.join(format!("{}.spec", self.name))
    }
}

/// Query format of `rpmspec` for the source package: one line for each field, with a tab before the value.
pub(crate) const SOURCE_FORMAT: &str = r"name\t%{name}\nversion\t%{version}\nrelease\t%{release}\n[buildrequires\t%{requirenevrs}\n][buildconflicts\t%{conflictnevrs}\n]";

/// Query format of `rpmspec` for the binary packages. `%|tag?{...}|` writes a line where the header has the tag: a scriptlet
/// with `-p` and no body has only the tag of its program.
pub(crate) const BINARY_FORMAT: &str = concat!(
    r"binary\t%{name}\n[requires\t%{requirenevrs}\n][provides\t%{providenevrs}\n]",
    r"%|prein?{scriptlet\t%%pre\n}|%|preinprog?{scriptlet\t%%pre\n}|",
    r"%|postin?{scriptlet\t%%post\n}|%|postinprog?{scriptlet\t%%post\n}|",
    r"%|preun?{scriptlet\t%%preun\n}|%|preunprog?{scriptlet\t%%preun\n}|",
    r"%|postun?{scriptlet\t%%postun\n}|%|postunprog?{scriptlet\t%%postun\n}|",
    r"%|pretrans?{scriptlet\t%%pretrans\n}|%|pretransprog?{scriptlet\t%%pretrans\n}|",
    r"%|posttrans?{scriptlet\t%%posttrans\n}|%|posttransprog?{scriptlet\t%%posttrans\n}|",
    r"%|preuntrans?{scriptlet\t%%preuntrans\n}|%|preuntransprog?{scriptlet\t%%preuntrans\n}|",
    r"%|postuntrans?{scriptlet\t%%postuntrans\n}|%|postuntransprog?{scriptlet\t%%postuntrans\n}|",
    r"%|verifyscript?{scriptlet\t%%verifyscript\n}|%|verifyscriptprog?{scriptlet\t%%verifyscript\n}|",
    r"%|triggername?{scriptlet\t%%trigger\n}|",
    r"%|filetriggername?{scriptlet\t%%filetrigger\n}|",
    r"%|transfiletriggername?{scriptlet\t%%transfiletrigger\n}|",
);

impl SourcePackage {
    /// Parses the output of both queries of `rpmspec`, in [`SOURCE_FORMAT`] and [`BINARY_FORMAT`].
    ///
    /// # Errors
    /// A clause about the spec that cannot be used: a missing field is a bug of basalt or a change in rpm.
    pub fn parse(source: &str, binaries: &str) -> Result<Self, String> {
        let fact = |name: &str| {
            facts(source)
                .find_map(|(key, value)| (key == name).then(|| value.to_owned()))
                .ok_or_else(|| format!("rpmspec did not tell the {name}"))
        };
        if let Some((_, excluded)) = facts(source).find(|(key, _)| *key == "buildconflicts") {
            return Err(format!(
                "it has `BuildConflicts: {excluded}`, which are not needed here: a build sees only what it requires"
            ));
        }
        let mut package = Self {
            name: fact("name")?,
            version: fact("version")?,
            release: fact("release")?,
            build_requires: build_requires(source)?,
            binaries: Vec::new(),
        };
        for (key, value) in facts(binaries) {
            if key == "binary" {
                package.binaries.push(BinaryPackage::new(value));
                continue;
            }
            let binary = package.binaries.last_mut().ok_or("rpmspec told of no package")?;
            binary.take(key, value)?;
        }
        let evr = format!("{}-{}", package.version, package.release);
        for binary in &mut package.binaries {
            binary.provide_itself(&evr);
            // rpm adds the interpreters of scriptlets. Such a package is refused when it is built, for its scriptlets.
            if !binary.scriptlets.is_empty() {
                let is_interpreter = |required: &Dependency| {
                    required
                        .as_capability()
                        .is_some_and(|capability| capability.name.starts_with('/'))
                };
                binary.requires.retain(|required| !is_interpreter(required));
            }
        }
        Ok(package)
    }
}

impl BinaryPackage {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            requires: Vec::new(),
            provides: Vec::new(),
            scriptlets: Vec::new(),
        }
    }

    /// Takes in a line of rpmspec's output.
    fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "requires" if !value.starts_with(RPMLIB) => add(&mut self.requires, parsed(value)?),
            "provides" => add(&mut self.provides, parsed(value)?),
            "scriptlet" => add(&mut self.scriptlets, value.to_owned()),
            _ => {}
        }
        Ok(())
    }

    /// Adds the capability of its own name, if rpmspec did not list it.
    fn provide_itself(&mut self, evr: &str) {
        if !self.provides.iter().any(|provided| provided.name == self.name) {
            self.provides.push(Capability {
                name: self.name.clone(),
                version: Some((Operator::Equal, evr.to_owned())),
            });
        }
    }

    /// Returns `true` if the binary package by itself fulfils a dependency; `false` for expressions about several.
    pub(crate) fn fulfils(&self, wanted: &Dependency) -> bool {
        match wanted {
            Dependency::Capability(wanted) => self.provides.iter().any(|provided| provided.satisfies(wanted)),
            Dependency::With(operands) => operands.iter().all(|operand| self.fulfils(operand)),
            Dependency::Without(operands) => {
                let [wanted, unwanted] = &operands[..] else {
                    return false;
                };
                self.fulfils(wanted) && !self.fulfils(unwanted)
            }
            Dependency::Or(operands) => operands.iter().any(|operand| self.fulfils(operand)),
            Dependency::And(_) | Dependency::If(_) | Dependency::Unless(_) => false,
        }
    }
}

/// Prefix of requirements on rpm itself.
const RPMLIB: &str = "rpmlib(";

fn build_requires(text: &str) -> Result<Vec<Dependency>, String> {
    let values = facts(text).filter(|(key, value)| *key == "buildrequires" && !value.starts_with(RPMLIB));
    let mut values: Vec<_> = values.map(|(_, value)| value).collect();
    values.sort_unstable();
    values.dedup();
    values.into_iter().map(parsed).collect()
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|error| format!("rpmspec told a dependency in an unknown form: {error}"))
}

fn add<T: PartialEq>(list: &mut Vec<T>, value: T) {
    if !list.contains(&value) {
        list.push(value);
    }
}

fn facts(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .filter_map(|line| line.split_once('\t'))
        .filter(|(_, value)| !value.is_empty() && *value != "(none)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<T: ToString>(found: &[T]) -> Vec<String> {
        found.iter().map(T::to_string).collect()
    }

    #[test]
    fn answers_of_rpmspec_are_understood() {
        let source = "name\tzlib\nversion\t1.3.1\nrelease\t1.bs1\nbuildrequires\tglibc-devel >= 2.41\n\
                      buildrequires\t(a or b)\nbuildrequires\trpmlib(X) <= 3\nbuildconflicts\t(none)\n";
        let binaries = "binary\tzlib\nrequires\t(none)\nbinary\tzlib-devel\nrequires\tzlib = 1.3.1-1.bs1\n\
                        provides\tzlib-devel = 1.3.1-1.bs1\nscriptlet\t%post\nscriptlet\t%post\n";
        let package = SourcePackage::parse(source, binaries).expect("understood");
        assert_eq!(package.name, "zlib");
        assert_eq!(texts(&package.build_requires), ["(a or b)", "glibc-devel >= 2.41"]);
        assert_eq!(package.binaries.len(), 2);
        assert_eq!(texts(&package.binaries[0].provides), ["zlib = 1.3.1-1.bs1"]);
        assert_eq!(texts(&package.binaries[1].requires), ["zlib = 1.3.1-1.bs1"]);
        assert_eq!(texts(&package.binaries[1].provides), ["zlib-devel = 1.3.1-1.bs1"]);
        assert_eq!(package.binaries[1].scriptlets, ["%post"]);
        assert!(SourcePackage::parse("name\tx\n", "").is_err());
    }

    #[test]
    fn conflicts_of_builds_are_refused() {
        let source = "name\tx\nversion\t1\nrelease\t1\nbuildconflicts\ty < 2\n";
        let error = SourcePackage::parse(source, "").expect_err("refused");
        assert!(error.contains("`BuildConflicts: y < 2`"), "{error}");
    }
}
