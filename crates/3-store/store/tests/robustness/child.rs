//! Roles of child processes: what each does to the store in `STORE_ROOT`.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use basalt_action::{ActionResult, Blob, OutputDirectory};
use basalt_process::Command;
use basalt_progress::Silent;
use basalt_store::{GcPolicy, SharedCache, Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};

use crate::{FILES, action, collect_all, key, known_tree, tree, tree_faults};

/// Number of different trees and results that the roles make.
pub(crate) const KEYS: u32 = 30;
/// Duration of roles that end by themselves.
const TURN: Duration = Duration::from_secs(5);

/// Returns the command line that runs a role: this program, with the test [`entry`].
pub(crate) fn program_arguments() -> Vec<String> {
    let program = std::env::current_exe().expect("a program");
    let program = Utf8PathBuf::try_from(program).expect("UTF-8").into_string();
    let options = ["--exact", "child::entry", "--ignored", "--nocapture"];
    std::iter::once(program).chain(options.map(str::to_owned)).collect()
}

/// Returns the command that runs a role behind a prefix such as `unshare -r`.
pub(crate) fn command(prefix: &[&str], role: &str, root: &Utf8Path) -> Command {
    let mut all: Vec<_> = prefix
        .iter()
        .map(|&word| word.to_owned())
        .chain(program_arguments())
        .collect();
    let program = all.remove(0);
    Command::new(program)
        .args(all)
        .env("STORE_ROLE", role)
        .env("STORE_ROOT", root)
}

#[test]
#[ignore = "what the other tests start as processes of their own"]
#[expect(clippy::print_stdout, reason = "the test that started the process reads it")]
fn entry() {
    let role = std::env::var("STORE_ROLE").expect("a role");
    let root = Utf8PathBuf::from(std::env::var("STORE_ROOT").expect("a store"));
    match role.as_str() {
        "work" => work(&root),
        "use" => println!("found {}", find_and_read(&root)),
        "collect" => println!("removed {}", collect(&root)),
        "fill" => fill(&root),
        "fetch" => fetch(&root),
        "full" => full(&root),
        "read-only" => read_only(&root),
        "owner" => owner(&root),
        _ => panic!("{role}"),
    }
}

/// Runs all operations of a store, until the process is killed.
fn work(root: &Utf8Path) {
    let seed = std::process::id();
    for turn in 0_u32.. {
        let store = Store::open(root).expect("opens");
        let number = seed.wrapping_add(turn.wrapping_mul(7)) % KEYS;
        let content = format!("{seed} {turn} ").repeat(2000);
        let (digest, _) = store.insert(content.as_bytes()).expect("stored");
        // Another process may have removed it by now, if this one has been slow to open; not while its lease lasts.
        assert!(store.object(&digest).is_some(), "an object vanished");
        let path = tree(&store, number).expect("a tree");
        assert_eq!(tree_faults(&path, number), [""; 0]);
        store.set_result(&key(number), &number).expect("kept");
        let workspace = store.workspace().expect("a workspace");
        fs_err::write(workspace.path().join("file"), content).expect("written");
        let policy = GcPolicy {
            max_idle: None,
            max_bytes: Some(600_000),
        };
        let plan = store.plan_collection(&policy, &Silent).expect("a plan");
        store.collect(&plan, &Silent).expect("collected");
    }
}

