//! Robustness of the store: killed processes, a full disk, a read-only mount, other users, damaged disks, wrong clocks,
//! and concurrent use.
//!
//! Child processes run roles of [`child`]: the tests start their own program again, where need be in namespaces of its
//! own.

#![cfg(test)]

mod child;
mod clock;
mod damage;
mod disk;
mod kills;
mod sharing;
mod usage;
mod users;

use std::time::SystemTime;

use basalt_action::{Action, Blob, Directory, Node};
use basalt_digest::Digest;
use basalt_process::Command;
use basalt_store::{GcPolicy, GcStats, Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};

/// Number of files in each of the tests' trees.
const FILES: u32 = 20;

/// Makes a folder for one test, with a path that is hard to split: on a file system in memory, if there is one, since
/// the speed of disks is not tested here.
fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
    let memory = std::path::Path::new("/dev/shm");
    let guard = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let guard = guard.expect("a folder");
    let root = Utf8Path::from_path(guard.path())
        .expect("UTF-8")
        .join("a store, of tests");
    (guard, root)
}

/// Returns the key of a test's result.
fn key(number: u32) -> Digest {
    Digest::of(number.to_le_bytes())
}

/// Returns the action that makes the tree of a number.
fn action(number: u32) -> Action {
    let mut inputs = Directory::new();
    let blob = Blob::of(number.to_le_bytes());
    let node = Node::File { blob, mode: 0o644 };
    inputs.insert("number", node).expect("the only input");
    Action::function("make-test-tree", &["1"], inputs)
}

/// Returns the path of the tree of a number, which is made unless it is known: as the SDK, unpacked RPMs and images
/// are.
fn tree(store: &Store, number: u32) -> Result<Utf8PathBuf, StoreError> {
    let made = store.made_directory(&action(number), |folder| {
        for file in 0..FILES {
            basalt_store::write::atomically(&folder.join(file.to_string()), number.to_string())?;
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(store.directory_path(&made.root.digest))
}

/// Returns the path of the tree of a number, if its action is known and its content is there.
fn known_tree(store: &Store, number: u32) -> Option<Utf8PathBuf> {
    let known = store.known_directory(&action(number).key()).expect("looked up")?;
    Some(store.directory_path(&known.root.digest))
}

/// Sets the time of the last use of an entry.
fn set_used(path: &Utf8Path, time: SystemTime) {
    let entry = fs_err::File::open(path).expect("there");
    entry.set_modified(time).expect("set");
}

/// Lists the paths of all entries of a store.
fn entries(store: &Store) -> Vec<Utf8PathBuf> {
    let folders = ["objects", "trees", "actions", "results", "damaged"];
    let below = |folder: &str| {
        let listed = names(store, folder).into_iter();
        let folder = store.root().join(folder);
        listed.map(|name| folder.join(name)).collect::<Vec<_>>()
    };
    folders.into_iter().flat_map(below).collect()
}

/// Compares the tree of a number with its expected content; returns the differences.
fn tree_faults(path: &Utf8Path, number: u32) -> Vec<String> {
    let fault = |file: u32| match fs_err::read_to_string(path.join(file.to_string())) {
        Ok(text) if text == number.to_string() => None,
        Ok(text) => Some(format!("{path}/{file}: {text}")),
        Err(error) => Some(format!("{path}/{file}: {error}")),
    };
    (0..FILES).filter_map(fault).collect()
}

/// Removes all that is not in use.
fn collect_all(store: &Store) -> Result<GcStats, StoreError> {
    let policy = GcPolicy {
        max_idle: Some(std::time::Duration::ZERO),
        max_bytes: None,
    };
    let plan = store.plan_collection(&policy, &basalt_progress::Silent)?;
    store.collect(&plan, &basalt_progress::Silent)
}

/// Verifies all entries of a store; returns what is wrong.
fn faults(store: &Store) -> Vec<String> {
    let verified = store.verify(&basalt_progress::Silent).expect("verified");
    let mut faults: Vec<_> = verified.iter().map(|damaged| format!("{damaged:?}")).collect();
    for number in 0..child::KEYS {
        if let Some(path) = known_tree(store, number) {
            faults.extend(tree_faults(&path, number));
        }
        if store.has_result(&key(number)) && store.result::<u32>(&key(number)) != Some(number) {
            faults.push(format!("the result of {number}"));
        }
    }
    faults
}

/// Lists the names in one of the store's folders.
fn names(store: &Store, folder: &str) -> Vec<String> {
    let entries = store.root().join(folder).read_dir_utf8().expect("a folder");
    entries
        .map(|entry| entry.expect("listed").file_name().to_owned())
        .collect()
}

/// Returns `true` if a command for namespaces or users works here; says that the test is skipped when it does not.
fn able(test: &str, command: &Command) -> bool {
    match command.output() {
        Ok(_) => true,
        Err(error) => {
            basalt_test_output::skip(test, error);
            false
        }
    }
}
