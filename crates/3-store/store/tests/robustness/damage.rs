//! Objects whose bytes have changed on the disk.

use std::os::unix::fs::PermissionsExt as _;

use basalt_digest::Digest;
use basalt_progress::Silent;
use basalt_store::{Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};
use proptest::prelude::*;

use crate::{collect_all, scratch};

/// Writes other bytes into an object, as only a failing disk does.
fn overwrite(path: &Utf8Path, bytes: &[u8]) {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o644)).expect("opened up");
    fs_err::write(path, bytes).expect("written");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_flipped_bit_is_found(content in prop::collection::vec(any::<u8>(), 1..5000), bit: prop::sample::Index) {
        let (_guard, root) = scratch();
        let store = Store::open(&root).expect("opens");
        store.insert(&b"another"[..]).expect("stored");
        let (digest, _) = store.insert(&content[..]).expect("stored");
        prop_assert_eq!(store.verify(&Silent).expect("verified"), []);
        let mut changed = content.clone();
        let bit = bit.index(content.len() * 8);
        changed[bit / 8] ^= 1 << (bit % 8);
        overwrite(&store.object_path(&digest), &changed);
        let is_damaged = matches!(store.verify_object(&digest), Err(StoreError::Damaged { .. }));
        prop_assert!(is_damaged);
        let damaged = store.verify(&Silent).expect("verified");
        prop_assert_eq!(damaged.iter().map(|damaged| damaged.digest).collect::<Vec<_>>(), [digest]);
        prop_assert_eq!(fs_err::read(&damaged[0].path).expect("set aside"), changed);
        prop_assert!(store.object(&digest).is_none());
        prop_assert_eq!(store.insert(&content[..]).expect("stored again").0, digest);
        prop_assert_eq!(store.verify(&Silent).expect("verified"), []);
    }
}

#[test]
fn what_is_set_aside_is_collected() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let (digest, _) = store.insert(&b"hello"[..]).expect("stored");
    overwrite(&store.object_path(&digest), b"");
    let damaged = store.verify(&Silent).expect("verified");
    assert_eq!(damaged.len(), 1);
    assert!(damaged[0].why.contains(&Digest::of("").to_hex()), "{damaged:?}");
    assert_eq!(collect_all(&store).expect("collected").removed, 1);
    assert!(!damaged[0].path.exists());
}

/// A folder of one file in a workspace becomes an entry; its path.
fn folder(store: &Store, content: &str) -> Utf8PathBuf {
    let workspace = store.workspace().expect("a workspace");
    let folder = workspace.path().join("folder");
    fs_err::create_dir(&folder).expect("made");
    fs_err::write(folder.join("file"), content).expect("written");
    let kept = store.adopt_directory(&folder).expect("kept");
    store.directory_path(&kept.root.digest)
}

#[test]
fn a_folder_that_is_damaged_again_is_set_aside_again() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    for content in ["first", "second"] {
        let path = folder(&store, "whole");
        fs_err::write(path.join("file"), content).expect("damaged");
        let damaged = store.verify(&Silent).expect("verified");
        assert_eq!(damaged.len(), 1, "{damaged:?}");
        let found = fs_err::read_to_string(damaged[0].path.join("file")).expect("set aside");
        assert_eq!(found, content);
        assert!(store.directory(&damaged[0].digest).is_none());
    }
    assert_eq!(crate::names(&store, "tmp"), [""; 0]);
}

#[test]
fn a_damaged_folder_that_nobody_may_write_to_is_set_aside() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let path = folder(&store, "whole");
    fs_err::write(path.join("file"), "damaged").expect("damaged");
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o555)).expect("closed");
    assert_eq!(store.verify(&Silent).expect("verified").len(), 1);
    assert_eq!(store.verify(&Silent).expect("verified"), []);
}

#[test]
fn a_flipped_bit_in_an_action_result_is_found() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let path = crate::tree(&store, 1).expect("made");
    assert_eq!(store.verify(&Silent).expect("verified"), []);
    let key = crate::action(1).key();
    let result = root.join("actions").join(key.digest.to_hex());
    let bytes = fs_err::read(&result).expect("read");
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 1;
    fs_err::write(&result, &changed).expect("damaged");
    let damaged = store.verify(&Silent).expect("verified");
    assert_eq!(damaged.iter().map(|one| one.digest).collect::<Vec<_>>(), [key.digest]);
    assert!(damaged[0].why.contains("checksum"), "{damaged:?}");
    assert!(!result.exists() && damaged[0].path.exists());
    assert_eq!(crate::tree(&store, 1).expect("made"), path, "it is made again");
    assert_eq!(store.verify(&Silent).expect("verified"), []);
}

#[test]
fn a_named_pipe_is_no_object_and_no_wait() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let names = ["objects", "actions"].map(|folder| root.join(folder).join(Digest::of(folder).to_hex()));
    for name in &names {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, name.as_std_path(), mode).expect("a named pipe");
    }
    let damaged = store.verify(&Silent).expect("verified");
    assert_eq!(damaged.len(), 2, "{damaged:?}");
    assert!(
        damaged.iter().all(|one| one.why.contains("not an ordinary file")),
        "{damaged:?}"
    );
    assert!(names.iter().all(|name| name.symlink_metadata().is_err()));
}

#[test]
fn an_object_is_compared_before_its_first_use_in_each_process() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let (digest, _) = store.insert(&b"hello"[..]).expect("stored");
    overwrite(&store.object_path(&digest), b"hallo");
    assert_eq!(store.intact_object(&digest).expect("looked at"), None);
    assert!(store.object(&digest).is_none());
    // Bytes of the right length are not taken for the right ones.
    store.insert(&b"hello"[..]).expect("stored again");
    overwrite(&store.object_path(&digest), b"hallo");
    store.insert_bytes(b"hello").expect("stored again");
    assert!(store.intact_object(&digest).expect("looked at").is_some());
}