/// Looks up old trees, and checks that none vanishes while it is in use; returns how many were found.
fn find_and_read(root: &Utf8Path) -> u32 {
    let began = Instant::now();
    let mut found = 0;
    while began.elapsed() < TURN {
        let year = SystemTime::now() - Duration::from_secs(365 * 24 * 60 * 60);
        for folder in ["actions", "objects", "trees"] {
            for entry in root.join(folder).read_dir_utf8().expect("entries").flatten() {
                // Collection may be quicker.
                drop(fs_err::File::open(entry.path()).map(|entry| entry.file().set_modified(year)));
            }
        }
        let store = Store::open(root).expect("opens");
        let workspace = store.workspace().expect("a workspace");
        let mark = workspace.path().join("mark");
        basalt_store::write::atomically(&mark, workspace.path().as_str()).expect("written");
        for number in 0..KEYS {
            if let Some(path) = known_tree(&store, number) {
                found += 1;
                std::thread::sleep(Duration::from_millis(2));
                assert_eq!(tree_faults(&path, number), [""; 0]);
            }
            let path = tree(&store, number).expect("a tree");
            assert_eq!(tree_faults(&path, number), [""; 0]);
            messages_are_there(&store, number);
        }
        let text = fs_err::read_to_string(&mark).expect("our own workspace");
        assert_eq!(text, workspace.path().as_str());
    }
    found
}

/// Checks that the messages of an action are kept while its result is in use: the inputs of a result can be looked up.
fn messages_are_there(store: &Store, number: u32) {
    let encoded = action(number).encode();
    for message in encoded.messages.values() {
        store.insert_bytes(message).expect("kept");
    }
    for blob in encoded.messages.keys() {
        assert!(store.object(&blob.digest).is_some(), "a message vanished");
    }
    let arguments = store.action_arguments(&encoded.key);
    assert_eq!(arguments, Some(action(number).arguments));
}

/// Collects all that is not in use, repeatedly; returns the number of removed entries.
fn collect(root: &Utf8Path) -> u64 {
    let began = Instant::now();
    let mut removed = 0;
    while began.elapsed() < TURN {
        let store = Store::open(root).expect("opens");
        removed += collect_all(&store).expect("collected").removed;
    }
    removed
}

/// Fills the disk, and continues once there is space again.
fn fill(root: &Utf8Path) {
    let store = Store::open(root).expect("opens");
    let fill = |store: &Store, number: u32| store.insert(format!("{number} ").repeat(50_000).as_bytes());
    let (number, error) = (0..1000)
        .find_map(|number| fill(&store, number).err().map(|error| (number, error)))
        .expect("the disk is full at some time");
    assert!(number > 2, "{number}");
    let StoreError::File(file) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(file.source.kind(), std::io::ErrorKind::StorageFull);
    assert!(
        file.help.as_deref().is_some_and(|help| help.contains("disk is full")),
        "{file:?}"
    );
    assert!(tree(&store, 1).is_err());
    assert!(store.set_result(&key(1), &"long ".repeat(50_000)).is_err());
    assert_eq!(store.verify(&Silent).expect("verified"), []);
    assert_eq!(known_tree(&store, 1), None);
    assert!(!store.has_result(&key(1)));
    assert_eq!(crate::names(&store, "tmp"), [""; 0], "something half-made is left");
    drop(store);
    let store = Store::open(root).expect("opens while the disk is full");
    assert!(collect_all(&store).expect("collected").removed >= u64::from(number));
    fill(&store, number).expect("space again");
    let (digest, _) = store.insert(&b"after all"[..]).expect("space again");
    store.verify_object(&digest).expect("whole");
    tree(&store, 1).expect("space again");
}

/// Makes trees while the disk has room for nothing, for one block more, and so on, until there is room for all that
/// making one takes: it is full at every point of it once.
fn full(root: &Utf8Path) {
    let ballast = root.with_file_name("ballast");
    let (mut failed, mut number) = (0, 0);
    drop(Store::open(root).expect("opens"));
    for blocks in 0.. {
        number += 1;
        leave_free(&ballast, blocks);
        let store = Store::open(root).expect("opens while the disk is full");
        let made = tree(&store, number);
        let known = known_tree(&store, number);
        match &made {
            Ok(path) => assert_eq!(known.as_ref(), Some(path)),
            Err(error) => assert_eq!(error.io_kind(), Some(std::io::ErrorKind::StorageFull), "{error:?}"),
        }
        assert_eq!(known.map_or_else(Vec::new, |path| tree_faults(&path, number)), [""; 0]);
        assert_eq!(store.verify(&Silent).expect("verified"), []);
        assert_eq!(crate::names(&store, "tmp"), [""; 0], "something half-made is left");
        fs_err::remove_file(&ballast).expect("removed");
        let again = tree(&store, number).expect("there is space again");
        assert_eq!(tree_faults(&again, number), [""; 0]);
        if made.is_ok() {
            break;
        }
        failed += 1;
    }
    assert!(failed > FILES, "the disk was hardly ever full: {failed}");
}

