//! Names of packages without the SDK: those of their folders, and those that the text of their specs declares.
//!
//! rpmspec reads specs exactly, and needs the SDK. Here a spec is searched for lines that name packages, so that a name that
//! does not exist is refused before the SDK is made for it. Macros of one word that the spec itself defines are expanded; of a
//! name with another macro, only the part before it counts. So a name that passes may still be unknown to rpmspec, and no name
//! that rpmspec knows is refused.

use std::collections::{BTreeMap, BTreeSet};

use basalt_content::{ContentFolder, DistributionContent};
use basalt_document::spelling::suggestion;
use basalt_store::FileError;

use crate::BuildError;

/// Help where no name is similar.
pub(crate) const LIST_OF_PACKAGES: &str = "the packages that are there: `ls distro/packages`";

/// Names of the packages of a distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageNames {
    /// Names of folders.
    folders: BTreeSet<String>,
    /// Names of folders, packages and capabilities.
    names: BTreeSet<String>,
    /// Beginnings of names that continue with a macro.
    beginnings: BTreeSet<String>,
}

impl PackageNames {
    /// Reads the names of all packages.
    ///
    /// # Errors
    /// When a folder cannot be listed or a spec cannot be read. A folder without a spec has its own name only.
    pub fn read(content: &DistributionContent) -> Result<Self, BuildError> {
        let mut found = Self::default();
        for entry in content.entries(ContentFolder::Packages)? {
            if !entry.path.is_dir() {
                continue;
            }
            let name = entry.file_name().to_owned();
            let spec = entry.path.join(format!("{name}.spec"));
            match fs_err::read(&spec) {
                Ok(text) => found.add(&name, &String::from_utf8_lossy(&text)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(FileError::new("cannot read", &spec)(error).into()),
            }
            found.names.insert(name.clone());
            found.folders.insert(name);
        }
        Ok(found)
    }

    /// Adds the names that a spec declares.
    fn add(&mut self, folder: &str, spec: &str) {
        let macros = macros(folder, spec);
        for declared in declarations(folder, spec) {
            let name = expand(&declared, &macros);
            match name.split_once('%') {
                Some((beginning, _)) => self.beginnings.insert(beginning.to_owned()),
                None => self.names.insert(name),
            };
        }
    }

    /// Returns `true` if a folder of packages has this name.
    pub fn is_folder(&self, name: &str) -> bool {
        self.folders.contains(name)
    }

    /// Returns `true` if a package may have or provide this name. rpm adds the architecture to some: `zlib(x86-64)`.
    pub fn is_possible(&self, name: &str) -> bool {
        let base = name.split_once('(').map_or(name, |(base, _)| base);
        let begins = |beginning: &String| name.starts_with(beginning.as_str());
        self.names.contains(name) || self.names.contains(base) || self.beginnings.iter().any(begins)
    }

    /// Iterates over all names that are wholly known.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Returns the error about a name that no package has.
    pub fn unknown(&self, name: &str) -> BuildError {
        BuildError::NoSuchPackage {
            name: name.to_owned(),
            help: suggestion(name, self.iter(), || LIST_OF_PACKAGES.to_owned()),
        }
    }
}

/// Returns the names of packages and capabilities in a spec, with their macros.
fn declarations(folder: &str, spec: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in spec.lines() {
        let words: Vec<&str> = line.split([' ', '\t', ',']).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            ["%package", "-n", name, ..] => found.push((*name).to_owned()),
            ["%package", suffix, ..] => found.push(format!("{folder}-{suffix}")),
            [tag, capabilities @ ..] if tag.eq_ignore_ascii_case("Provides:") => {
                let mut words = capabilities.iter();
                while let Some(word) = words.next() {
                    if ["=", "<", "<=", ">", ">="].contains(word) {
                        words.next();
                    } else {
                        found.push((*word).to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// Returns the macros of a spec whose values are one word, `name` among them.
fn macros(folder: &str, spec: &str) -> BTreeMap<String, String> {
    let mut macros = BTreeMap::from([("name".to_owned(), folder.to_owned())]);
    for line in spec.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["%global" | "%define", name, value] = words.as_slice() {
            macros.insert((*name).to_owned(), expand(value, &macros));
        }
    }
    macros
}

/// Expands macros in braces.
fn expand(text: &str, macros: &BTreeMap<String, String>) -> String {
    let replace = |text: String, (name, value): (&String, &String)| text.replace(&format!("%{{{name}}}"), value);
    macros.iter().fold(text.to_owned(), replace)
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::*;

    fn of(spec: &str) -> PackageNames {
        let mut names = PackageNames::default();
        names.add("zlib", spec);
        names
    }

    #[test]
    fn packages_and_capabilities_are_found() {
        let names = of("\
Name:     zlib
Provides: compression = 1.0, deflate
%global minor    1.3
%global tag %{lua: print(1)}
%package devel
Provides:  %{name}-headers = %{version}-%{release}
%package -n kubelet%{minor}
%package -n minizip
%package -n lib%{tag}
# %package comment
");
        let all: Vec<_> = names.iter().collect();
        assert_eq!(
            all,
            [
                "compression",
                "deflate",
                "kubelet1.3",
                "minizip",
                "zlib-devel",
                "zlib-headers"
            ]
        );
        assert!(names.is_possible("minizip(x86-64)") && names.is_possible("libwhatever"));
        assert!(!names.is_possible("zlibb") && !names.is_possible("kubelet1.4"));
    }

    #[test]
    fn the_names_of_this_distribution_are_known() {
        let root = Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
        let names = PackageNames::read(&DistributionContent::of_checkout(root)).expect("read");
        for name in [
            "zlib",
            "zlib-devel",
            "kubelet1.36",
            "kubelet",
            "chronyc",
            "system-release",
            "rtld(GNU_HASH)",
        ] {
            assert!(names.is_possible(name), "{name}");
        }
        assert!(names.is_folder("zlib") && !names.is_folder("zlib-devel"));
        assert!(
            !names.is_possible("zlibb") && names.beginnings.is_empty(),
            "{:?}",
            names.beginnings
        );
        assert!(
            names
                .unknown("zlibb")
                .to_string()
                .contains("there is no package `zlibb`")
        );
    }

    #[test]
    fn a_folder_without_a_spec_has_a_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let content = DistributionContent::of_checkout(Utf8Path::from_path(folder.path()).expect("UTF-8"));
        let packages = content.own_folder(ContentFolder::Packages).path;
        fs_err::create_dir_all(packages.join("jq")).expect("made");
        fs_err::write(packages.join("resources.toml"), "").expect("written");
        let names = PackageNames::read(&content).expect("read");
        assert!(names.is_folder("jq") && !names.is_possible("resources.toml"));
    }
}
