//! Records of use.

use std::time::{Duration, SystemTime};

use basalt_store::Store;
use camino::{Utf8Path, Utf8PathBuf};

use crate::{key, scratch, tree};

fn used(path: &Utf8Path) -> SystemTime {
    path.metadata().expect("there").modified().expect("a time")
}

fn set_used(path: &Utf8Path, time: SystemTime) {
    std::fs::File::open(path)
        .expect("there")
        .set_modified(time)
        .expect("set");
}

#[test]
fn every_way_to_ask_for_an_entry_records_its_use() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let (object, _) = store.insert(&b"hello"[..]).expect("stored");
    let folder = tree(&store, 1).expect("made");
    store.set_result(&key(1), &1).expect("kept");
    let result = store.root().join("results").join(format!("{}.json", key(1)));
    let ways: [(&str, Utf8PathBuf, &dyn Fn()); 7] = [
        ("object", store.object_path(&object), &|| drop(store.object(&object))),
        ("insert", store.object_path(&object), &|| {
            drop(store.insert(&b"hello"[..]))
        }),
        ("tree", folder.clone(), &|| drop(store.tree(&key(1)))),
        ("tree_or_make", folder.clone(), &|| drop(tree(&store, 1))),
        ("touch", folder.clone(), &|| assert!(store.touch(&folder.join("3")))),
        ("result", result.clone(), &|| assert_eq!(store.result(&key(1)), Some(1))),
        ("has_result", result, &|| assert!(store.has_result(&key(1)))),
    ];
    let (now, hour) = (SystemTime::now(), Duration::from_secs(60 * 60));
    for (way, path, ask) in ways {
        for time in [now - 9000 * hour, now + 9000 * hour] {
            set_used(&path, time);
            ask();
            let since = used(&path).duration_since(now).expect("not before the test began");
            assert!(since < hour, "{way}: {since:?}");
        }
    }
    assert!(!store.touch(Utf8Path::new("/etc/passwd")));
    assert!(!store.touch(&store.root().join("trees/nothing/at all")));
}

#[test]
fn a_record_is_renewed_once_an_hour() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let path = tree(&store, 1).expect("made");
    let recent = SystemTime::now() - Duration::from_secs(50 * 60);
    set_used(&path, recent);
    store.tree(&key(1)).expect("there");
    assert_eq!(used(&path), recent);
}

#[test]
fn a_tree_with_old_times_is_new_when_it_is_made() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let path = store
        .tree_or_make::<basalt_store::StoreError>(&key(1), |folder| {
            set_used(folder, SystemTime::UNIX_EPOCH);
            Ok(())
        })
        .expect("made");
    let age = SystemTime::now().duration_since(used(&path)).unwrap_or_default();
    assert!(age < Duration::from_secs(60), "{age:?}");
}
