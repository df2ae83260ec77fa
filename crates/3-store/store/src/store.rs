//! An open store.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use basalt_action::Blob;
use basalt_digest::Digest;
use camino::{Utf8Path, Utf8PathBuf};

use crate::layout::{self, Rights};
use crate::lease::Lease;
use crate::{Lock, SharedCache, StoreError, place};

/// Open store; clones share its lease.
#[derive(Debug, Clone)]
pub struct Store {
    root: Utf8PathBuf,
    session: Arc<Session>,
    shared: Option<Arc<dyn SharedCache>>,
    /// `true` if directories are known by results alone.
    digests_only: bool,
    /// Keys whose results count; all of them where none are set.
    trusted: Option<Arc<BTreeSet<String>>>,
}

/// Lease and records of this process, shared by all clones.
#[derive(Debug)]
struct Session {
    access: Access,
    counter: AtomicU64,
    /// Objects whose content was compared with their names by this process.
    verified: Mutex<HashSet<Digest>>,
    /// Keys of actions whose results this process got or kept.
    used: Mutex<BTreeSet<Blob>>,
}

#[derive(Debug)]
enum Access {
    ReadWrite(Arc<Lease>),
    /// `None` in a store that has no file for the lease, and where none can be made.
    ReadOnly(#[expect(dead_code, reason = "held until the store is closed")] Option<Lock>),
}

impl Store {
    /// Returns the default path of the store: `$BASALT_STORE`, or `basalt` in the user's cache folder.
    ///
    /// # Errors
    /// When no environment variable names a folder, or one of them has a value that cannot be meant.
    pub fn default_path() -> Result<Utf8PathBuf, StoreError> {
        place("BASALT_STORE", ("XDG_CACHE_HOME", ".cache"), "basalt")?.ok_or(StoreError::NoPlace)
    }

    /// Opens the store at `root`, makes it if need be, and removes temporary files of killed processes.
    ///
    /// A store that cannot be written (a read-only mount, another user's) is opened for reading, with a warning in the
    /// log: lookups work, and operations that write fail with [`StoreError::ReadOnly`].
    ///
    /// # Errors
    /// [`StoreError::Foreign`] when the folder is not empty and no store, [`StoreError::Format`] when it is one of a newer
    /// version: nothing is changed then. Other errors when its folders cannot be made, or locks do not work.
    pub fn open(root: &Utf8Path) -> Result<Self, StoreError> {
        let prepared = layout::prepare(root)?;
        let root = root.canonicalize_utf8().map_err(StoreError::io("cannot find", root))?;
        let access = match prepared.rights {
            Rights::ReadWrite => Access::ReadWrite(Arc::new(Lease::begin(&root.join("locks"))?)),
            Rights::ReadOnly => {
                tracing::warn!(store = %root, "the store can only be read: what is missing in it cannot be made");
                Access::ReadOnly(Lock::shared(&root.join("locks/lease")).ok())
            }
        };
        if let Some(why) = crate::mounts::local_locks(&root) {
            tracing::warn!("{why}: its locks hold on this machine only, so do not share the store with other machines");
        }
        let store = Self {
            root,
            session: Arc::new(Session {
                access,
                counter: AtomicU64::new(0),
                verified: Mutex::default(),
                used: Mutex::default(),
            }),
            shared: None,
            digests_only: false,
            trusted: None,
        };
        if prepared.rights == Rights::ReadWrite {
            store.sweep()?;
            if prepared.adopted {
                store.sweep_unmarked()?;
            }
        }
        Ok(store)
    }

    /// Returns the same store with a shared cache, in which it looks up entries that it does not have.
    pub fn with_shared(self, cache: Arc<dyn SharedCache>) -> Self {
        let shared = Some(cache);
        Self { shared, ..self }
    }

    /// Returns the same store, in which results that came from a shared cache count as missing unless one of these keys
    /// has signed them; each is in the text form `NAME:BASE64`. Results that were made here count always.
    pub fn with_trusted_signers(self, signers: impl IntoIterator<Item = String>) -> Self {
        Self {
            trusted: Some(Arc::new(signers.into_iter().collect())),
            ..self
        }
    }

    /// Returns `true` if a result of this signer counts; without one, it was made here.
    pub(crate) fn trusts(&self, signer: Option<&str>) -> bool {
        match (&self.trusted, signer) {
            (Some(trusted), Some(signer)) => trusted.contains(signer),
            _ => true,
        }
    }

    /// Returns the same store, which answers [`Store::known_directory`] from results alone: the content of the
    /// directory may be neither in the store nor in the shared cache. For keys, which need digests only.
    pub fn digests_only(self) -> Self {
        Self {
            digests_only: true,
            ..self
        }
    }

    /// Returns `true` if directories are known by results alone.
    pub(crate) fn is_digests_only(&self) -> bool {
        self.digests_only
    }

    /// Returns the shared cache, if there is one.
    pub(crate) fn shared(&self) -> Option<&dyn SharedCache> {
        self.shared.as_deref()
    }

    /// Returns the path of the store, absolute and without links.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Returns `true` if the store was opened for reading only, because it cannot be written.
    pub fn is_read_only(&self) -> bool {
        matches!(self.session.access, Access::ReadOnly(_))
    }

    /// Returns the lease of this process. `what` names the thing to be written, for the error of a store that can only
    /// be read.
    pub(crate) fn lease(&self, what: &'static str) -> Result<&Arc<Lease>, StoreError> {
        match &self.session.access {
            Access::ReadWrite(lease) => Ok(lease),
            Access::ReadOnly(_) => Err(StoreError::ReadOnly {
                root: self.root.clone(),
                what,
            }),
        }
    }

    /// Returns `true` if this process has compared the content of an object with its digest.
    pub(crate) fn is_verified(&self, digest: &Digest) -> bool {
        let verified = &self.session.verified;
        verified.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    pub(crate) fn set_verified(&self, digest: &Digest) {
        let verified = &self.session.verified;
        verified.lock().unwrap_or_else(PoisonError::into_inner).insert(*digest);
    }

    pub(crate) fn set_unverified(&self, digest: &Digest) {
        let verified = &self.session.verified;
        verified.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }

    /// Returns the keys of actions whose results this process got or kept.
    pub(crate) fn used(&self) -> MutexGuard<'_, BTreeSet<Blob>> {
        self.session.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a number that this lease has not used yet.
    pub(crate) fn next_number(&self) -> u64 {
        self.session.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns `true` if a folder of the store can be the writable layer of an overlay. A network file system and FUSE
    /// cannot: the kernel refuses them.
    pub fn takes_overlays(&self) -> bool {
        crate::mounts::takes_overlays(&self.root)
    }

    /// Waits for the lock of a name, which excludes all other processes of this store. When another process holds it,
    /// `blocked` is called once, with the id of that process if it is known.
    ///
    /// # Errors
    /// When interrupted, when the store can only be read, or when the lock cannot be made.
    pub fn lock(&self, name: &str, blocked: impl FnOnce(Option<u32>)) -> Result<Lock, StoreError> {
        self.lease("a lock")?;
        Lock::exclusive(&self.root.join("locks").join(name), blocked)
    }

    /// Takes the lock of a name, if it is free.
    ///
    /// # Errors
    /// When the lock cannot be made.
    pub fn try_lock(&self, name: &str) -> Result<Option<Lock>, StoreError> {
        self.lease("a lock")?;
        Lock::try_exclusive(&self.root.join("locks").join(name))
    }
}
