//! Stores of other users.

use std::os::unix::fs::{PermissionsExt as _, chown};

use basalt_process::Command;
use basalt_store::Store;
use camino::Utf8Path;

use crate::{able, child, key, scratch, tree};

/// Id of a user that is neither root nor anybody else.
const USER: u32 = 54_321;

fn as_user() -> [&'static str; 5] {
    ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--"]
}

fn may_change_user(test: &str) -> bool {
    able(
        test,
        &Command::new("setpriv").args(["--reuid=54321", "--regid=54321", "--clear-groups", "--", "true"]),
    )
}

/// Gives all users access to the path of the store.
fn open_up(root: &Utf8Path) {
    let folder = root.parent().expect("a folder");
    fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("changed");
}

#[test]
fn a_store_of_another_user_serves_hits() {
    if !may_change_user("a store of another user") {
        return;
    }
    let (_guard, root) = scratch();
    open_up(&root);
    let store = Store::open(&root).expect("opens");
    store.insert(&b"hello"[..]).expect("stored");
    tree(&store, 1).expect("made");
    store.set_result(&key(1), &1).expect("kept");
    child::command(&as_user(), "read-only", &root)
        .output()
        .expect("it goes well");
}

#[test]
fn a_folder_that_sudo_made_is_named() {
    if !may_change_user("a folder that sudo made") {
        return;
    }
    let (_guard, root) = scratch();
    open_up(&root);
    drop(Store::open(&root).expect("opens"));
    for path in [
        "",
        "trees",
        "results",
        "damaged",
        "tmp",
        "locks",
        "locks/gate",
        "locks/lease",
        "logs",
    ] {
        chown(root.join(path), Some(USER), Some(USER)).expect("given away");
    }
    child::command(&as_user(), "owner", &root)
        .output()
        .expect("it goes well");
}
