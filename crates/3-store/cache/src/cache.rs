//! [`Cache`]: all locations together, as the build engine uses them. Reads never fail by fault of a location: every
//! error of one is a miss. Only where a blob cannot be written on this side, [`Cache::fetch`] fails.
//!
//! Locations are queried in the configured order. A result counts only with the signature of a trusted key, and a blob
//! only with its digest; everything else is a miss. A location that fails is switched off for the rest of the run by
//! its circuit breaker, with one warning. Only Ctrl-C ends a call early, as a miss, too: the caller checks
//! [`basalt_process::interrupt::check`] next, as everywhere.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Seek as _, Write};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use basalt_progress::Reporter;
use bazel_remote_apis::build::bazel::remote::execution::v2::ActionResult;

use crate::backend::{Backend, MAX_IN_MEMORY};
use crate::breaker::Breaker;
use crate::closure;
use crate::error::{CacheError, chain};
use crate::folder::Folder;
use crate::grpc::Remote;
use crate::key::{PublicKey, SecretKey, TrustedKeys};
use crate::location::{Location, LocationKind};
use crate::retry::CallLimits;
use crate::signature::{self, SignatureVerdict};
use crate::statistics::{CacheStatistics, Counters};
use basalt_action::Blob;

mod push;
mod status;

pub use push::{Pushed, Upload};
pub use status::{GcOutcome, LocationContents, LocationGc, LocationStatus};

/// Configuration of a [`Cache`].
#[derive(Debug, Default)]
pub struct Settings {
    /// Locations, in the order in which they are read.
    pub locations: Vec<Location>,
    /// Public keys whose signatures on results are trusted. Nothing is read if there is none.
    pub trusted: TrustedKeys,
    /// Key that signs what is pushed. Without it, nothing is written.
    pub signer: Option<SecretKey>,
    /// Time limits of servers.
    pub limits: CallLimits,
}

/// Shared cache over all configured locations.
pub struct Cache {
    slots: Vec<Slot>,
    trusted: TrustedKeys,
    signer: Option<SecretKey>,
    limits: CallLimits,
    reporter: Arc<dyn Reporter>,
}

/// A location with its back end, which is opened at the first use, its circuit breakers and its counters.
struct Slot {
    location: Location,
    backend: Mutex<Option<Arc<Opened>>>,
    // One for each direction: that nothing may be written is no reason not to read.
    reading: Mutex<Breaker>,
    writing: Mutex<Breaker>,
    counters: Counters,
    /// `true` once a failure to write was told. Those after it are counted, until the circuit breaker opens.
    told: AtomicBool,
}

/// Direction of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Reading,
    Writing,
}

/// The back end of a location.
enum Opened {
    Folder(Folder),
    Server(Box<Remote>),
}

impl Opened {
    fn backend(&self) -> &dyn Backend {
        match self {
            Self::Folder(folder) => folder,
            Self::Server(remote) => &**remote,
        }
    }
}

/// A result that is trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The result, as it was signed.
    pub result: ActionResult,
    /// Key that vouches for it.
    pub key: PublicKey,
    /// Location that the result was read from, without its options.
    pub location: String,
}

impl Cache {
    /// Makes a cache of these locations. Each is opened at its first use; one that cannot be opened causes a warning
    /// only.
    pub fn new(settings: Settings, reporter: Arc<dyn Reporter>) -> Self {
        let slot = |location| Slot {
            location,
            backend: Mutex::default(),
            reading: Mutex::default(),
            writing: Mutex::default(),
            counters: Counters::default(),
            told: AtomicBool::new(false),
        };
        let cache = Self {
            slots: settings.locations.into_iter().map(slot).collect(),
            trusted: settings.trusted,
            signer: settings.signer,
            limits: settings.limits,
            reporter,
        };
        cache.warn_without_keys();
        cache
    }

    /// Returns `true` if no location is configured.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Returns `true` if results can be read: at least one location is on for reading, and at least one key is trusted.
    pub fn reads(&self) -> bool {
        !self.trusted.is_empty() && self.slots.iter().any(|slot| slot.is_on(Direction::Reading))
    }

    /// Returns `true` if results can be written: at least one location is on for writing, and there is a key to sign
    /// with.
    pub fn writes(&self) -> bool {
        self.signer.is_some() && self.slots.iter().any(|slot| slot.is_on(Direction::Writing))
    }

    /// The trusted result of an action, from the first location that has one. Its blobs may be missing all the same: then
    /// [`Self::fetch`] says so, and the action is to be run.
    pub fn action_result(&self, action: &Blob) -> Option<Hit> {
        self.readable().find_map(|slot| self.result_of(slot, action))
    }

    /// Returns the trusted result of an action with the blobs that it references, if every blob is in some location.
    pub fn complete_result(&self, action: &Blob) -> Option<(Hit, BTreeSet<Blob>)> {
        self.readable().find_map(|slot| {
            let hit = self.result_of(slot, action)?;
            let blobs = self.blobs_of(&hit.result)?;
            self.has_all(&blobs).then_some((hit, blobs))
        })
    }

