//! Folders and files that are not the store's: never changed.

#![cfg(test)]

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use basalt_action::{Action, Directory};
use basalt_digest::Digest;
use basalt_progress::Silent;
use basalt_store::{GcPlan, GcPolicy, Store, StoreError, files_below};
use camino::{Utf8Path, Utf8PathBuf};

/// Description of everything below a folder in which a change would show.
fn state(root: &Utf8Path) -> Vec<(Utf8PathBuf, Vec<u8>, u32, SystemTime)> {
    let facts = |path: Utf8PathBuf| {
        let metadata = path.symlink_metadata().expect("there");
        let modified = metadata.modified().expect("a time");
        (
            path.clone(),
            fs_err::read(path).expect("read"),
            metadata.permissions().mode(),
            modified,
        )
    };
    files_below(root).expect("listed").into_iter().map(facts).collect()
}

/// Makes files under names that people use, and under names that look like the store's, a year old.
fn foreign_files(root: &Utf8Path) {
    for folder in ["", "objects", "trees", "results", "tmp", "locks", "logs", "trees/notes"] {
        let folder = root.join(folder);
        fs_err::create_dir_all(&folder).expect("made");
        let lease = format!("lease-{}", "a".repeat(25));
        let work = format!("work-{}-07", "a".repeat(26));
        for name in [
            "thesis.txt",
            ".hidden",
            "7-7",
            "7-7.lock",
            "photo.json",
            "trash",
            &lease,
            &work,
        ] {
            let file = fs_err::File::create(folder.join(name)).expect("made");
            let year = Duration::from_secs(365 * 24 * 60 * 60);
            file.set_modified(SystemTime::now() - year).expect("set");
        }
    }
}

fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
    let guard = tempfile::tempdir().expect("a folder");
    let root = Utf8Path::from_path(guard.path())
        .expect("UTF-8")
        .join("would be, a store");
    fs_err::create_dir(&root).expect("made");
    (guard, root)
}

#[test]
fn a_folder_of_somebody_else_is_refused_and_stays_as_it_is() {
    let (_guard, root) = scratch();
    foreign_files(&root);
    let before = state(&root);
    let error = Store::open(&root).expect_err("refused");
    assert!(matches!(error, StoreError::Foreign { .. }), "{error:?}");
    assert_eq!(state(&root), before);
}

#[test]
fn one_file_is_enough_to_refuse() {
    for name in ["notes", "objects", "tmp", ".git", "locks", "CACHEDIR.TAG"] {
        let (_guard, root) = scratch();
        fs_err::write(root.join(name), "mine").expect("written");
        let error = Store::open(&root).expect_err("refused");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(state(&root).len(), 1, "{name}");
    }
}

#[test]
fn foreign_files_in_a_store_survive_everything() {
    let (_guard, root) = scratch();
    drop(Store::open(&root).expect("an empty folder becomes a store"));
    let own = state(&root);
    foreign_files(&root);
    let is_foreign = |path: &Utf8PathBuf| !own.iter().any(|(known, ..)| known == path);
    let foreign =
        |root: &Utf8Path| -> Vec<_> { state(root).into_iter().filter(|(path, ..)| is_foreign(path)).collect() };
    let before = foreign(&root);
    assert_eq!(before.len(), 8 * 8);
    for _ in 0..2 {
        let store = Store::open(&root).expect("opens");
        let (digest, _) = store.insert(&b"content"[..]).expect("stored");
        let key = Digest::of("key");
        store.set_result(&key, &1).expect("kept");
        let action = Action::function("make-test-tree", &["1"], Directory::new());
        let made = store.made_directory(&action, |tree| {
            fs_err::write(tree.join("file"), "x").expect("written");
            Ok::<_, StoreError>(())
        });
        made.expect("made");
        store.verify_object(&digest).expect("whole");
        drop(store.workspace().expect("made"));
        drop(store.lock("build", |_| {}).expect("locked"));
        drop(store);
        collect_all(&root);
    }
    let is_lock = |path: &Utf8Path| path.ends_with("locks/build") || path.ends_with("locks/collect");
    let (locks, after): (Vec<_>, Vec<_>) = foreign(&root).into_iter().partition(|(path, ..)| is_lock(path));
    assert_eq!(locks.len(), 2);
    assert_eq!(after, before);
}

