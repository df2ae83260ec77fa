//! Records of use.

use std::time::{Duration, SystemTime};

use basalt_action::{Blob, OutputDirectory};
use basalt_store::{Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};

use crate::{action, key, known_tree, scratch, set_used, tree};

fn used(path: &Utf8Path) -> SystemTime {
    path.metadata().expect("there").modified().expect("a time")
}

/// Calls each of the functions when the entry of its path was used a year ago, and when its time is of next year. Its
/// use has to be recorded, by the current time.
fn records_use(ways: &[(&str, &Utf8Path, &dyn Fn())]) {
    let (now, hour) = (SystemTime::now(), Duration::from_secs(60 * 60));
    for (way, path, ask) in ways {
        for time in [now - 9000 * hour, now + 9000 * hour] {
            set_used(path, time);
            ask();
            let since = used(path).duration_since(now);
            let since = since.unwrap_or_else(|_| panic!("{way}: {path} has a time from before"));
            assert!(since < hour, "{way}: {path}: {since:?}");
        }
    }
}

#[test]
fn every_way_to_ask_for_an_entry_records_its_use() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let (digest, size) = store.insert(&b"hello"[..]).expect("stored");
    let blob = Blob { digest, size };
    let object = store.object_path(&digest);
    let folder = tree(&store, 1).expect("made");
    store.set_result(&key(1), &1).expect("kept");
    let result = store.root().join("results").join(format!("{}.json", key(1)));
    records_use(&[
        ("object", &object, &|| drop(store.object(&digest))),
        ("intact_object", &object, &|| {
            drop(store.intact_object(&digest).expect("looked at"))
        }),
        ("read_object", &object, &|| {
            drop(store.read_object(&digest).expect("read"))
        }),
        ("obtain", &object, &|| drop(store.obtain(&blob).expect("looked at"))),
        ("insert", &object, &|| assert!(store.insert(&b"hello"[..]).is_ok())),
        ("insert_bytes", &object, &|| {
            assert!(store.insert_bytes(b"hello").is_ok())
        }),
        ("touch", &folder, &|| assert!(store.touch(&folder.join("3")))),
        ("result", &result, &|| assert_eq!(store.result(&key(1)), Some(1))),
        ("has_result", &result, &|| assert!(store.has_result(&key(1)))),
        ("set_result", &result, &|| store.set_result(&key(1), &1).expect("kept")),
    ]);
    assert!(!store.touch(Utf8Path::new("/etc/passwd")));
    assert!(!store.touch(&store.root().join("trees/nothing/at all")));
}

#[test]
fn the_use_of_an_actions_result_and_directory_is_recorded() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let by_digest = store.clone().digests_only();
    let folder = tree(&store, 1).expect("made");
    let encoded = action(1).encode();
    let made = store.action_result(&encoded.key).expect("known");
    let directory: OutputDirectory = made.directory().cloned().expect("a directory");
    let root = directory.root.digest;
    let result = store.root().join("actions").join(encoded.key.digest.to_hex());
    let message = store.object_path(&encoded.command.digest);
    let known = |store: &Store| drop(store.known_directory(&encoded.key).expect("looked up").expect("known"));
    records_use(&[
        ("action_result", &result, &|| drop(store.action_result(&encoded.key))),
        ("put_action_result", &result, &|| {
            store.put_action_result(&encoded, &made).expect("kept")
        }),
        ("put_action_result", &message, &|| {
            store.put_action_result(&encoded, &made).expect("kept")
        }),
        ("directory", &folder, &|| drop(store.directory(&root))),
        ("obtain_directory", &folder, &|| {
            drop(store.obtain_directory(&directory).expect("looked up"))
        }),
        ("made_directory", &folder, &|| drop(tree(&store, 1).expect("known"))),
        ("made_directory", &result, &|| drop(tree(&store, 1).expect("known"))),
        ("known_directory", &folder, &|| known(&store)),
        ("known_directory, of digests only", &folder, &|| known(&by_digest)),
        ("known_directory, of digests only", &result, &|| known(&by_digest)),
        ("export", &folder, &|| {
            drop(store.export(&made).expect("read").expect("complete"))
        }),
    ]);
}

/// A folder of the same content as an old entry, made again.
#[test]
fn what_is_made_again_is_in_use() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let make = || -> Utf8PathBuf {
        let workspace = store.workspace().expect("a workspace");
        let folder = workspace.path().join("folder");
        fs_err::create_dir(&folder).expect("made");
        fs_err::write(folder.join("file"), "content").expect("written");
        let kept = store.adopt_directory(&folder).expect("kept");
        store.directory_path(&kept.root.digest)
    };
    let path = make();
    records_use(&[("adopt_directory", &path, &|| assert_eq!(make(), path))]);
}

#[test]
fn a_record_is_renewed_once_an_hour() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let path = tree(&store, 1).expect("made");
    let recent = SystemTime::now() - Duration::from_secs(50 * 60);
    set_used(&path, recent);
    known_tree(&store, 1).expect("there");
    assert_eq!(used(&path), recent);
}

#[test]
fn a_tree_with_old_times_is_new_when_it_is_made() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let made = store.made_directory(&action(1), |folder| {
        set_used(folder, SystemTime::UNIX_EPOCH);
        Ok::<_, StoreError>(())
    });
    let path = store.directory_path(&made.expect("made").root.digest);
    let age = SystemTime::now().duration_since(used(&path)).unwrap_or_default();
    assert!(age < Duration::from_secs(60), "{age:?}");
}
