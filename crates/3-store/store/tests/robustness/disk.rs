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

/// Runs a child with its store on a disk of that size, as of `size` in tmpfs(5).
fn on_small_disk(test: &str, size: &str, work: &str) {
    if !may_mount(test) {
        return;
    }
    let (guard, _) = scratch();
    let disk = camino::Utf8Path::from_path(guard.path()).expect("UTF-8");
    let script = format!("mount -t tmpfs -o size={size} tmpfs \"$0\" && exec \"$@\"");
    let mut prefix = OWN_MOUNTS.to_vec();
    prefix.extend(["sh", "-c", &script, disk.as_str()]);
    child::command(&prefix, work, &disk.join("store"))
        .output()
        .expect("it goes well");
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_half_made() {
    on_small_disk("a full disk", "2m", "fill");
}

#[test]
fn a_disk_that_is_full_at_any_point_of_making_a_tree_leaves_nothing_half_made() {
    on_small_disk("a disk that is full at any point", "16m", "full");
}

#[test]
fn what_a_full_disk_cannot_take_is_not_missing_in_the_cache() {
    on_small_disk("a full disk and a cache", "2m", "fetch");
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
