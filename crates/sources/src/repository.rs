//! Files of this repository itself, as sources of a package.

use basalt_model::digest::{Digest, Hasher};
use basalt_model::source_lock::RepositoryFiles;
use basalt_store::{Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};

use crate::{SourceSet, SourcesError, Tools};

/// The digest of the files: their names and contents.
pub(crate) fn key(set: &SourceSet, files: &RepositoryFiles, tools: &Tools) -> Result<Digest, SourcesError> {
    let mut hasher = Hasher::new();
    hasher.fact("files of the repository", "1");
    for path in list(set, files, tools)? {
        hasher.fact(path.as_str(), set.read(&tools.root.join(&path))?);
    }
    Ok(hasher.finish())
}

/// A copy of the files in the store.
pub(crate) fn fetch(
    set: &SourceSet,
    files: &RepositoryFiles,
    store: &Store,
    tools: &Tools,
) -> Result<Utf8PathBuf, SourcesError> {
    let key = key(set, files, tools)?;
    store.tree_or_make(&key, |tree| {
        for path in list(set, files, tools)? {
            let to = tree.join(&path);
            if let Some(folder) = to.parent() {
                fs_err::create_dir_all(folder).map_err(StoreError::io("cannot create", folder))?;
            }
            fs_err::copy(tools.root.join(&path), &to).map_err(StoreError::io("cannot copy", &to))?;
        }
        Ok(())
    })
}

/// All files below the paths that are named, from the root of the repository, sorted.
pub(crate) fn list(set: &SourceSet, files: &RepositoryFiles, tools: &Tools) -> Result<Vec<Utf8PathBuf>, SourcesError> {
    let mut found = Vec::new();
    let mut rest = files.paths.clone();
    while let Some(path) = rest.pop() {
        let place = tools.root.join(&path);
        if place.is_dir() {
            for entry in place.read_dir_utf8().map_err(StoreError::io("cannot list", &place))? {
                let entry = entry.map_err(StoreError::io("cannot list", &place))?;
                if !is_scratch(entry.path()) {
                    rest.push(path.join(entry.file_name()));
                }
            }
        } else if place.is_file() {
            found.push(path);
        } else {
            return Err(SourcesError::NoSuchFile {
                lock: set.lock_path(),
                path,
            });
        }
    }
    found.sort();
    Ok(found)
}

/// Build products and editors' files are no sources.
fn is_scratch(path: &Utf8Path) -> bool {
    path.file_name()
        .is_some_and(|name| name == "target" || name.starts_with('.') || name.ends_with('~'))
}
