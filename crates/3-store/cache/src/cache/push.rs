//! Writing: the blobs of a result first, then the result, signed.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::sync::atomic::Ordering;

use bazel_remote_apis::build::bazel::remote::execution::v2::ActionResult;
use prost::Message as _;

use super::{Cache, Direction, Slot};
use crate::backend::{Backend, BlobSource};
use crate::canonical::MAX_RESULT;
use crate::error::{CacheError, chain};
use crate::{closure, signature};
use basalt_action::Blob;

/// Size up to which blobs are sent together.
const SMALL: u64 = 64 << 10;

/// Bytes of small blobs that are held in memory at once.
const BATCH: u64 = 2 << 20;

/// Opens a blob of this side's store.
pub type Open<'o> = &'o dyn Fn(&Blob) -> io::Result<Box<dyn BlobSource>>;

/// An action with its result, to be written to the cache.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Digest and size of the `Action` message.
    pub action: Blob,
    /// Result of the action, all of which is signed. Signatures that it has are replaced.
    pub result: ActionResult,
    /// The part of the result whose content is written: the same message with fewer outputs, or with all. Readers learn
    /// the digests of the others, and have to make their content if they need it.
    pub named: ActionResult,
    /// Blobs to be written besides those that `named` stands on: `Action`, `Command`, input directories, so that others
    /// can be told why a key differs. May be empty.
    pub also: Vec<Blob>,
}

/// Outcome of an [`Upload`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Locations that have the result and all its blobs now.
    pub locations: usize,
    /// Locations that may be written to and do not have the result, or not all its blobs: they failed now, or were
    /// switched off by earlier failures.
    pub failed: usize,
    /// Blobs that were written, in all locations.
    pub blobs: u64,
    /// Size of these blobs, uncompressed, in bytes.
    pub bytes: u64,
}

impl Cache {
    /// Writes a result and what it stands on to each location that may be written to. `open` gives the content of a blob
    /// from this side's store. A location that fails costs a warning; the caller's store being unreadable is an error.
    ///
    /// # Errors
    /// [`CacheError::Local`] or [`CacheError::SourceChanged`] when `open` fails or gives something else than the blob, and
    /// on Ctrl-C. Never because of a cache.
    pub fn push(&self, upload: &Upload, open: Open<'_>) -> Result<Pushed, CacheError> {
        let mut pushed = Pushed::default();
        let Some(key) = self.signer.as_ref() else {
            return Ok(pushed);
        };
        let writable: Vec<&Slot> = self.slots.iter().filter(|slot| slot.location.mode.writes()).collect();
        if !self.writes() {
            pushed.failed = writable.len();
            return Ok(pushed);
        }
        let blobs = all_blobs(upload, open)?;
        let signed = signature::sign(&upload.action.digest, &upload.result, &upload.named, key);
        if signed.encoded_len() > MAX_RESULT {
            let action = upload.action;
            self.reporter.warn(&format!(
                "the result of the action {action} is too large for a cache: it is not written"
            ));
            return Ok(pushed);
        }
        for slot in writable {
            let written =
                slot.is_on(Direction::Writing) && self.push_to(slot, upload, &signed, &blobs, open, &mut pushed)?;
            match written {
                true => pushed.locations += 1,
                false => pushed.failed += 1,
            }
        }
        Ok(pushed)
    }

    /// Writes to one location; `false` when that fails.
    fn push_to(
        &self,
        slot: &Slot,
        upload: &Upload,
        signed: &ActionResult,
        blobs: &[Blob],
        open: Open<'_>,
        pushed: &mut Pushed,
    ) -> Result<bool, CacheError> {
        let Some(opened) = self.open(slot) else {
            return Ok(false);
        };
        let backend = opened.backend();
        let mut transfer = Transfer {
            slot,
            backend,
            open,
            pushed,
        };
        let done = transfer.blobs(blobs);
        match done.and_then(|()| backend.put_action_result(&upload.action, signed)) {
            Err(error) if error.is_ours() => Err(error),
            outcome => {
                let failure = outcome.as_ref().err().map(|error| chain(error));
                let written = self.settle(slot, Direction::Writing, outcome).is_some();
                if written {
                    slot.breaker(Direction::Writing).succeed();
                    slot.counters.results_written.add(1);
                }
                // Where the circuit breaker opens, that was told.
                if let Some(failure) = failure
                    && slot.is_on(Direction::Writing)
                    && !slot.told.swap(true, Ordering::Relaxed)
                {
                    self.reporter
                        .warn(&format!("a result is not written to {}: {failure}", slot.location));
                }
                Ok(written)
            }
        }
    }
}

/// Blobs of the outputs whose content is written.
fn all_blobs(upload: &Upload, open: Open<'_>) -> Result<Vec<Blob>, CacheError> {
    let mut failed = None;
    let complete = closure::complete(&upload.named, &mut |blob| {
        content(blob, open).map_err(|error| failed = Some(error)).ok()
    });
    let mut blobs: BTreeSet<Blob> = match (complete, failed) {
        (Ok(blobs), _) => blobs,
        (Err(_), Some(error)) => return Err(error),
        (Err(error), None) => {
            return Err(CacheError::Malformed {
                action: upload.action,
                source: error,
            });
        }
    };
    blobs.extend(&upload.also);
    Ok(blobs.into_iter().collect())
}

/// The content of a small blob of this side's store.
fn content(blob: &Blob, open: Open<'_>) -> Result<Vec<u8>, CacheError> {
    let local = |source| CacheError::Local {
        what: "read",
        blob: *blob,
        source,
    };
    let mut content = Vec::new();
    let source = open(blob).map_err(local)?;
    source.take(blob.size + 1).read_to_end(&mut content).map_err(local)?;
    let actual = Blob::of(&content);
    match actual == *blob {
        true => Ok(content),
        false => Err(CacheError::SourceChanged {
            blob: *blob,
            mismatch: crate::blob::BlobMismatch::Content(actual.digest),
        }),
    }
}

/// Blobs on their way to one location.
struct Transfer<'t> {
    slot: &'t Slot,
    backend: &'t dyn Backend,
    open: Open<'t>,
    pushed: &'t mut Pushed,
}

impl Transfer<'_> {
    fn blobs(&mut self, blobs: &[Blob]) -> Result<(), CacheError> {
        let missing = self.backend.missing_or_damaged(blobs)?;
        let (small, large): (Vec<Blob>, Vec<Blob>) = missing.iter().partition(|blob| blob.size <= SMALL);
        for blob in &large {
            let mut source = (self.open)(blob).map_err(|source| CacheError::Local {
                what: "read",
                blob: *blob,
                source,
            })?;
            self.backend.write(blob, &mut *source)?;
            self.written(blob);
        }
        let mut batch = Vec::new();
        let mut size = 0;
        for blob in &small {
            batch.push((*blob, content(blob, self.open)?));
            size += blob.size;
            if size >= BATCH {
                self.batch(&mut batch)?;
                size = 0;
            }
        }
        self.batch(&mut batch)
    }

    fn batch(&mut self, batch: &mut Vec<(Blob, Vec<u8>)>) -> Result<(), CacheError> {
        if !batch.is_empty() {
            self.backend.write_small(batch)?;
        }
        batch.drain(..).for_each(|(blob, _)| self.written(&blob));
        Ok(())
    }

    fn written(&mut self, blob: &Blob) {
        self.slot.counters.blobs_written.add(1);
        self.slot.counters.bytes_written.add(blob.size);
        self.pushed.blobs += 1;
        self.pushed.bytes += blob.size;
    }
}
