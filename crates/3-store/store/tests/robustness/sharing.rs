//! Several processes that use one store at the same time.

use basalt_process::Command;
use basalt_store::Store;
use camino::Utf8Path;

use crate::{able, child, faults, names, scratch};

/// Prefix of a command in a process id namespace of its own, as each container has.
const CONTAINER: &[&str] = &["unshare", "-rpf", "--mount-proc"];

/// Starts the roles at once behind a prefix; returns the number that each of them printed.
fn together(prefix: &[&str], roles: &[&str], root: &Utf8Path) -> Vec<u64> {
    let commands: Vec<_> = roles.iter().map(|role| child::command(prefix, role, root)).collect();
    let run = |command: &Command| command.output().expect("it succeeds").text();
    let texts: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = commands
            .iter()
            .map(|command| scope.spawn(move || run(command)))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("joined"))
            .collect()
    });
    let number = |text: &String| {
        let line = text
            .lines()
            .find(|line| line.starts_with("found ") || line.starts_with("removed "));
        line.and_then(|line| line.split(' ').nth(1)?.parse().ok())
            .expect("a number")
    };
    texts.iter().map(number).collect()
}

fn collection_beside_use(prefix: &[&str]) {
    let (_guard, root) = scratch();
    drop(Store::open(&root).expect("opens"));
    let numbers = together(prefix, &["use", "collect"], &root);
    assert!(numbers[0] > 0, "nothing was ever found: {numbers:?}");
    assert!(numbers[1] > 0, "nothing was ever removed: {numbers:?}");
    let store = Store::open(&root).expect("opens");
    assert_eq!(faults(&store), [""; 0]);
    assert_eq!(names(&store, "tmp"), [""; 0]);
}

#[test]
fn collection_takes_nothing_from_under_those_who_use_it() {
    collection_beside_use(&["env"]);
}

#[test]
fn two_containers_share_a_store() {
    let mut trial = Command::new(CONTAINER[0]).args(&CONTAINER[1..]);
    trial = trial.arg("true");
    if able("two containers", &trial) {
        collection_beside_use(CONTAINER);
    }
}

#[test]
fn what_was_used_under_a_lease_stays() {
    let (_guard, root) = scratch();
    let year = std::time::SystemTime::now() - std::time::Duration::from_secs(365 * 24 * 60 * 60);
    let age = |path: &Utf8Path| {
        fs_err::File::open(path)
            .expect("there")
            .set_modified(year)
            .expect("aged")
    };
    let user = Store::open(&root).expect("opens");
    let (used, _) = user.insert(&b"used"[..]).expect("stored");
    let (idle, _) = user.insert(&b"idle"[..]).expect("stored");
    for digest in [&used, &idle] {
        age(&user.object_path(digest));
    }
    assert!(user.object(&used).is_some());
    let other = Store::open(&root).expect("opens");
    assert_eq!(crate::collect_all(&other).expect("collected").removed, 1);
    assert!(user.object(&used).is_some());
    assert!(user.object(&idle).is_none());
    drop(user);
    assert_eq!(crate::collect_all(&other).expect("collected").removed, 1);
    assert!(other.object(&used).is_none());
}

#[test]
fn those_whose_use_leaves_no_record_stop_collection() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    store.insert(&b"hello"[..]).expect("stored");
    // Versions without a marker, and processes that can only read, do the same.
    let lease = fs_err::File::open(root.join("locks/lease")).expect("there");
    lease.lock_shared().expect("locked");
    let error = crate::collect_all(&store).expect_err("in use");
    assert!(matches!(error, basalt_store::StoreError::InUse { .. }), "{error:?}");
    lease.unlock().expect("unlocked");
    assert_eq!(crate::collect_all(&store).expect("collected").removed, 1);
}

