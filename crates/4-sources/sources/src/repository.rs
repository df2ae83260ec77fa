//! Files of this repository itself, as sources of a package.

use crate::source_lock::RepositoryFiles;
use basalt_store::FolderSnapshot;

use crate::{SourceSet, SourcesError, Tools};

/// The files that are named, as they are now.
pub(crate) fn snapshot(
    set: &SourceSet,
    files: &RepositoryFiles,
    tools: &Tools,
) -> Result<FolderSnapshot, SourcesError> {
    let mut snapshot = FolderSnapshot::default();
    for path in &files.paths {
        let place = tools.root.join(path);
        if !place.exists() {
            return Err(SourcesError::NoSuchFile {
                lock: set.lock_path(),
                path: path.clone(),
            });
        }
        let below = if place.is_dir() {
            path
        } else {
            path.parent().unwrap_or(path)
        };
        // Build products are no sources.
        let found = FolderSnapshot::take_where(&place, |name| name != "target")?;
        snapshot.extend_below(below.as_str(), found);
    }
    Ok(snapshot)
}
