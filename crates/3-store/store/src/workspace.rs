//! Workspaces (temporary folders), and the removal of those whose process died.

use std::io;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use crate::lease::{self, Lease, Other};
use crate::name::{Kind, Name};
use crate::{Lock, Store, StoreError, layout, remove_tree};

/// Temporary folder on the store's disk, removed when dropped.
#[derive(Debug)]
pub struct Workspace {
    path: Utf8PathBuf,
    // The folder counts as abandoned as soon as its lease ends.
    _lease: Arc<Lease>,
}

impl Workspace {
    /// Returns the path of the folder.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            tracing::warn!(%error, "a workspace is left behind; the next run sweeps it");
        }
    }
}

impl Store {
    /// Makes a new empty folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn workspace(&self) -> Result<Workspace, StoreError> {
        let lease = self.lease("a workspace")?;
        let path = self.new_path(Kind::Work)?;
        fs_err::create_dir(&path).map_err(StoreError::io("cannot create", &path))?;
        Ok(Workspace {
            path,
            _lease: Arc::clone(lease),
        })
    }

    /// Returns a path in `tmp` that is unique to this process, and where nothing is.
    pub(crate) fn new_path(&self, kind: Kind) -> Result<Utf8PathBuf, StoreError> {
        let lease = self.lease("work under way")?;
        let name = Name {
            kind,
            lease: lease.id,
            number: self.next_number(),
        };
        Ok(self.root().join("tmp").join(name.to_string()))
    }

    /// Removes a file or folder on the store's disk. Its name disappears at once, also when this process is killed
    /// meanwhile.
    pub(crate) fn discard(&self, path: &Utf8Path) -> Result<(), StoreError> {
        match self.take_away(path)? {
            Some(trash) => remove(&trash),
            None => Ok(()),
        }
    }

    /// Moves a file or folder into `tmp`, the first half of [`Self::discard`], and returns its new path; `None` when it
    /// is gone already.
    pub(crate) fn take_away(&self, path: &Utf8Path) -> Result<Option<Utf8PathBuf>, StoreError> {
        let trash = self.new_path(Kind::Trash)?;
        match rename_folder_or_file(path, &trash) {
            Ok(()) => Ok(Some(trash)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("cannot remove", path)(error)),
        }
    }

    /// Removes what dead processes left in `tmp`, and nothing else.
    pub(crate) fn sweep(&self) -> Result<(), StoreError> {
        let own = self.lease("the sweeping of abandoned work")?.id;
        let locks = self.root().join("locks");
        for other in lease::others(&locks, own)? {
            if let Other::Abandoned { id, lock } = other {
                self.sweep_where(|name| name.lease == id)?;
                lease::forget(&locks, id, lock);
            }
        }
        // A process that ends in order removes its lease last; an entry without one was left because its removal
        // failed.
        self.sweep_where(|name| name.lease != own && !lease::exists(&locks, name.lease))
    }

    fn sweep_where(&self, abandoned: impl Fn(&Name) -> bool) -> Result<(), StoreError> {
        let tmp = self.root().join("tmp");
        for entry in tmp.read_dir_utf8().map_err(StoreError::io("cannot list", &tmp))? {
            let entry = entry.map_err(StoreError::io("cannot list", &tmp))?;
            if Name::parse(entry.file_name()).is_some_and(|name| abandoned(&name)) {
                self.sweep_one(entry.path());
            }
        }
        Ok(())
    }

    /// Removes temporary files of versions that wrote no marker, in a store that has just got its own.
    pub(crate) fn sweep_unmarked(&self) -> Result<(), StoreError> {
        let Some(_alone) = Lock::try_exclusive(&self.root().join("locks/lease"))? else {
            tracing::debug!("an earlier version is at work in this store");
            return Ok(());
        };
        let tmp = self.root().join("tmp");
        for entry in tmp.read_dir_utf8().map_err(StoreError::io("cannot list", &tmp))? {
            let entry = entry.map_err(StoreError::io("cannot list", &tmp))?;
            if layout::is_unmarked_work(entry.file_name()) {
                self.sweep_one(entry.path());
            }
        }
        Ok(())
    }

    /// Discards abandoned files; a failure is logged only, since it costs nothing but space.
    fn sweep_one(&self, path: &Utf8Path) {
        if let Err(error) = self.discard(path) {
            tracing::warn!(%path, %error, "abandoned work cannot be removed");
        }
    }
}

/// Renames a file or folder. A folder that may not be written to cannot change its parent, and is made writable.
pub(crate) fn rename_folder_or_file(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && is_folder(from) => {
            crate::remove::make_writable(from)?;
            std::fs::rename(from, to)
        }
        renamed => renamed,
    }
}

fn is_folder(path: &Utf8Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

/// Removes a file, or a folder with all its content.
pub(crate) fn remove(path: &Utf8Path) -> Result<(), StoreError> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => remove_tree(path),
        Ok(_) => match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("cannot remove", path)(error)),
            _ => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io("cannot remove", path)(error)),
    }
}
