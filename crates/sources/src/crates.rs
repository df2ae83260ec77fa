//! Crates, as `cargo vendor` lays them out.

use basalt_model::digest::{Digest, Hasher};
use basalt_model::source_lock::Crates;
use basalt_process::{Command, tool};
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_store::{Store, StoreError};
use camino::Utf8PathBuf;

use crate::{SourceSet, SourcesError};

/// The digest of what is fetched: the lock decides it.
pub(crate) fn key(set: &SourceSet, locked: &Crates) -> Result<Digest, SourcesError> {
    let mut hasher = Hasher::new();
    hasher
        .fact("crates", "1")
        .fact("lock", set.read(&set.folder.join(&locked.lock))?);
    hasher.fact("package", locked.package.as_deref().unwrap_or_default());
    Ok(hasher.finish())
}

/// The vendored crates, by the machine's cargo and its registry.
pub(crate) fn fetch(
    set: &SourceSet,
    locked: &Crates,
    store: &Store,
    reporter: &dyn Reporter,
) -> Result<Utf8PathBuf, SourcesError> {
    let key = key(set, locked)?;
    store.tree_or_make(&key, |tree| {
        let task = reporter.task(&format!("{}: crates", set.package), Unit::Items, None);
        let lock = set.folder.join(&locked.lock);
        let manifest = lock.with_file_name("Cargo.toml");
        // Cargo makes the folder itself.
        fs_err::remove_dir(tree).map_err(StoreError::io("cannot replace", tree))?;
        let failed = |source| SourcesError::Modules {
            what: "crates",
            package: set.package.clone(),
            source: Box::new(source),
        };
        Command::tool(tool::CARGO)
            .args(["vendor", "--quiet", "--locked", "--versioned-dirs", "--manifest-path"])
            .arg(&manifest)
            .arg(tree)
            .output()
            .map_err(failed)?;
        task.finish(Outcome::Done);
        Ok(())
    })
}
