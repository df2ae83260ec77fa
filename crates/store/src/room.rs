//! The store itself: its folders, its leases, its workspaces, its collection.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use basalt_model::digest::Digest;
use camino::{Utf8Path, Utf8PathBuf};

use crate::{Lock, StoreError, remove_tree};

/// A store that is open; clones share its lease.
#[derive(Debug, Clone)]
pub struct Store {
    root: Utf8PathBuf,
    _lease: Arc<Lock>,
    verified: Arc<Mutex<HashSet<Digest>>>,
}

/// A folder for work under way, on the store's disk, gone when dropped.
#[derive(Debug)]
pub struct Workspace {
    path: Utf8PathBuf,
    _lock: Lock,
}

/// What a collection took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// How many objects, trees and results.
    pub items: u64,
}

/// A folder of the user's: what `variable` says; or `name` in the folder that the XDG Base Directory Specification has for
/// things of the kind, which is a variable and what stands for it in the home folder. None when the environment names none.
pub fn place(variable: &str, (xdg, in_home): (&str, &str), name: &str) -> Option<Utf8PathBuf> {
    let said = |variable| {
        let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
        value.map(Utf8PathBuf::from)
    };
    said(variable)
        .or_else(|| said(xdg).map(|folder| folder.join(name)))
        .or_else(|| said("HOME").map(|home| home.join(in_home).join(name)))
}

static COUNTER: AtomicU64 = AtomicU64::new(0);

impl Store {
    /// The user's store: `$BASALT_STORE`, or `basalt` in the user's cache folder.
    ///
    /// # Errors
    /// When the environment names no place.
    pub fn default_path() -> Result<Utf8PathBuf, StoreError> {
        place("BASALT_STORE", ("XDG_CACHE_HOME", ".cache"), "basalt").ok_or(StoreError::NoPlace)
    }

    /// Opens the store at `root`, makes it if need be, and sweeps what killed processes left.
    ///
    /// # Errors
    /// When its folders cannot be made.
    pub fn open(root: &Utf8Path) -> Result<Self, StoreError> {
        for folder in ["objects", "trees", "actions", "results", "tmp", "locks", "logs"] {
            let folder = root.join(folder);
            fs_err::create_dir_all(&folder).map_err(StoreError::io("cannot create", &folder))?;
        }
        let root = root.canonicalize_utf8().map_err(StoreError::io("cannot find", root))?;
        let lease = Lock::shared(&root.join("locks/lease"))?;
        let store = Self {
            root,
            _lease: Arc::new(lease),
            verified: Arc::default(),
        };
        store.sweep()?;
        Ok(store)
    }

    /// Its folder, as an absolute path without links.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Waits until nobody else does the thing of that name in this store; `blocked` is told once when there is a wait,
    /// with the id of the process that is at it.
    ///
    /// # Errors
    /// When interrupted, or when the lock cannot be made.
    pub fn lock(&self, name: &str, blocked: impl FnOnce(Option<u32>)) -> Result<Lock, StoreError> {
        Lock::exclusive(&self.root.join("locks").join(name), blocked)
    }

    /// The lock of that name, if nobody has it.
    ///
    /// # Errors
    /// When the lock cannot be made.
    pub fn try_lock(&self, name: &str) -> Result<Option<Lock>, StoreError> {
        Lock::try_exclusive(&self.root.join("locks").join(name))
    }

    /// A new empty folder for work under way.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn workspace(&self) -> Result<Workspace, StoreError> {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{number}", Workspace::prefix());
        let lock_path = self.root.join("tmp").join(format!("{name}.lock"));
        let path = self.root.join("tmp").join(name);
        remove_tree(&path)?;
        let lock = Lock::exclusive(&lock_path, |_| {})?;
        fs_err::create_dir(&path).map_err(StoreError::io("cannot create", &path))?;
        Ok(Workspace { path, _lock: lock })
    }

    /// Takes away the workspaces whose process has died.
    fn sweep(&self) -> Result<(), StoreError> {
        let tmp = self.root.join("tmp");
        for entry in tmp
            .read_dir_utf8()
            .map_err(StoreError::io("cannot list", &tmp))?
            .flatten()
        {
            let name = entry.file_name();
            if let Some(owner) = name.strip_suffix(".lock") {
                if let Some(_lock) = Lock::try_exclusive(entry.path())? {
                    remove_tree(&tmp.join(owner))?;
                    // Another process may have swept it at the same moment.
                    drop(std::fs::remove_file(entry.path()));
                }
            } else if !alive(name) {
                let file = entry.file_type().is_ok_and(|kind| !kind.is_dir());
                if file {
                    drop(std::fs::remove_file(entry.path()));
                } else if !tmp.join(format!("{name}.lock")).exists() {
                    remove_tree(entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Whether an object's content was compared with its name by this process.
    pub(crate) fn is_verified(&self, digest: &Digest) -> bool {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        verified.contains(digest)
    }

    pub(crate) fn set_verified(&self, digest: &Digest) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        verified.insert(*digest);
    }

    /// Remembers that something was of use just now.
    pub(crate) fn mark_used(&self, path: &Utf8Path) {
        let now = rustix::fs::Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_NOW,
        };
        let times = rustix::fs::Timestamps {
            last_access: now,
            last_modification: now,
        };
        // Only collection reads it; where it cannot be written, things are collected sooner.
        let _ = rustix::fs::utimensat(
            rustix::fs::CWD,
            path.as_std_path(),
            &times,
            rustix::fs::AtFlags::empty(),
        );
    }

    /// Removes objects, trees and results that were not used for `idle`; `None` when somebody else is using the store.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn collect(root: &Utf8Path, idle: Duration) -> Result<Option<Collected>, StoreError> {
        drop(Self::open(root)?);
        let Some(_alone) = Lock::try_exclusive(&root.join("locks/lease"))? else {
            return Ok(None);
        };
        let oldest = SystemTime::now().checked_sub(idle).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut collected = Collected::default();
        for folder in ["objects", "trees", "actions", "results", "logs"] {
            let folder = root.join(folder);
            for entry in folder
                .read_dir_utf8()
                .map_err(StoreError::io("cannot list", &folder))?
                .flatten()
            {
                let used = entry.metadata().and_then(|metadata| metadata.modified());
                if used.is_ok_and(|used| used <= oldest) {
                    if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                        remove_tree(entry.path())?;
                    } else {
                        fs_err::remove_file(entry.path()).map_err(StoreError::io("cannot remove", entry.path()))?;
                    }
                    collected.items += 1;
                }
            }
        }
        Ok(Some(collected))
    }
}