#[test]
fn what_came_into_use_after_the_plan_is_spared() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let (digest, _) = store.insert(&b"hello"[..]).expect("stored");
    let year = std::time::SystemTime::now() - std::time::Duration::from_secs(365 * 24 * 60 * 60);
    let file = fs_err::File::open(store.object_path(&digest)).expect("there");
    file.set_modified(year).expect("aged");
    let policy = basalt_store::GcPolicy {
        max_idle: None,
        max_bytes: Some(0),
    };
    let plan = store
        .plan_collection(&policy, &basalt_progress::Silent)
        .expect("a plan");
    let user = Store::open(&root).expect("opens");
    assert!(user.object(&digest).is_some());
    let stats = store.collect(&plan, &basalt_progress::Silent).expect("collected");
    assert_eq!((stats.removed, stats.spared), (0, 1));
}

#[test]
fn one_at_a_time() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let held = store.lock("build", |_| panic!("nobody else is there")).expect("locked");
    assert!(store.try_lock("build").expect("asked").is_none());
    drop(held);
    assert!(store.try_lock("build").expect("asked").is_some());
}

/// Returns `true` if an operation on a store waits while `locks/gate` is locked, and goes on then.
fn waits_while(lock: impl FnOnce(&fs_err::File) -> std::io::Result<()>, work: impl FnOnce(&Store) + Send) -> bool {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    store.insert(&b"hello"[..]).expect("stored");
    let gate = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .open(root.join("locks/gate"))
        .expect("there");
    lock(&gate).expect("locked");
    std::thread::scope(|scope| {
        let working = scope.spawn(|| work(&store));
        std::thread::sleep(std::time::Duration::from_millis(300));
        let waited = !working.is_finished();
        gate.unlock().expect("unlocked");
        working.join().expect("joined");
        waited
    })
}

#[test]
fn hits_and_collection_keep_out_of_each_others_way() {
    let hello = basalt_digest::Digest::of("hello");
    let hit = |store: &Store| assert!(store.object(&hello).is_some());
    let collect = |store: &Store| assert_eq!(crate::collect_all(store).expect("collected").removed, 1);
    assert!(waits_while(fs_err::File::lock, hit), "a hit during a collection");
    assert!(
        waits_while(fs_err::File::lock_shared, collect),
        "a collection during a hit"
    );
    assert!(!waits_while(fs_err::File::lock_shared, hit), "a hit during another");
}

#[test]
fn new_entries_and_collection_keep_out_of_each_others_way() {
    type Way<'a> = (&'a str, &'a (dyn Fn(&Store) + Sync));
    let folder = |store: &Store| {
        let workspace = store.workspace().expect("a workspace");
        let folder = workspace.path().join("folder");
        fs_err::create_dir(&folder).expect("made");
        store.adopt_directory(&folder).expect("kept");
    };
    let ways: [Way<'_>; 5] = [
        ("an object", &|store| assert!(store.insert(&b"new"[..]).is_ok())),
        ("bytes", &|store| assert!(store.insert_bytes(b"new").is_ok())),
        ("known bytes", &|store| assert!(store.insert_bytes(b"hello").is_ok())),
        ("a result", &|store| store.set_result(&crate::key(1), &1).expect("kept")),
        ("a folder", &folder),
    ];
    for (what, way) in ways {
        assert!(waits_while(fs_err::File::lock, way), "{what} during a collection");
        assert!(!waits_while(fs_err::File::lock_shared, way), "{what} during a hit");
    }
}

#[test]
fn nothing_is_found_without_the_gate() {
    let (_guard, root) = scratch();
    let store = Store::open(&root).expect("opens");
    let (hello, _) = store.insert(&b"hello"[..]).expect("stored");
    assert!(store.object(&hello).is_some());
    fs_err::remove_file(root.join("locks/gate")).expect("removed");
    assert!(store.object(&hello).is_none(), "a collection could not be excluded");
    drop(store);
    let store = Store::open(&root).expect("opens, and makes the gate again");
    assert!(store.object(&hello).is_some());
}
