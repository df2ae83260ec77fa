//! Trees: folders named by the digest of their inputs.

use basalt_model::digest::Digest;
use camino::{Utf8Path, Utf8PathBuf};

use crate::{Store, StoreError, write};

impl Store {
    /// Returns the path of the tree of a key, whether it exists or not.
    ///
    /// The name is short so that many of them fit into the options of one overlay mount.
    pub fn tree_path(&self, key: &Digest) -> Utf8PathBuf {
        self.root().join("trees").join(key.short())
    }

    /// Returns the path of the tree, if the store has it, and records its use, which collection respects.
    pub fn tree(&self, key: &Digest) -> Option<Utf8PathBuf> {
        self.hit(self.tree_path(key), Utf8Path::is_dir)
    }

    /// Returns the path of the tree of a key. When it does not exist, `make` fills an empty folder, which becomes the
    /// tree.
    ///
    /// Two processes that make the same tree at the same time both succeed: the first one's is kept.
    ///
    /// # Errors
    /// When `make` fails or the store cannot be written; no folder is left behind then.
    pub fn tree_or_make<E: From<StoreError>>(
        &self,
        key: &Digest,
        make: impl FnOnce(&Utf8Path) -> Result<(), E>,
    ) -> Result<Utf8PathBuf, E> {
        if let Some(path) = self.tree(key) {
            return Ok(path);
        }
        let workspace = self.workspace()?;
        let fresh = workspace.path().join("tree");
        fs_err::create_dir(&fresh).map_err(StoreError::io("cannot create", &fresh))?;
        make(&fresh)?;
        Ok(self.adopt_tree(key, &fresh)?)
    }

    /// Moves a finished folder (on the store's own disk, in a [workspace](crate::Workspace)) to the path of the tree of
    /// a key. Its content is on the disk before it has its name.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn adopt_tree(&self, key: &Digest, folder: &Utf8Path) -> Result<Utf8PathBuf, StoreError> {
        let path = self.tree_path(key);
        let stamp = || self.stamp(&std::fs::File::open(folder)?);
        stamp().map_err(StoreError::io("cannot set the time of", folder))?;
        write::sync_file_system(folder)?;
        match std::fs::rename(folder, &path) {
            Ok(()) => write::sync_folder(&self.root().join("trees")).map(|()| path),
            Err(_) if path.is_dir() => Ok(path),
            Err(source) => Err(StoreError::io("cannot move a finished tree to", &path)(source)),
        }
    }
}