    /// Returns all blobs that a result references; `Tree` and `Directory` messages are read from the cache. `None` when
    /// one of them is missing or malformed.
    pub fn blobs_of(&self, result: &ActionResult) -> Option<BTreeSet<Blob>> {
        let blobs = closure::complete(result, &mut |blob| self.bytes(blob));
        blobs
            .inspect_err(|error| tracing::debug!(%error, "a result without its blobs"))
            .ok()
    }

    /// Returns `true` if each of these blobs is in at least one readable location (`FindMissingBlobs`).
    pub fn has_all<'b>(&self, blobs: impl IntoIterator<Item = &'b Blob>) -> bool {
        let mut missing: Vec<Blob> = blobs.into_iter().copied().collect();
        for slot in self.readable() {
            if missing.is_empty() {
                break;
            }
            if let Some(rest) = self.call(slot, |backend| backend.missing(&missing)) {
                missing = rest;
            }
        }
        missing.is_empty()
    }

    /// Reads a blob into a file, from the first location that has it. `false` when none has, and the file is empty then.
    ///
    /// # Errors
    /// When the file cannot be written, as on a full disk: the blob may be in the cache then.
    pub fn fetch(&self, blob: &Blob, into: &mut File) -> io::Result<bool> {
        for slot in self.readable() {
            let outcome = match self.open(slot).map(|opened| opened.backend().read(blob, into)) {
                Some(Err(CacheError::Local { source, .. })) => return Err(source),
                outcome => outcome,
            };
            if outcome.is_some_and(|outcome| self.settle_read(slot, blob, outcome).is_some()) {
                return Ok(true);
            }
            into.set_len(0)?;
            into.rewind()?;
        }
        Ok(false)
    }

    /// Reads a small blob into memory, from the first location that has it. `None` when none has, and for what is larger
    /// than [`MAX_IN_MEMORY`].
    pub fn bytes(&self, blob: &Blob) -> Option<Vec<u8>> {
        if blob.size > MAX_IN_MEMORY {
            return None;
        }
        self.readable().find_map(|slot| {
            let mut content = Vec::new();
            self.read_from(slot, blob, &mut content).then_some(content)
        })
    }

    /// Reads many small blobs, in as few round trips as there can be. Those that no location has are left out.
    pub fn many_bytes(&self, blobs: &[Blob]) -> Vec<(Blob, Vec<u8>)> {
        let small = |blob: &&Blob| blob.size <= MAX_IN_MEMORY;
        let mut wanted: Vec<Blob> = blobs.iter().filter(small).copied().collect();
        let mut found = Vec::new();
        for slot in self.readable() {
            if wanted.is_empty() {
                break;
            }
            let outcomes = self
                .call(slot, |backend| backend.read_small(&wanted))
                .unwrap_or_default();
            for (blob, outcome) in outcomes {
                if let Some(content) = self.settle_read(slot, &blob, outcome) {
                    found.push((blob, content));
                }
            }
            wanted.retain(|blob| found.iter().all(|(had, _)| had != blob));
        }
        found
    }

    /// Returns the counters of each location in this run, by the location's name.
    pub fn statistics(&self) -> Vec<(String, CacheStatistics)> {
        let counted = |slot: &Slot| (slot.location.to_string(), slot.counters.now());
        self.slots.iter().map(counted).collect()
    }

    fn warn_without_keys(&self) {
        let any = |uses: fn(&Slot) -> bool| self.slots.iter().any(uses);
        if self.trusted.is_empty() && any(|slot| slot.location.mode.reads()) {
            self.reporter.warn(
                "nothing is taken from the cache, as no key is trusted: name the public keys of those who may fill it",
            );
        }
        if self.signer.is_none() && any(|slot| slot.location.mode == crate::location::Mode::Write) {
            self.reporter
                .warn("nothing is written to the cache, as there is no key to sign with");
        }
    }

    fn readable(&self) -> impl Iterator<Item = &Slot> {
        let any = !self.trusted.is_empty();
        self.slots
            .iter()
            .filter(move |slot| any && slot.is_on(Direction::Reading))
    }

    fn result_of(&self, slot: &Slot, action: &Blob) -> Option<Hit> {
        let counters = &slot.counters;
        let Some(result) = self.call(slot, |backend| backend.action_result(action))? else {
            counters.misses.add(1);
            return None;
        };
        let location = slot.location.to_string();
        match signature::verify(&action.digest, &result, &self.trusted) {
            SignatureVerdict::Trusted(result, key) => {
                counters.hits.add(1);
                let result = *result;
                return Some(Hit { result, key, location });
            }
            SignatureVerdict::Forged(key) => {
                if counters.forged.add(1) == 0 {
                    self.reporter.warn(&format!(
                        "the cache {location} gave a result with a wrong signature of the trusted key {key}: another key has \
                         that name, the result is damaged, or somebody tampers with it; such results are not used"
                    ));
                }
            }
            SignatureVerdict::UnknownSigner(key) => {
                if counters.untrusted.add(1) == 0 {
                    self.reporter.note(&format!(
                        "the cache {location} has results that were signed by the key {key}, which is not trusted: they are \
                         not used"
                    ));
                }
            }
            SignatureVerdict::Unsigned => {
                counters.untrusted.add(1);
            }
        }
        None
    }

    fn read_from(&self, slot: &Slot, blob: &Blob, into: &mut dyn Write) -> bool {
        let outcome = self.open(slot).map(|opened| opened.backend().read(blob, into));
        outcome.is_some_and(|outcome| self.settle_read(slot, blob, outcome).is_some())
    }

    fn settle_read<T>(&self, slot: &Slot, blob: &Blob, outcome: Result<T, CacheError>) -> Option<T> {
        match &outcome {
            Ok(_) => {
                slot.breaker(Direction::Reading).succeed();
                slot.counters.blobs_read.add(1);
                slot.counters.bytes_read.add(blob.size);
            }
            Err(CacheError::Missing { .. }) => {
                slot.counters.blobs_missing.add(1);
            }
            Err(CacheError::Wrong { .. }) => {
                slot.counters.blobs_wrong.add(1);
            }
            Err(_) => {}
        }
        self.settle(slot, Direction::Reading, outcome)
    }

    /// Makes a reading call on a location. `None` when that failed: it is recorded, and perhaps warned of.
    fn call<T>(&self, slot: &Slot, call: impl FnOnce(&dyn Backend) -> Result<T, CacheError>) -> Option<T> {
        let opened = self.open(slot)?;
        self.settle(slot, Direction::Reading, call(opened.backend()))
    }

    fn settle<T>(&self, slot: &Slot, direction: Direction, outcome: Result<T, CacheError>) -> Option<T> {
        match outcome {
            Ok(done) => Some(done),
            Err(error) => {
                self.failed(slot, direction, &error);
                None
            }
        }
    }

    fn failed(&self, slot: &Slot, direction: Direction, error: &CacheError) {
        tracing::debug!(cache = %slot.location, error = %chain(error), "a call failed");
        if !matches!(error, CacheError::Missing { .. } | CacheError::Wrong { .. }) && !error.is_ours() {
            slot.counters.failures.add(1);
        }
        let off = slot.breaker(direction).fail(error);
        if matches!(error, CacheError::Unreachable { .. } | CacheError::TimedOut { .. }) {
            slot.breaker(direction.other()).fail(error);
        }
        if off {
            let what = match direction {
                Direction::Reading => "nothing more is taken from it in this run",
                Direction::Writing => "nothing more is written to it in this run",
            };
            self.reporter.warn(&format!("{}; {what}", chain(error)));
        }
    }

    fn open(&self, slot: &Slot) -> Option<Arc<Opened>> {
        let mut backend = slot.backend.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = &*backend {
            return Some(Arc::clone(opened));
        }
        // Others may have tried in vain while this thread waited for the lock.
        if !slot.is_on(Direction::Reading) && !slot.is_on(Direction::Writing) {
            return None;
        }
        match slot.connect(self.limits) {
            Ok(opened) => {
                if let Opened::Folder(folder) = &opened
                    && !folder.exists()
                {
                    let note = format!(
                        "there is no cache in {} yet: `basalt cache push` makes one",
                        folder.path()
                    );
                    self.reporter.note(&note);
                }
                Some(Arc::clone(backend.insert(Arc::new(opened))))
            }
            Err(error) if error.is_ours() => None,
            Err(error) => {
                slot.counters.failures.add(1);
                slot.breaker(Direction::Reading).switch_off();
                slot.breaker(Direction::Writing).switch_off();
                self.reporter
                    .warn(&format!("{}; it is not used in this run", chain(&error)));
                None
            }
        }
    }
}

impl Direction {
    fn other(self) -> Self {
        match self {
            Self::Reading => Self::Writing,
            Self::Writing => Self::Reading,
        }
    }
}

impl Slot {
    /// Returns `true` if the location's mode allows calls in this direction and its circuit breaker is closed.
    fn is_on(&self, direction: Direction) -> bool {
        let wanted = match direction {
            Direction::Reading => self.location.mode.reads(),
            Direction::Writing => self.location.mode.writes(),
        };
        wanted && self.breaker(direction).is_on()
    }

    fn breaker(&self, direction: Direction) -> MutexGuard<'_, Breaker> {
        let breaker = match direction {
            Direction::Reading => &self.reading,
            Direction::Writing => &self.writing,
        };
        breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the back end. The capabilities of a server are requested at once, so that an unreachable one fails here.
    fn connect(&self, limits: CallLimits) -> Result<Opened, CacheError> {
        match &self.location.place {
            LocationKind::Folder(path) => {
                Folder::open_within(path, self.location.mode, limits.call).map(Opened::Folder)
            }
            LocationKind::Server(server) => {
                let remote = Remote::new(server, limits)?;
                remote.features()?;
                Ok(Opened::Server(Box::new(remote)))
            }
        }
    }
}
