//! Files of this repository itself, as sources of a package.

use std::os::unix::fs::PermissionsExt as _;

use basalt_model::digest::{Digest, Hasher};
use basalt_model::source_lock::RepositoryFiles;
use basalt_store::{Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};

use crate::{SourceSet, SourcesError, Tools};

/// Files of the repository that a package is made from, as they were when they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryTree {
    /// The folder's name for the spec.
    pub name: String,
    /// The files, sorted by path.
    pub files: Vec<RepositoryFile>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RepositoryFile {
    /// Path from the root of the repository.
    pub path: Utf8PathBuf,
    /// Digest of its content.
    pub sha256: Digest,
    /// Whether its owner may run it.
    pub executable: bool,
}

impl RepositoryTree {
    /// Reads the files below the paths that a lock names.
    pub(crate) fn read(set: &SourceSet, files: &RepositoryFiles, root: &Utf8Path) -> Result<Self, SourcesError> {
        let mut found = Vec::new();
        let mut rest = files.paths.clone();
        while let Some(path) = rest.pop() {
            let place = root.join(&path);
            let metadata = std::fs::symlink_metadata(&place).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => SourcesError::NoSuchFile {
                    lock: set.lock_path(),
                    path: path.clone(),
                },
                _ => StoreError::io("cannot look at", &place)(error).into(),
            })?;
            if metadata.is_dir() {
                for entry in place.read_dir_utf8().map_err(StoreError::io("cannot list", &place))? {
                    let entry = entry.map_err(StoreError::io("cannot list", &place))?;
                    if !is_scratch(entry.path()) {
                        rest.push(path.join(entry.file_name()));
                    }
                }
            } else if metadata.is_file() {
                found.push(RepositoryFile {
                    sha256: Digest::of(set.read(&place)?),
                    executable: metadata.permissions().mode() & 0o100 != 0,
                    path,
                });
            } else {
                return Err(SourcesError::NotPlain {
                    lock: set.lock_path(),
                    path,
                });
            }
        }
        found.sort();
        found.dedup();
        Ok(Self {
            name: files.name.clone(),
            files: found,
        })
    }

    /// Digest of the names, contents and modes.
    pub fn key(&self) -> Digest {
        let mut hasher = Hasher::new();
        hasher.fact("files of the repository", "2");
        for file in &self.files {
            hasher
                .fact(file.path.as_str(), file.sha256.as_bytes())
                .fact("executable", [u8::from(file.executable)]);
        }
        hasher.finish()
    }

    /// Writes the files below `tree`, which is empty.
    ///
    /// # Errors
    /// When a file is not any more what it was when it was read.
    pub fn fill(&self, tree: &Utf8Path, root: &Utf8Path) -> Result<(), SourcesError> {
        for file in &self.files {
            let (from, to) = (root.join(&file.path), tree.join(&file.path));
            let content = fs_err::read(&from).map_err(StoreError::io("cannot read", &from))?;
            if Digest::of(&content) != file.sha256 {
                return Err(SourcesError::Changed { path: from });
            }
            if let Some(folder) = to.parent() {
                fs_err::create_dir_all(folder).map_err(StoreError::io("cannot create", folder))?;
            }
            fs_err::write(&to, content).map_err(StoreError::io("cannot write", &to))?;
            let mode = if file.executable { 0o755 } else { 0o644 };
            fs_err::set_permissions(&to, std::fs::Permissions::from_mode(mode))
                .map_err(StoreError::io("cannot change the permissions of", &to))?;
        }
        Ok(())
    }
}

/// Copy of the files in the store.
pub(crate) fn fetch(
    set: &SourceSet,
    files: &RepositoryTree,
    store: &Store,
    tools: &Tools,
) -> Result<Utf8PathBuf, SourcesError> {
    tracing::debug!(package = set.package(), name = files.name, "files of the repository");
    store.tree_or_make(&files.key(), |tree| files.fill(tree, &tools.root))
}

/// Build products and editors' files are no sources.
fn is_scratch(path: &Utf8Path) -> bool {
    path.file_name()
        .is_some_and(|name| name == "target" || name.starts_with('.') || name.ends_with('~'))
}
