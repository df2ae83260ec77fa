//! Files below `/etc/kubernetes` from bootstrap data, and the record of them.
//!
//! They are on the state partition, and outlive the data that they came with: what the data of this boot has no more is removed,
//! a cloud's credentials among it. Only what the record names is removed; other files there belong to others.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use crate::apply::{self, ApplyError, below};
use crate::paths;
use crate::plan::PlannedFile;

/// Leaves the files for the time when the state partition is there.
///
/// # Errors
/// When they cannot be written.
pub fn prepare(root: &Path, files: &[PlannedFile]) -> Result<(), ApplyError> {
    let content = serde_json::to_string(files).unwrap_or_default();
    apply::write(root, &PlannedFile::secret(paths::BOOTSTRAP_FILES, content))
}

/// Writes the files of this boot, removes those that earlier data wrote and this one does not have, and returns what was done,
/// in words.
///
/// # Errors
/// When a file or the record cannot be written. What cannot be removed is told, and stays in the record.
pub fn settle(root: &Path) -> Result<Vec<String>, ApplyError> {
    let Some(files) = planned(root) else {
        let told = "the files of the bootstrap data cannot be read again: those of before stay";
        return Ok(vec![told.to_owned()]);
    };
    let earlier = recorded(root);
    let present: BTreeSet<String> = files.iter().map(|file| file.path.clone()).collect();
    let all: BTreeSet<String> = earlier.union(&present).cloned().collect();
    // First, so that a power cut leaves no file that nobody knows of.
    if all != earlier {
        record(root, &all)?;
    }
    let mut told = Vec::new();
    let mut left = all.clone();
    for path in earlier.difference(&present) {
        match is_of_this_place(path).then(|| apply::remove(below(root, path))) {
            Some(Err(error)) => {
                let why = std::error::Error::source(&error).map(ToString::to_string);
                told.push(format!(
                    "{path} is of earlier bootstrap data and cannot be removed: {}",
                    why.unwrap_or_default()
                ));
            }
            Some(Ok(())) => {
                left.remove(path);
                told.push(format!("{path} was of earlier bootstrap data, and is removed"));
            }
            None => {
                left.remove(path);
            }
        }
    }
    for file in &files {
        apply::write(root, file)?;
        told.push(format!("{} is from the bootstrap data", file.path));
    }
    if left != all {
        record(root, &left)?;
    }
    Ok(told)
}

/// Files of this boot's bootstrap data, of which a NodeConfig has none. None when they cannot be read.
fn planned(root: &Path) -> Option<Vec<PlannedFile>> {
    match fs_err::read(below(root, paths::BOOTSTRAP_FILES)) {
        Ok(text) => serde_json::from_slice(&text).ok(),
        Err(error) if error.kind() == ErrorKind::NotFound => Some(Vec::new()),
        Err(_) => None,
    }
}

/// Paths of the files that were written; none where there is no record, or a damaged one.
fn recorded(root: &Path) -> BTreeSet<String> {
    let text = fs_err::read(below(root, paths::BOOTSTRAP_RECORD)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn record(root: &Path, written: &BTreeSet<String>) -> Result<(), ApplyError> {
    let content = serde_json::to_string_pretty(written).unwrap_or_default() + "\n";
    apply::write(root, &PlannedFile::public(paths::BOOTSTRAP_RECORD, content))
}

/// Returns `true` for a path that bootstrap data can have a file at. A damaged record leads nowhere else.
fn is_of_this_place(path: &str) -> bool {
    let inner = path.strip_prefix("/etc/kubernetes/").unwrap_or_default();
    !inner.is_empty() && !inner.split('/').any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> PlannedFile {
        PlannedFile::secret(path, "{}")
    }

    /// The files of a boot with this bootstrap data, which is none for a NodeConfig.
    fn boot(root: &Path, files: Option<&[PlannedFile]>) -> Vec<String> {
        let _ = fs_err::remove_file(below(root, paths::BOOTSTRAP_FILES));
        if let Some(files) = files {
            prepare(root, files).unwrap();
        }
        settle(root).unwrap()
    }

    #[test]
    fn files_of_earlier_bootstrap_data_go() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let there = |path: &str| below(root, path).exists();
        let (azure, other) = ("/etc/kubernetes/azure.json", "/etc/kubernetes/cloud/other.json");
        let foreign = below(root, "/etc/kubernetes/cloud/foreign.json");
        assert!(boot(root, None).is_empty());
        assert!(!there(paths::BOOTSTRAP_RECORD));
        let told = boot(root, Some(&[file(azure), file(other)]));
        assert_eq!(told.len(), 2, "{told:?}");
        fs_err::write(&foreign, "of an add-on").unwrap();
        // The same boot, when the kubelet starts again.
        assert_eq!(settle(root).unwrap(), told);
        let told = boot(root, Some(&[file(other)]));
        assert!(!there(azure) && there(other), "{told:?}");
        assert!(told.contains(&format!("{azure} was of earlier bootstrap data, and is removed")));
        // A file that somebody else writes later is not in the record any more.
        fs_err::write(below(root, azure), "of an add-on").unwrap();
        let told = boot(root, None);
        assert!(there(azure) && !there(other) && foreign.exists(), "{told:?}");
        assert!(boot(root, None).is_empty());
    }

    #[test]
    fn a_file_may_become_a_folder() {
        let root = tempfile::tempdir().unwrap();
        boot(root.path(), Some(&[file("/etc/kubernetes/cloud")]));
        boot(root.path(), Some(&[file("/etc/kubernetes/cloud/azure.json")]));
        assert!(below(root.path(), "/etc/kubernetes/cloud/azure.json").exists());
    }

    #[test]
    fn nothing_goes_because_of_damage() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let azure = "/etc/kubernetes/azure.json";
        boot(root, Some(&[file(azure)]));
        fs_err::write(below(root, paths::BOOTSTRAP_FILES), "[{").unwrap();
        assert_eq!(settle(root).unwrap().len(), 1);
        assert!(below(root, azure).exists());
        // A record that leads elsewhere.
        let passwd = below(root, "/etc/passwd");
        fs_err::write(&passwd, "root").unwrap();
        let record = "[\"/etc/passwd\", \"/etc/kubernetes/../passwd\", \"/etc/kubernetes/\"]";
        fs_err::write(below(root, paths::BOOTSTRAP_RECORD), record).unwrap();
        assert!(boot(root, None).is_empty());
        assert!(passwd.exists());
        assert_eq!(
            fs_err::read_to_string(below(root, paths::BOOTSTRAP_RECORD)).unwrap(),
            "[]\n"
        );
        // What cannot be removed stays in the record, and keeps nothing from starting.
        let folder = below(root, "/etc/kubernetes/folder/inner");
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(below(root, paths::BOOTSTRAP_RECORD), "[\"/etc/kubernetes/folder\"]").unwrap();
        for _ in 0..2 {
            let told = boot(root, None);
            assert!(told.len() == 1 && told[0].contains("cannot be removed"), "{told:?}");
        }
    }
}
