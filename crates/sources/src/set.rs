//! The sources of one package.

use basalt_model::digest::{Digest, Hasher};
use basalt_model::source_lock::SourceLock;
use basalt_progress::Reporter;
use basalt_sdk::SdkTree;
use basalt_store::{Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};

use crate::{SourcesError, crates, download, go, repository};

/// A package's lock with the folder that it is in.
#[derive(Debug, Clone)]
pub struct SourceSet {
    pub(crate) package: String,
    pub(crate) folder: Utf8PathBuf,
    pub(crate) lock: SourceLock,
}

/// What fetching works with.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The root of the repository.
    pub root: Utf8PathBuf,
    /// The tree with Go in it.
    pub sdk: SdkTree,
}

/// A source in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its name for the spec.
    pub name: String,
    /// The file or folder.
    pub path: Utf8PathBuf,
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
    /// When the lock is wrong.
    pub fn load(folder: &Utf8Path) -> Result<Self, SourcesError> {
        let path = folder.join("sources.toml");
        let lock = match std::fs::read_to_string(&path) {
            Ok(text) => SourceLock::parse(&text, &path).map_err(Box::new)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => SourceLock::default(),
            Err(error) => return Err(StoreError::io("cannot read", &path)(error).into()),
        };
        let package = folder.file_name().unwrap_or_default().to_owned();
        Ok(Self {
            package,
            folder: folder.to_owned(),
            lock,
        })
    }

    /// Whether it is made from Go modules or crates.
    pub fn has_modules(&self) -> bool {
        !self.lock.go.is_empty() || !self.lock.cargo.is_empty()
    }

    /// The digest of all that the lock names. It reads files of the repository, and nothing else.
    ///
    /// # Errors
    /// When the lock names files of the repository that are not there.
    pub fn digest(&self, tools: &Tools) -> Result<Digest, SourcesError> {
        let mut hasher = Hasher::new();
        for file in &self.lock.files {
            hasher.fact("file", &file.file).fact("digest", file.sha256.as_bytes());
        }
        for modules in &self.lock.go {
            hasher.fact("go", go::key(self, modules, tools)?.as_bytes());
        }
        for locked in &self.lock.cargo {
            hasher.fact("cargo", crates::key(self, locked)?.as_bytes());
        }
        for tree in &self.lock.trees {
            hasher.fact("tree", repository::key(self, tree, tools)?.as_bytes());
        }
        Ok(hasher.finish())
    }

    /// Brings all of it into the store, as far as it is not there.
    ///
    /// # Errors
    /// When something cannot be had, or is not what is locked.
    pub fn fetch(&self, store: &Store, tools: &Tools, reporter: &dyn Reporter) -> Result<Vec<Fetched>, SourcesError> {
        let mut fetched = Vec::new();
        for file in &self.lock.files {
            fetched.push(Fetched {
                name: file.file.clone(),
                path: download::fetch(self, file, store, reporter)?,
            });
        }
        for modules in &self.lock.go {
            let path = go::fetch(self, modules, store, tools, reporter)?;
            fetched.push(Fetched {
                name: "gomodcache".to_owned(),
                path,
            });
        }
        for locked in &self.lock.cargo {
            fetched.push(Fetched {
                name: "vendor".to_owned(),
                path: crates::fetch(self, locked, store, reporter)?,
            });
        }
        for tree in &self.lock.trees {
            fetched.push(Fetched {
                name: tree.name.clone(),
                path: repository::fetch(self, tree, store, tools)?,
            });
        }
        Ok(fetched)
    }

    /// The lock's path, for errors.
    pub(crate) fn lock_path(&self) -> Utf8PathBuf {
        self.folder.join("sources.toml")
    }

    /// Reads a file that the lock names.
    pub(crate) fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, SourcesError> {
        std::fs::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => SourcesError::NoSuchFile {
                lock: self.lock_path(),
                path: path.to_owned(),
            },
            _ => StoreError::io("cannot read", path)(error).into(),
        })
    }
}
