//! Crates, as `cargo vendor` lays them out.

use basalt_action::Action;
use basalt_model::source_lock::Crates;
use basalt_process::{Command, tool};
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_store::{Store, StoreError};
use camino::Utf8Path;

use crate::input::file_node;
use crate::{SourceSet, SourcesError};

/// The action that fetches: the lock decides.
pub(crate) fn action(set: &SourceSet, locked: &Crates) -> Result<Action, SourcesError> {
    let lock = set.read(&set.folder.join(&locked.lock))?;
    let inputs = set.action_inputs([("Cargo.lock", file_node(&lock))])?;
    let mut action = Action::function("vendor-crates", &[include_str!("crates.rs")], inputs);
    action.arguments.extend(locked.package.clone());
    Ok(action)
}

/// Fills a folder with the vendored crates, by the machine's cargo and its registry.
pub(crate) fn fill(
    set: &SourceSet,
    locked: &Crates,
    tree: &Utf8Path,
    _store: &Store,
    reporter: &dyn Reporter,
) -> Result<(), SourcesError> {
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
}