/// Fills the disk with one file, up to a number of free blocks.
fn leave_free(ballast: &Utf8Path, blocks: u64) {
    let disk = ballast.parent().expect("a folder");
    let status = rustix::fs::statvfs(disk.as_std_path()).expect("looked at");
    let bytes = status.f_bavail.saturating_sub(blocks) * status.f_frsize;
    let content = vec![0; usize::try_from(bytes).expect("a small disk")];
    // Where that is too much by a few blocks, the disk is full.
    drop(fs_err::write(ballast, content));
}

/// Shared cache of one blob, larger than the disk.
#[derive(Debug)]
struct OneBlob(Vec<u8>);

impl SharedCache for OneBlob {
    fn action_result(&self, key: &Blob) -> Option<ActionResult> {
        let blob = Blob::of(&self.0);
        let directory = OutputDirectory {
            path: String::new(),
            tree: blob,
            root: blob,
        };
        (*key == action(7).key()).then(|| ActionResult {
            directories: vec![directory],
            ..ActionResult::default()
        })
    }

    fn fetch(&self, blob: &Blob, into: &mut File) -> std::io::Result<bool> {
        if *blob != Blob::of(&self.0) {
            return Ok(false);
        }
        into.write_all(&self.0).map(|()| true)
    }
}

/// Asks for blobs of a cache while the disk cannot take them.
fn fetch(root: &Utf8Path) {
    let content = vec![7; 3 << 20];
    let blob = Blob::of(&content);
    let store = Store::open(root)
        .expect("opens")
        .with_shared(Arc::new(OneBlob(content)));
    assert_eq!(store.obtain(&Blob::of("another")).expect("a miss"), None);
    let errors = [
        store.obtain(&blob).expect_err("the disk is full"),
        store.known_directory(&action(7).key()).expect_err("the disk is full"),
        tree(&store, 7).expect_err("it is not made again"),
    ];
    for error in errors {
        assert_eq!(error.io_kind(), Some(std::io::ErrorKind::StorageFull), "{error:?}");
    }
    assert_eq!(crate::names(&store, "tmp"), [""; 0], "something half-made is left");
}

/// Checks that lookups work in a store that cannot be written. It has the object "hello", and tree and result of 1.
fn read_only(root: &Utf8Path) {
    let store = Store::open(root).expect("opens");
    assert!(store.is_read_only());
    let digest = basalt_digest::Digest::of("hello");
    assert!(store.object(&digest).is_some());
    assert_eq!(tree_faults(&tree(&store, 1).expect("a hit"), 1), [""; 0]);
    assert!(store.intact_object(&digest).expect("looked at").is_some());
    assert_eq!(store.result::<u32>(&key(1)), Some(1));
    assert_eq!(store.verify(&Silent).expect("verified"), []);
    let errors = [
        store.insert(&b"new"[..]).expect_err("cannot be written"),
        tree(&store, 2).expect_err("cannot be written"),
        store.set_result(&key(2), &2).expect_err("cannot be written"),
        store.workspace().expect_err("cannot be written"),
        store.lock("build", |_| {}).expect_err("cannot be written"),
        collect_all(&store).expect_err("cannot be written"),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    }
}

/// Checks the error for a store of this user in which a folder belongs to another.
fn owner(root: &Utf8Path) {
    let error = Store::open(root).expect_err("refused");
    let StoreError::Owner { path, help, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(path.ends_with("objects"), "{path}");
    assert!(help.contains("sudo chown -R"), "{help}");
}
