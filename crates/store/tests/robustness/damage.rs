//! Objects whose bytes have changed on the disk.

use std::os::unix::fs::PermissionsExt as _;

use basalt_model::digest::Digest;
use basalt_progress::Silent;
use basalt_store::{Store, StoreError};
use camino::Utf8Path;
use proptest::prelude::*;

use crate::{collect_all, scratch};

/// Writes other bytes into an object, as only a failing disk does.
fn overwrite(path: &Utf8Path, bytes: &[u8]) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).expect("opened up");
    std::fs::write(path, bytes).expect("written");
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
        prop_assert_eq!(std::fs::read(&damaged[0].path).expect("set aside"), changed);
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