impl Workspace {
    /// What the names of this process's work under way begin with.
    pub(crate) fn prefix() -> String {
        format!("{}-", std::process::id())
    }

    /// The folder.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            tracing::warn!(%error, "a workspace is left behind; the next run sweeps it");
        }
        drop(std::fs::remove_file(format!("{}.lock", self.path)));
    }
}

/// Whether the process that a name of work under way begins with is alive.
fn alive(name: &str) -> bool {
    let process = name
        .split('-')
        .next()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    process.is_some_and(|process| std::path::Path::new("/proc").join(process).exists())
}

#[cfg(test)]
mod tests {
    use basalt_model::digest::Digest;

    use super::*;

    fn scratch() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8Path::from_path(folder.path()).expect("UTF-8").to_owned();
        let store = Store::open(&path).expect("opens");
        (folder, store)
    }

    #[test]
    fn objects_are_found_by_their_content() {
        let (_folder, store) = scratch();
        let (digest, size) = store.insert(&b"hello"[..]).expect("stored");
        assert_eq!((digest, size), (Digest::of("hello"), 5));
        let path = store.object(&digest).expect("there");
        assert_eq!(std::fs::read(&path).expect("read"), b"hello");
        store.verify_object(&digest).expect("whole");
        std::fs::remove_file(&path).expect("removed");
        std::fs::write(&path, "hallo").expect("written");
        assert!(matches!(store.verify_object(&digest), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn a_tree_that_fails_leaves_nothing() {
        let (_folder, store) = scratch();
        let key = Digest::of("key");
        let failed = store.tree_or_make(&key, |path| {
            std::fs::write(path.join("half"), "x").expect("written");
            Err(StoreError::NoPlace)
        });
        assert!(failed.is_err());
        assert_eq!(store.tree(&key), None);
        assert_eq!(std::fs::read_dir(store.root().join("tmp")).expect("tmp").count(), 0);
        let made = store.tree_or_make::<StoreError>(&key, |path| {
            std::fs::write(path.join("whole"), "x").expect("written");
            Ok(())
        });
        assert!(made.expect("made").join("whole").exists());
        store
            .tree_or_make(&key, |_| -> Result<(), StoreError> { panic!("made twice") })
            .expect("known");
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let (folder, store) = scratch();
        let tmp = store.root().join("tmp");
        // No process has the id 0.
        std::fs::create_dir(tmp.join("0-7")).expect("made");
        std::fs::write(tmp.join("0-7.lock"), "").expect("made");
        std::fs::write(tmp.join("0-abc"), "").expect("made");
        let ours = store.workspace().expect("made");
        let again = Store::open(Utf8Path::from_path(folder.path()).expect("UTF-8")).expect("opens");
        let left: Vec<_> = again
            .root()
            .join("tmp")
            .read_dir_utf8()
            .expect("tmp")
            .flatten()
            .collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(ours.path().is_dir());
    }

    #[test]
    fn collection_waits_for_users_and_respects_use() {
        let (folder, store) = scratch();
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8").to_owned();
        store.insert(&b"hello"[..]).expect("stored");
        assert_eq!(Store::collect(&root, Duration::ZERO).expect("asked"), None);
        drop(store);
        let kept = Store::collect(&root, Duration::from_secs(3600))
            .expect("asked")
            .expect("alone");
        assert_eq!(kept.items, 0);
        let gone = Store::collect(&root, Duration::ZERO).expect("asked").expect("alone");
        assert_eq!(gone.items, 1);
    }

    #[test]
    fn one_at_a_time() {
        let (_folder, store) = scratch();
        let held = store.lock("build", |_| panic!("nobody else is there")).expect("locked");
        assert!(store.try_lock("build").expect("asked").is_none());
        drop(held);
        assert!(store.try_lock("build").expect("asked").is_some());
    }
}
