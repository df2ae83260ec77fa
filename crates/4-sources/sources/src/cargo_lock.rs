//! Cargo.lock: which crates a program is made from, with the digests of their archives.

use std::collections::{BTreeMap, BTreeSet};

use basalt_digest::Digest;
use serde::Deserialize;

/// Archive of a crate in a registry, as a Cargo.lock names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrateFile {
    /// Name of the crate.
    pub name: String,
    /// Version of the crate.
    pub version: String,
    /// SHA-256 of the archive: the `checksum` of the lock.
    pub sha256: Digest,
}

impl CrateFile {
    /// Folder that everything in the archive is below.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    /// Name of the archive.
    pub fn file(&self) -> String {
        format!("{}.crate", self.folder())
    }
}

#[derive(Debug, Deserialize)]
struct Lock {
    #[serde(default)]
    version: Option<u64>,
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// Crates that the text of a Cargo.lock (version 3 or 4) names: all of them, or those that one of its packages needs,
/// sorted. Packages of the workspace are none. It reads nothing but the text.
///
/// # Errors
/// With what is wrong: a lock that cannot be read, a crate without checksum, names that are none.
pub fn crate_files(text: &str, only: Option<&str>) -> Result<Vec<CrateFile>, String> {
    let lock: Lock = toml::from_str(text).map_err(|error| format!("it cannot be read: {}", error.message()))?;
    match lock.version {
        Some(3 | 4) => {}
        Some(other) => return Err(format!("its version is {other}; 3 or 4 is expected")),
        None => return Err("it is of cargo's old format; 3 or 4 is the version that is expected".to_owned()),
    }
    let needed = match only {
        Some(name) => closure(&lock, name)?,
        None => (0..lock.package.len()).collect(),
    };
    let mut files = BTreeMap::new();
    for package in needed.into_iter().filter_map(|number| lock.package.get(number)) {
        let Some(file) = file(package)? else {
            continue;
        };
        let folder = file.folder();
        match files.insert(folder.clone(), file.clone()) {
            Some(other) if other != file => return Err(format!("{folder} is in it twice, with two digests")),
            _ => {}
        }
    }
    Ok(files.into_values().collect())
}

/// The archive of a package, if it has one: packages of the workspace have no source.
fn file(package: &Package) -> Result<Option<CrateFile>, String> {
    let Some(source) = &package.source else { return Ok(None) };
    let full = format!("{} {}", package.name, package.version);
    let plain = |text: &str, more: &str| {
        text.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_')
            && text
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || more.contains(letter))
    };
    if !plain(&package.name, "-_") || !plain(&package.version, "-.+") {
        return Err(format!(
            "`{}` is not the name and version of a crate",
            full.escape_debug()
        ));
    }
    if !source.starts_with("registry+") && !source.starts_with("sparse+") {
        return Err(format!(
            "{full} comes from `{source}`, which is no registry: nothing says what its bytes are"
        ));
    }
    let checksum = package
        .checksum
        .as_ref()
        .ok_or_else(|| format!("{full} has no checksum"))?;
    Ok(Some(CrateFile {
        name: package.name.clone(),
        version: package.version.clone(),
        sha256: checksum.parse::<Digest>().map_err(|error| format!("{full}: {error}"))?,
    }))
}

/// Numbers of all packages that the one of that name needs.
fn closure(lock: &Lock, name: &str) -> Result<BTreeSet<usize>, String> {
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, package) in lock.package.iter().enumerate() {
        by_name.entry(&package.name).or_default().push(number);
    }
    let mut needed = BTreeSet::new();
    let mut rest = by_name.get(name).cloned().unwrap_or_default();
    if rest.is_empty() {
        return Err(format!("it has no package `{name}`"));
    }
    while let Some(number) = rest.pop() {
        let Some(package) = lock.package.get(number).filter(|_| needed.insert(number)) else {
            continue;
        };
        for dependency in &package.dependencies {
            // `name`, or `name version`, or `name version (source)`, as far as it takes to be one of several.
            let mut words = dependency.split(' ');
            let (name, version) = (words.next().unwrap_or_default(), words.next());
            let found = by_name.get(name).into_iter().flatten().copied();
            let is_meant = |number: &usize| {
                let package = lock.package.get(*number);
                package.is_some_and(|package| version.is_none_or(|version| package.version == version))
            };
            let before = rest.len();
            rest.extend(found.filter(is_meant));
            if rest.len() == before {
                return Err(format!("it has no package `{dependency}`, which it says is needed"));
            }
        }
    }
    Ok(needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 4

[[package]]
name = "own"
version = "0.1.0"
dependencies = ["a 2.0.0", "b"]

[[package]]
name = "tool"
version = "0.1.0"
dependencies = ["a 1.0.0"]

[[package]]
name = "a"
version = "1.0.0"
source = "registry+https://registry.example/index"
checksum = "1111111111111111111111111111111111111111111111111111111111111111"

[[package]]
name = "a"
version = "2.0.0"
source = "sparse+https://registry.example/index/"
checksum = "2222222222222222222222222222222222222222222222222222222222222222"

[[package]]
name = "b"
version = "1.0.0+x"
source = "registry+https://registry.example/index"
checksum = "3333333333333333333333333333333333333333333333333333333333333333"
"#;

    fn names(only: Option<&str>) -> Vec<String> {
        let files = crate_files(LOCK, only).expect("a lock");
        files.iter().map(CrateFile::file).collect()
    }

    #[test]
    fn crates_are_listed_without_network() {
        assert_eq!(names(None), ["a-1.0.0.crate", "a-2.0.0.crate", "b-1.0.0+x.crate"]);
        assert_eq!(names(Some("own")), ["a-2.0.0.crate", "b-1.0.0+x.crate"]);
        assert_eq!(names(Some("tool")), ["a-1.0.0.crate"]);
        let files = crate_files(LOCK, Some("tool")).expect("a lock");
        assert_eq!(files[0].sha256.to_hex(), "1".repeat(64));
    }

    #[test]
    fn what_has_no_digest_is_refused() {
        for (from, to, words) in [
            ("version = 4", "version = 7", "its version is 7"),
            ("version = 4", "", "old format"),
            ("registry+https", "git+https", "no registry"),
            ("checksum = \"1111", "#", "has no checksum"),
            ("checksum = \"1111", "checksum = \"", "not a SHA-256"),
            ("name = \"b\"", "name = \"../b\"", "not the name and version"),
            ("name = \"b\"", "name = \"-b\"", "not the name and version"),
            ("1.0.0+x", "1.0.0/x", "not the name and version"),
            ("[[package]]", "[package", "cannot be read"),
        ] {
            let error = crate_files(&LOCK.replacen(from, to, 1), None).expect_err(to);
            assert!(error.contains(words), "{error}");
        }
        assert!(
            crate_files(LOCK, Some("other"))
                .expect_err("none")
                .contains("no package `other`")
        );
    }

    #[test]
    fn the_agent_s_own_lock_is_understood() {
        let lock = include_str!("../../../../distro/packages/basalt-node/Cargo.lock");
        let files = crate_files(lock, None).expect("a lock");
        assert!(files.len() > 100 && files.iter().any(|file| file.name == "serde"));
        assert!(crate_files(lock, Some("basalt-node")).expect("a lock").len() <= files.len());
    }
}