fn collect_all(root: &Utf8Path) {
    let store = Store::open(root).expect("opens");
    let policy = GcPolicy {
        max_idle: Some(Duration::ZERO),
        max_bytes: None,
    };
    let plan = store.plan_collection(&policy, &Silent).expect("planned");
    let stats = store.collect(&plan, &Silent).expect("collected");
    // The object, the result, the tree, and its action with all messages.
    assert!(stats.removed > 5, "{stats:?}");
    let plan = store.plan_collection(&policy, &Silent).expect("planned");
    assert_eq!(plan, GcPlan::default());
    assert_eq!(store.verify(&Silent).expect("verified"), []);
}

#[test]
fn the_root_of_a_disk_becomes_a_store() {
    let (_guard, root) = scratch();
    fs_err::create_dir(root.join("lost+found")).expect("made");
    drop(Store::open(&root).expect("opens"));
    assert!(root.join("lost+found").is_dir());
    assert!(
        fs_err::read_to_string(root.join("basalt-store"))
            .expect("a marker")
            .starts_with("format 1\n")
    );
    let tag = fs_err::read_to_string(root.join("CACHEDIR.TAG")).expect("a tag for backups");
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55"));
}

#[test]
fn a_newer_format_is_refused_and_stays_as_it_is() {
    for text in ["format 2\n", "format 99", "something else", ""] {
        let (_guard, root) = scratch();
        fs_err::write(root.join("basalt-store"), text).expect("written");
        let before = state(&root);
        let error = Store::open(&root).expect_err("refused");
        assert!(matches!(error, StoreError::Format { .. }), "{error:?}");
        assert_eq!(state(&root), before);
    }
}

/// Makes the leftovers of versions without a marker.
fn unmarked(root: &Utf8Path) -> Utf8PathBuf {
    for folder in [
        "objects",
        "results",
        "tmp/7-7",
        "locks",
        "logs",
        "cluster/pki",
        "bench",
        "trees/0123456789abcdef",
    ] {
        fs_err::create_dir_all(root.join(folder)).expect("made");
    }
    let object = root.join("objects").join(Digest::of("hello").to_hex());
    fs_err::write(&object, "hello").expect("written");
    for file in [
        "tmp/7-7.lock",
        "tmp/9-aBcDeF",
        "locks/lease",
        "locks/sdk",
        "logs/zlib.log",
        "results/.aBcDeF",
        "kvm-1.json",
    ] {
        fs_err::write(root.join(file), "").expect("written");
    }
    object
}

#[test]
fn a_store_of_an_earlier_version_goes_on() {
    let (_guard, root) = scratch();
    let object = unmarked(&root);
    let store = Store::open(&root).expect("opens");
    assert_eq!(
        store.object(&Digest::of("hello")),
        Some(object.canonicalize_utf8().expect("there"))
    );
    assert!(root.join("basalt-store").is_file());
    let left: Vec<_> = root.join("tmp").read_dir_utf8().expect("tmp").collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(root.join("cluster/pki").is_dir());
}

#[test]
fn an_earlier_version_at_work_keeps_its_workspaces() {
    let (_guard, root) = scratch();
    unmarked(&root);
    let lease = fs_err::File::open(root.join("locks/lease")).expect("opened");
    lease.lock_shared().expect("locked");
    drop(Store::open(&root).expect("opens"));
    assert!(root.join("tmp/7-7").is_dir());
}

#[test]
fn a_store_of_an_earlier_version_with_something_else_in_it_is_refused() {
    for name in [
        "thesis.txt",
        "objects/thesis.txt",
        "tmp/thesis",
        "logs/diary",
        "locks/key",
        "trees/0123",
        "results/x.json",
    ] {
        let (_guard, root) = scratch();
        unmarked(&root);
        fs_err::write(root.join(name), "mine").expect("written");
        let before = state(&root);
        let error = Store::open(&root).expect_err("refused");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(state(&root), before);
    }
}
