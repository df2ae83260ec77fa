//! The files of a few packages, as a tree: nothing is installed, no script is run.

use basalt_model::digest::Hasher;
use basalt_model::sdk_lock::SdkLock;
use basalt_process::Command;
use basalt_progress::Reporter;
use basalt_store::{Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};

use crate::SdkError;
use crate::archive::{self, ArchiveFile};

/// The tree with the files of the packages that a lock names; made if the store does not have it.
///
/// # Errors
/// When the lock cannot be read, and when a package cannot be had any more.
pub fn extracted(
    store: &Store,
    lock_path: &Utf8Path,
    lock_name: &'static str,
    reporter: &dyn Reporter,
) -> Result<Utf8PathBuf, SdkError> {
    let text = fs_err::read_to_string(lock_path).map_err(StoreError::io("cannot read", lock_path))?;
    let mut hasher = Hasher::new();
    hasher.fact("files of packages", "1").fact("lock", &text);
    let digest = hasher.finish();
    if let Some(tree) = store.tree(&digest) {
        return Ok(tree);
    }
    let lock = SdkLock::parse(&text).map_err(|error| SdkError::File {
        path: lock_path.to_owned(),
        message: error.to_string(),
        remedy: "write it anew: ./basalt sdk lock",
    })?;
    let files: Vec<_> = lock
        .packages
        .iter()
        .map(|package| ArchiveFile {
            path: package.path.clone(),
            sha256: package.sha256,
            size: package.size,
        })
        .collect();
    archive::fetch(&files, lock_name, store, reporter)?;
    store.tree_or_make(&digest, |tree| {
        for package in &lock.packages {
            let object = store.object_path(&package.sha256);
            Command::new("dpkg-deb")
                .args(["--extract", object.as_str(), tree.as_str()])
                .output()?;
        }
        Ok(())
    })
}
