//! Resolution of wanted packages to a lock of all that they need, by apt with a state of its own.

use std::collections::BTreeMap;

use crate::sdk_lock::{LockedPackage, SdkDefinition, SdkLock};
use basalt_digest::Digest;
use basalt_process::tool;
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_store::{FileError, Store, write};
use camino::Utf8Path;

use crate::SdkError;
use crate::apt::{Index, PrivateApt};

/// Difference between two locks in one package.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// Name of the package.
    pub name: String,
    /// Version in the old lock, if it has the package.
    pub before: Option<String>,
    /// Version in the new lock, if it has the package.
    pub now: Option<String>,
}

/// Resolves the packages of a definition (`sdk.toml`), writes the lock beside it (`sdk.lock`), and returns the changes.
///
/// # Errors
/// When the archive cannot be reached, or its packages do not satisfy the definition.
pub fn lock(definition_path: &Utf8Path, store: &Store, reporter: &dyn Reporter) -> Result<Vec<Change>, SdkError> {
    let lock_path = definition_path.with_extension("lock");
    let name = definition_path.file_stem().unwrap_or_default();
    let text = fs_err::read_to_string(definition_path).map_err(FileError::new("cannot read", definition_path))?;
    let definition = SdkDefinition::parse(&text).map_err(|error| SdkError::File {
        path: definition_path.to_owned(),
        message: error.to_string(),
        remedy: "it holds a list `suites` and a table `packages` of lists",
    })?;
    let task = reporter.task(&format!("resolving the packages of {name}.toml"), Unit::Items, None);
    let mut apt = PrivateApt::new(store, Index::Packages, &definition.suites)?;
    apt.update()?;
    let answer = apt
        .command(tool::APT_GET)
        .args(["install", "--yes", "--no-install-recommends", "--print-uris", "--"])
        .args(definition.wanted())
        .output()?;
    let packages = parse_uris(&answer.text(), &apt.mirror);
    let suite = definition.suites.first().cloned().unwrap_or_default();
    let new = SdkLock { suite, packages };
    let old = fs_err::read_to_string(&lock_path)
        .ok()
        .and_then(|text| SdkLock::parse(&text).ok());
    write::atomically(&lock_path, new.render(name))?;
    task.finish(Outcome::Done);
    Ok(changes(old.as_ref(), &new))
}

/// Parses lines of the form `'URL' file size SHA256:digest`; others are skipped.
pub(crate) fn parse_uris(text: &str, mirror: &str) -> Vec<LockedPackage> {
    let mut packages: BTreeMap<String, LockedPackage> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(url), Some(file), Some(size), Some(hash)) = (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let Some(path) = url.trim_matches('\'').strip_prefix(mirror) else {
            continue;
        };
        let (Ok(size), Some(Ok(sha256))) = (size.parse(), hash.strip_prefix("SHA256:").map(str::parse::<Digest>))
        else {
            continue;
        };
        let mut parts = file.trim_end_matches(".deb").split('_');
        let (Some(name), Some(version)) = (parts.next(), parts.next()) else {
            continue;
        };
        packages.insert(
            name.to_owned(),
            LockedPackage {
                name: name.to_owned(),
                version: version.replace("%3a", ":"),
                path: path.trim_start_matches('/').to_owned(),
                sha256,
                size,
            },
        );
    }
    packages.into_values().collect()
}

fn changes(old: Option<&SdkLock>, new: &SdkLock) -> Vec<Change> {
    let versions = |lock: &SdkLock| -> BTreeMap<String, String> {
        lock.packages
            .iter()
            .map(|package| (package.name.clone(), package.version.clone()))
            .collect()
    };
    let (old, new) = (old.map(versions).unwrap_or_default(), versions(new));
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .map(|name| Change {
            name: name.clone(),
            before: old.get(name).cloned(),
            now: new.get(name).cloned(),
        })
        .filter(|change| change.before != change.now)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_prints_is_understood() {
        let digest = Digest::of("x");
        let text = format!(
            "Reading package lists...\n'http://m.example/debian/pool/main/m/make/make_1%3a4.4-1_amd64.deb' \
             make_1%3a4.4-1_amd64.deb 12 SHA256:{digest}\n"
        );
        let packages = parse_uris(&text, "http://m.example/debian");
        assert_eq!(packages.len(), 1);
        assert_eq!(packages[0].version, "1:4.4-1");
        assert_eq!(packages[0].path, "pool/main/m/make/make_1%3a4.4-1_amd64.deb");
    }
}
