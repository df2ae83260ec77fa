//! Lookup in a cache that is shared with others, for entries that the store does not have.
//!
//! Entries that the store does not have are fetched from the cache, and kept in the store as if they had been made
//! here. The cache verifies what it returns (digests of content, signatures of results), and reports its own failures
//! as missing entries. A failure of the store is an error: what a full disk cannot take is not missing in the cache,
//! and must not be built again.

use std::fmt::Debug;
use std::fs::File;
use std::io;

use basalt_action::{ActionResult, Blob, Directory, Node, OutputDirectory};
use camino::{Utf8Path, Utf8PathBuf};

use crate::name::Kind;
use crate::{Store, StoreError, write};

/// Interface of a shared cache. Failures of the cache are reported as missing entries, never as errors.
pub trait SharedCache: Debug + Send + Sync {
    /// Returns the result of an action, if the cache has one that is trusted.
    fn action_result(&self, key: &Blob) -> Option<ActionResult>;

    /// Writes the content of a blob into a file, from its start. Returns `false` when it cannot be fetched completely;
    /// the file is of no use then.
    ///
    /// # Errors
    /// When the file cannot be written.
    fn fetch(&self, blob: &Blob, into: &mut File) -> io::Result<bool>;
}

impl Store {
    /// Returns the path of an intact object, fetched from the shared cache if need be; none when neither has it.
    ///
    /// # Errors
    /// When the store cannot be read or written, and when interrupted.
    pub fn obtain(&self, blob: &Blob) -> Result<Option<Utf8PathBuf>, StoreError> {
        if let Some(path) = self.intact_object(&blob.digest)? {
            return Ok(Some(path));
        }
        let Some(cache) = self.shared() else { return Ok(None) };
        let fresh = self.new_path(Kind::File)?;
        let kept = self.fetch_object(cache, blob, &fresh);
        if !matches!(kept, Ok(Some(_))) {
            drop(std::fs::remove_file(&fresh));
            basalt_process::interrupt::check()?;
        }
        kept
    }

    /// Fetches an object by way of the path `fresh`, and returns its final path; none when the cache does not have it.
    fn fetch_object(
        &self,
        cache: &dyn SharedCache,
        blob: &Blob,
        fresh: &Utf8Path,
    ) -> Result<Option<Utf8PathBuf>, StoreError> {
        let failed = || StoreError::io("cannot store an object in", fresh);
        let mut file = File::create_new(fresh).map_err(failed())?;
        if !cache.fetch(blob, &mut file).map_err(failed())? {
            return Ok(None);
        }
        let finish = || {
            crate::objects::set_read_only(&file)?;
            self.stamp(&file)?;
            file.sync_all()
        };
        finish().map_err(failed())?;
        let path = self.object_path(&blob.digest);
        self.rename_to_entry(fresh, &path)?;
        write::sync_folder(&self.root().join("objects"))?;
        // The cache has compared it while it was received.
        self.set_verified(&blob.digest);
        Ok(Some(path))
    }

    /// Returns the path of a directory, fetched from the shared cache if need be; none when neither has all of it.
    ///
    /// # Errors
    /// When the store cannot be read or written, and when interrupted.
    pub fn obtain_directory(&self, directory: &OutputDirectory) -> Result<Option<Utf8PathBuf>, StoreError> {
        if let Some(path) = self.directory(&directory.root.digest) {
            return Ok(Some(path));
        }
        if self.shared().is_none() {
            return Ok(None);
        }
        let Some(path) = self.obtain(&directory.tree)? else {
            return Ok(None);
        };
        let bytes = fs_err::read(&path).map_err(StoreError::io("cannot read", &path))?;
        let Ok(described) = Directory::from_tree(&bytes) else {
            return Ok(None);
        };
        let workspace = self.workspace()?;
        let folder = workspace.path().join("fetched");
        if !self.fetch_directory(&described, &folder)? {
            return Ok(None);
        }
        let made = self.adopt_directory(&folder)?;
        // The message and the digest of its root come from one signed result; they agree unless the signer was wrong.
        Ok((made.root == directory.root).then(|| self.directory_path(&made.root.digest)))
    }

    fn fetch_directory(&self, directory: &Directory, folder: &Utf8Path) -> Result<bool, StoreError> {
        use std::os::unix::fs::PermissionsExt as _;
        fs_err::create_dir(folder).map_err(StoreError::io("cannot create", folder))?;
        let Some(cache) = self.shared() else { return Ok(false) };
        for (name, node) in directory.entries() {
            basalt_process::interrupt::check()?;
            let path = folder.join(name);
            let failed = || StoreError::io("cannot write", &path);
            match node {
                Node::Directory(below) => {
                    if !self.fetch_directory(below, &path)? {
                        return Ok(false);
                    }
                }
                Node::Symlink { target } => {
                    std::os::unix::fs::symlink(target, &path).map_err(failed())?;
                }
                Node::File { blob, mode } => {
                    let mut file = File::create_new(&path).map_err(failed())?;
                    if !cache.fetch(blob, &mut file).map_err(failed())? {
                        return Ok(false);
                    }
                    let mode = std::fs::Permissions::from_mode(*mode);
                    file.set_permissions(mode).map_err(failed())?;
                }
                Node::Tree(_) => return Ok(false),
            }
        }
        let mode = std::fs::Permissions::from_mode(directory.mode() | 0o700);
        fs_err::set_permissions(folder, mode).map_err(StoreError::io("cannot write", folder))?;
        Ok(true)
    }
}
