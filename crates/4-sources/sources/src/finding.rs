//! Findings of a check of a package's sources: damage, files that are not fetched yet, and newer releases.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::source_lock::{Alternative, DebianFile};
use basalt_store::{FileError, Store, StoreError};
use serde::Serialize;

use crate::{SourceSet, SourcesError};

/// Something worth knowing about a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum SourceFinding {
    /// The store's copy has another digest than the lock names.
    Damaged {
        /// The package.
        package: String,
        /// The file.
        file: String,
    },
    /// A file that is not in the store; building fetches it.
    Absent {
        /// The package.
        package: String,
        /// The file.
        file: String,
    },
    /// The archive has a newer release.
    Newer {
        /// The package.
        package: String,
        /// Locked version.
        locked: String,
        /// The newest release of the same series (the first two numbers), where there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        patch_level: Option<String>,
        /// The newest release of all.
        newest: String,
    },
}

impl SourceFinding {
    /// Returns `true` if the finding is an error rather than a piece of information.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

impl fmt::Display for SourceFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { package, file } => write!(
                f,
                "{package}: the store's copy of {file} is damaged; it was removed and will be fetched again"
            ),
            Self::Absent { package, file } => write!(f, "{package}: {file} is not fetched yet"),
            Self::Newer {
                package,
                locked,
                patch_level: Some(level),
                ..
            } => {
                write!(f, "{package}: {locked} is locked; {level} is out, a newer patch level")
            }
            Self::Newer {
                package,
                locked,
                newest,
                ..
            } => {
                write!(f, "{package}: {locked} is locked; {newest} is out, of another series")
            }
        }
    }
}

impl SourceSet {
    /// Reads every file of the lock that is in the store again, and takes away what is damaged.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn check(&self, store: &Store) -> Result<Vec<SourceFinding>, SourcesError> {
        let mut findings = Vec::new();
        for file in &self.lock().files {
            let (package, name) = (self.package().to_owned(), file.file.clone());
            if store.object(&file.sha256).is_none() {
                findings.push(SourceFinding::Absent { package, file: name });
                continue;
            }
            match store.verify_object(&file.sha256) {
                Ok(()) => {}
                Err(StoreError::Damaged { path, .. }) => {
                    fs_err::remove_file(&path).map_err(FileError::new("cannot remove", &path))?;
                    findings.push(SourceFinding::Damaged { package, file: name });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(findings)
    }

    /// Compares the releases that the lock names by Debian's archive with those that the archive has now (as
    /// [`basalt_sdk::source_versions`] tells).
    pub fn newer(&self, known: &BTreeMap<String, BTreeSet<String>>) -> Vec<SourceFinding> {
        let alternatives = self.lock().files.iter().flat_map(|file| &file.alternatives);
        alternatives
            .filter_map(|alternative| {
                let Alternative::Debian(DebianFile { package, file, .. }) = alternative else {
                    return None;
                };
                newer(self.package(), &locked_version(package, file)?, known.get(package)?)
            })
            .collect()
    }
}

/// `1.3.1` of `zlib_1.3.1.orig.tar.gz`.
fn locked_version(package: &str, file: &str) -> Option<String> {
    let rest = file.strip_prefix(package)?.strip_prefix('_')?;
    let (version, _) = rest.split_once(".orig").or_else(|| rest.split_once(".tar"))?;
    Some(version.to_owned())
}

/// The first two numbers of a version.
fn series(version: &str) -> Vec<&str> {
    version.split(['.', '+', '-', '~']).take(2).collect()
}

fn newer(package: &str, locked: &str, known: &BTreeSet<String>) -> Option<SourceFinding> {
    let order = |one: &&String, other: &&String| rpm_version::rpm_evr_compare(one, other);
    let later = |version: &&String| rpm_version::rpm_evr_compare(version, locked).is_gt();
    let newest = known.iter().filter(later).max_by(order)?;
    let patch_level = known
        .iter()
        .filter(later)
        .filter(|version| series(version) == series(locked))
        .max_by(order);
    Some(SourceFinding::Newer {
        package: package.to_owned(),
        locked: locked.to_owned(),
        patch_level: patch_level.cloned(),
        newest: newest.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_releases_are_told_from_other_series() {
        assert_eq!(
            locked_version("zlib", "zlib_1.3.1.orig.tar.gz").as_deref(),
            Some("1.3.1")
        );
        assert_eq!(
            locked_version("ca-certificates", "ca-certificates_20250419.tar.xz").as_deref(),
            Some("20250419")
        );
        let known = |versions: &[&str]| versions.iter().map(|version| (*version).to_owned()).collect();
        assert_eq!(newer("x", "6.12.107", &known(&["6.12.107", "6.12.9"])), None);
        let Some(SourceFinding::Newer {
            patch_level, newest, ..
        }) = newer("x", "6.12.107", &known(&["6.12.107", "6.12.110", "7.1.2"]))
        else {
            panic!("6.12.110 is newer")
        };
        assert_eq!((patch_level.as_deref(), newest.as_str()), (Some("6.12.110"), "7.1.2"));
    }
}
