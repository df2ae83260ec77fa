//! Versions of source packages in Debian's archive.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;

use basalt_progress::{Outcome, Reporter, Unit};
use basalt_store::{FileError, Store};

use crate::SdkError;
use crate::apt::{Index, PrivateApt};

/// Returns the upstream versions of all source packages in suites of the archive, by package.
///
/// # Errors
/// When the archive cannot be reached.
pub fn source_versions(
    suites: &[String],
    store: &Store,
    reporter: &dyn Reporter,
) -> Result<BTreeMap<String, BTreeSet<String>>, SdkError> {
    let task = reporter.task("asking the archive for its sources", Unit::Items, None);
    let mut apt = PrivateApt::new(store, Index::Sources, suites)?;
    apt.update()?;
    let mut versions = BTreeMap::new();
    let lists = apt.lists();
    for entry in lists.read_dir_utf8().map_err(FileError::new("cannot list", &lists))? {
        let path = entry.map_err(FileError::new("cannot list", &lists))?.into_path();
        if path.file_name().is_some_and(|name| name.ends_with("_Sources")) {
            let file = fs_err::File::open(&path).map_err(FileError::new("cannot read", &path))?;
            read(BufReader::new(file), &mut versions).map_err(FileError::new("cannot read", &path))?;
        }
    }
    task.finish(Outcome::Done);
    Ok(versions)
}

fn read(index: impl std::io::BufRead, versions: &mut BTreeMap<String, BTreeSet<String>>) -> std::io::Result<()> {
    let mut package = String::new();
    for line in index.split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if let Some(name) = line.strip_prefix("Package: ") {
            name.clone_into(&mut package);
        } else if let Some(version) = line.strip_prefix("Version: ") {
            versions
                .entry(package.clone())
                .or_default()
                .insert(upstream(version).to_owned());
        }
    }
    Ok(())
}

/// Returns the upstream part of a Debian version: without epoch and revision (Debian Policy 5.6.12).
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version.rsplit_once('-').map_or(version, |(upstream, _)| upstream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_understood() {
        let text = "Package: zlib\nBinary: zlib1g\nVersion: 1:1.3.1-2\n\nPackage: zlib\nVersion: 1.3.2\n";
        let mut versions = BTreeMap::new();
        read(text.as_bytes(), &mut versions).expect("read");
        let zlib: Vec<_> = versions["zlib"].iter().map(String::as_str).collect();
        assert_eq!(zlib, ["1.3.1", "1.3.2"]);
    }
}
