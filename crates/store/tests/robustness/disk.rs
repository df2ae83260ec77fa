//! Disks that are full, or mounted read-only.

use basalt_process::Command;
use basalt_store::Store;

use crate::{able, child, key, scratch, tree};

const OWN_MOUNTS: &[&str] = &["unshare", "-rm"];

fn may_mount(test: &str) -> bool {
    able(
        test,
        &Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]),
    )
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_half_made() {
    if !may_mount("a full disk") {
        return;
    }
    let (guard, _) = scratch();
    let disk = camino::Utf8Path::from_path(guard.path()).expect("UTF-8");
    let script = "mount -t tmpfs -o size=2m tmpfs \"$0\" && exec \"$@\"";
    let mut prefix = OWN_MOUNTS.to_vec();
    prefix.extend(["sh", "-c", script, disk.as_str()]);
    child::command(&prefix, "fill", &disk.join("store"))
        .output()
        .expect("it goes well");
}

#[test]
fn a_disk_that_is_full_at_any_point_of_making_a_tree_leaves_nothing_half_made() {
    if !may_mount("a disk that is full at any point") {
        return;
    }
    let (guard, _) = scratch();
    let disk = camino::Utf8Path::from_path(guard.path()).expect("UTF-8");
    let script = "mount -t tmpfs -o size=16m tmpfs \"$0\" && exec \"$@\"";
    let mut prefix = OWN_MOUNTS.to_vec();
    prefix.extend(["sh", "-c", script, disk.as_str()]);
    child::command(&prefix, "full", &disk.join("store"))
        .output()
        .expect("it goes well");
}

#[test]
fn what_a_full_disk_cannot_take_is_not_missing_in_the_cache() {
    if !may_mount("a full disk and a cache") {
        return;
    }
    let (guard, _) = scratch();
    let disk = camino::Utf8Path::from_path(guard.path()).expect("UTF-8");
    let script = "mount -t tmpfs -o size=2m tmpfs \"$0\" && exec \"$@\"";
    let mut prefix = OWN_MOUNTS.to_vec();
    prefix.extend(["sh", "-c", script, disk.as_str()]);
    child::command(&prefix, "fetch", &disk.join("store"))
        .output()
        .expect("it goes well");
}

#[test]
fn a_store_on_a_read_only_mount_serves_hits() {
    if !may_mount("a read-only store") {
        return;
    }
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    store.insert(&b"hello"[..]).expect("stored");
    tree(&store, 1).expect("made");
    store.set_result(&key(1), &1).expect("kept");
    let script = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\"";
    let mut prefix = OWN_MOUNTS.to_vec();
    prefix.extend(["sh", "-c", script, root.as_str()]);
    child::command(&prefix, "read-only", &root)
        .output()
        .expect("it goes well");
    // And while the owner uses it.
    drop(store);
    child::command(&prefix, "read-only", &root)
        .output()
        .expect("it goes well");
}
