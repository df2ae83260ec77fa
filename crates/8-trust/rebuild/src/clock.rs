//! The clock of another day: a library that the SDK's programs load.
//!
//! The kernel has namespaces for the clocks that measure how long something takes, and none for the one that tells the time.
//! So programs are told another time by the functions that they ask. Programs that ask the kernel themselves, which those
//! that Go's compiler made do, are not: for them it is only later.

use basalt_action::{Action, Blob, Directory, Node};
use basalt_sandbox::Mount;
use basalt_sdk::SdkTree;
use basalt_store::Store;
use camino::Utf8PathBuf;

use crate::RebuildError;

const SOURCE: &str = include_str!("clock.c");
/// Path of the library in its tree, and in a build root that has the tree as a layer.
pub(crate) const LIBRARY: &str = "usr/lib/basalt-clock.so";
/// By how many days the clock goes ahead: another year, month, day of the month and of the week.
pub(crate) const DAYS: u64 = 400;

/// The tree with the library, compiled by the SDK's compiler unless the store has it.
pub(crate) fn tree(sdk: &SdkTree, store: &Store) -> Result<Utf8PathBuf, RebuildError> {
    let seconds = DAYS * 24 * 60 * 60;
    let source = Node::File {
        blob: Blob::of(SOURCE),
        mode: 0o644,
    };
    let mut inputs = Directory::new();
    for (name, node) in [("clock.c", source), ("sdk", Node::Tree(sdk.root))] {
        inputs
            .insert(name, node)
            .map_err(|source| RebuildError::Inputs { source })?;
    }
    let action = Action::function("compile-clock", &[include_str!("clock.rs")], inputs);
    let made = store.made_directory::<RebuildError>(&action, |tree| {
        basalt_store::write::atomically(&tree.join("usr/src/clock.c"), SOURCE)?;
        basalt_store::write::atomically(&tree.join(LIBRARY), "")?;
        let compile = sdk.sandbox().mount(Mount::Bind {
            from: tree.to_owned(),
            to: "/clock".into(),
            writable: true,
        });
        let shift = format!("-DSHIFT={seconds}L");
        let output = format!("/clock/{LIBRARY}");
        let arguments = [
            "-O2",
            "-Wall",
            "-Werror",
            "-shared",
            "-fPIC",
            &shift,
            "-o",
            &output,
            "/clock/usr/src/clock.c",
        ];
        compile.command("gcc", arguments).output()?;
        Ok(())
    })?;
    Ok(store.directory_path(&made.root.digest))
}
