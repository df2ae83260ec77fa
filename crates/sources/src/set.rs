//! The sources of one package.

use basalt_model::source_lock::SourceLock;
use basalt_sdk::SdkTree;
use basalt_store::{Snapshot, StoreError};
use camino::{Utf8Path, Utf8PathBuf};

use crate::SourcesError;

/// Name of the lock in a package's folder.
const LOCK: &str = "sources.toml";

/// A package's lock with the folder that it is in.
#[derive(Debug, Clone)]
pub struct SourceSet {
    pub(crate) package: String,
    pub(crate) folder: Utf8PathBuf,
    pub(crate) lock: SourceLock,
    /// The package's folder as it was read.
    pub(crate) files: Snapshot,
}

/// What fetching works with.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The root of the repository.
    pub root: Utf8PathBuf,
    /// The tree with Go in it.
    pub sdk: SdkTree,
}

impl Tools {
    /// Tools that fetch for the packages of a repository.
    pub fn new(root: &Utf8Path, sdk: &SdkTree) -> Self {
        Self {
            root: root.to_owned(),
            sdk: sdk.clone(),
        }
    }
}

impl SourceSet {
    /// Reads the lock of the package in that folder; a package without one has no sources but its folder.
    ///
    /// # Errors
    /// When the folder cannot be read, or the lock is wrong.
    pub fn load(folder: &Utf8Path) -> Result<Self, SourcesError> {
        Self::of_snapshot(folder, &Snapshot::take(folder)?)
    }

    /// The same, of a folder that was read already.
    ///
    /// # Errors
    /// When the lock is wrong.
    pub fn of_snapshot(folder: &Utf8Path, files: &Snapshot) -> Result<Self, SourcesError> {
        let lock = match files.read(LOCK) {
            Some(bytes) => {
                let path = folder.join(LOCK);
                SourceLock::parse(&String::from_utf8_lossy(bytes), &path).map_err(Box::new)?
            }
            None => SourceLock::default(),
        };
        Ok(Self {
            package: folder.file_name().unwrap_or_default().to_owned(),
            folder: folder.to_owned(),
            lock,
            files: files.clone(),
        })
    }

    /// Whether it is made from Go modules.
    pub fn has_go(&self) -> bool {
        !self.lock.go.is_empty()
    }

    /// Whether it is made from Go modules or crates.
    pub fn has_modules(&self) -> bool {
        !self.lock.go.is_empty() || !self.lock.cargo.is_empty()
    }

    /// The lock's path, for errors.
    pub(crate) fn lock_path(&self) -> Utf8PathBuf {
        self.folder.join(LOCK)
    }

    /// Reads a file that the lock names: from the package's folder as it was read, else from the checkout.
    pub(crate) fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, SourcesError> {
        let inside = path.strip_prefix(&self.folder).ok();
        if let Some(bytes) = inside.and_then(|name| self.files.read(name.as_str())) {
            return Ok(bytes.to_vec());
        }
        std::fs::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => SourcesError::NoSuchFile {
                lock: self.lock_path(),
                path: path.to_owned(),
            },
            _ => StoreError::io("cannot read", path)(error).into(),
        })
    }
}
