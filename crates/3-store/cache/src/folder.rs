//! Cache in a folder, which may lie on a network file system and be used by several machines at once.
//!
//! ```text
//! <folder>/CACHEDIR.TAG                  so that backups leave it out
//! <folder>/cas/<2 digits>/<sha256>.zst   a blob, as one zstd frame
//! <folder>/ac/<2 digits>/<sha256>        a result, by its action's digest: canonical ActionResult
//! <folder>/tmp/write-<random>            writes under way
//! ```
//!
//! Only a folder that is empty or a cache is used ([`ownership`]), and only files of these names are ever removed.
//!
//! Every file is written into `tmp`, synced and renamed into its place, so that there are no locks: who comes second
//! writes the same bytes. Names in `tmp` are random and created exclusively, which holds across hosts and containers.
//! Content is verified on every read: a blob with another digest counts as missing and is removed, where this location
//! may be written to. Folders and files get the permissions of the cache's own folder, whatever the umask is.
//!
//! The time of a file's last use is its mtime: renewed at most once a day by reads, and by a push before collection
//! could take from it what it has found.

use std::collections::HashSet;
use std::io::{self, Read as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bazel_remote_apis::build::bazel::remote::execution::v2::ActionResult;
use camino::{Utf8Path, Utf8PathBuf};
use prost::Message as _;

use crate::backend::{ActionCache, BlobSource, ContentAddressableStorage};
use crate::blob::{BlobMismatch, Verifier};
use crate::canonical::{self, MAX_RESULT};
use crate::error::CacheError;
use crate::location::Mode;
use crate::transfer::{CopyError, copy};
use basalt_action::Blob;

mod collect;
mod file;
mod ownership;
mod plan;
mod status;

pub use collect::CacheGcStats;
pub use plan::RetentionPolicy;
pub use status::{FolderStatus, Verification};

/// Level of zstd. Nine takes a second for some 60 MB on one core; packages are compressed already, and pass quickly.
const LEVEL: i32 = 9;

/// Largest window of a zstd frame, as a power of two: decoding takes up to 128 MiB of memory.
pub(crate) const WINDOW_LOG: u32 = 27;

/// Folder of writes under way.
const TEMPORARY: &str = "tmp";

/// A cache in a folder.
#[derive(Debug)]
pub struct Folder {
    path: Utf8PathBuf,
    mode: Mode,
    /// Modes of what is made in it; empty until the folder is there.
    modes: OnceLock<file::Modes>,
    /// `true` once its tag is written, which marks the folder as a cache.
    is_marked: AtomicBool,
    /// Blobs that were found damaged and could not be removed: they are missing, and a write replaces them.
    damaged: Mutex<HashSet<Blob>>,
    /// Blobs that a push of this process has compared with their digests.
    verified: Mutex<HashSet<Blob>>,
}

impl Folder {
    /// Opens a cache. Where it may be written to, it need not be there yet, and the first write makes it; but the folder
    /// above it has to be there: a network file system that is not mounted is an error, not a new cache.
    ///
    /// # Errors
    /// When it is not there and cannot be made, or is not a folder; [`CacheError::Foreign`] when it is not empty and no
    /// cache.
    pub fn open(path: &Utf8Path, mode: Mode) -> Result<Self, CacheError> {
        let metadata = match fs_err::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && mode.writes() && has_parent(path) => None,
            metadata => Some(metadata.map_err(CacheError::io("cannot open the folder", path))?),
        };
        if metadata.as_ref().is_some_and(|metadata| !metadata.is_dir()) {
            let error = io::ErrorKind::NotADirectory.into();
            return Err(CacheError::io("cannot use, as it is not a folder,", path)(error));
        }
        let is_marked = metadata.is_some() && ownership::is_marked(path)?;
        let modes = metadata.as_ref().map(file::Modes::of);
        Ok(Self {
            path: path.to_owned(),
            mode,
            modes: modes.map(OnceLock::from).unwrap_or_default(),
            is_marked: is_marked.into(),
            damaged: Mutex::default(),
            verified: Mutex::default(),
        })
    }

    /// Returns `true` if the folder is there; else the first write makes it.
    pub fn exists(&self) -> bool {
        self.modes.get().is_some()
    }

    /// Makes the folder unless it is there, marks it as a cache, and returns the modes of what is made in it.
    fn make(&self) -> Result<file::Modes, CacheError> {
        let modes = match self.modes.get() {
            Some(modes) => *modes,
            None => {
                let metadata = create(&self.path).map_err(CacheError::io("cannot create the folder", &self.path))?;
                *self.modes.get_or_init(|| file::Modes::of(&metadata))
            }
        };
        // Other threads make it with the same modes, and write the same tag.
        if !self.is_marked.load(Ordering::Acquire) {
            let (name, text) = ownership::TAG;
            self.put_with(modes, &self.path.join(name), |file| file.write_all(text.as_bytes()))?;
            self.is_marked.store(true, Ordering::Release);
        }
        Ok(modes)
    }

    /// The same, given up after `limit`: a network file system whose server is gone lets processes wait for ever.
    ///
    /// # Errors
    /// As [`Self::open`], and [`CacheError::TimedOut`].
    pub fn open_within(path: &Utf8Path, mode: Mode, limit: Duration) -> Result<Self, CacheError> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let folder = path.to_owned();
        // Not joined when it hangs: nothing but the kernel can end it.
        std::thread::spawn(move || sender.send(Self::open(&folder, mode)));
        let end = Instant::now() + limit;
        loop {
            basalt_process::interrupt::check()?;
            match receiver.recv_timeout(Duration::from_millis(100)) {
                Ok(opened) => return opened,
                Err(_) if Instant::now() < end => {}
                Err(_) => {
                    return Err(CacheError::TimedOut {
                        cache: path.to_string(),
                        call: "opening the folder",
                        seconds: limit.as_secs(),
                    });
                }
            }
        }
    }

    /// The folder.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    fn blob_path(&self, blob: &Blob) -> Utf8PathBuf {
        let hex = blob.digest.to_hex();
        self.path.join("cas").join(fan_out(&hex)).join(hex + ".zst")
    }

    fn result_path(&self, action: &Blob) -> Utf8PathBuf {
        let hex = action.digest.to_hex();
        self.path.join("ac").join(fan_out(&hex)).join(hex)
    }

    fn temporary(&self) -> Utf8PathBuf {
        self.path.join(TEMPORARY)
    }

    /// Writes a file whole or not at all.
    fn put(&self, path: &Utf8Path, write: impl FnOnce(&mut fs_err::File) -> io::Result<()>) -> Result<(), CacheError> {
        self.put_with(self.make()?, path, write)
    }

    fn put_with(
        &self,
        modes: file::Modes,
        path: &Utf8Path,
        write: impl FnOnce(&mut fs_err::File) -> io::Result<()>,
    ) -> Result<(), CacheError> {
        let mut failed = None;
        file::replace(&self.path, path, modes, |file| {
            write(file).map_err(|error| {
                let kind = error.kind();
                failed = Some(error);
                kind.into()
            })
        })
        .map_err(|error| CacheError::io("cannot write", path)(failed.unwrap_or(error)))
    }

    /// Takes a file away that is not what it should be, so that it is written anew.
    fn discard(&self, path: &Utf8Path) -> bool {
        self.mode.writes() && fs_err::remove_file(path).is_ok()
    }

    fn is_damaged(&self, blob: &Blob) -> bool {
        locked(&self.damaged).contains(blob)
    }

    /// Returns `true` if the blob is there and its content is right, which is compared once in each process. One that is
    /// damaged is taken away, where that is allowed.
    fn is_intact(&self, blob: &Blob) -> Result<bool, CacheError> {
        if *blob == Blob::empty() {
            return Ok(true);
        }
        if !locked(&self.verified).contains(blob) {
            match self.read(blob, &mut io::sink()) {
                Ok(()) => drop(locked(&self.verified).insert(*blob)),
                Err(CacheError::Missing { .. } | CacheError::Wrong { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.touch(&self.blob_path(blob))
    }

    /// Records that a push relies on the file; `false` when it is not there.
    fn touch(&self, path: &Utf8Path) -> Result<bool, CacheError> {
        match file::open(path) {
            Ok(opened) => {
                self.used(&opened, file::RENEWED_BY_PUSH);
                Ok(true)
            }
            Err(error) if file::is_absent(&error) => Ok(false),
            Err(error) => Err(CacheError::io("cannot read", path)(error)),
        }
    }

    /// Renews the time of last use, if it is older than `limit`. That it may fail (another's file, a read-only mount)
    /// costs only an earlier removal.
    fn used(&self, opened: &fs_err::File, limit: Duration) {
        if self.mode.writes() {
            file::renew(opened, limit);
        }
    }

    fn wrong(&self, blob: &Blob, mismatch: BlobMismatch) -> CacheError {
        if !self.discard(&self.blob_path(blob)) {
            locked(&self.damaged).insert(*blob);
        }
        CacheError::Wrong {
            cache: self.path.to_string(),
            blob: *blob,
            mismatch,
        }
    }

    /// Reads a result without recording that as a use.
    fn load_result(&self, path: &Utf8Path) -> Result<Option<(ActionResult, fs_err::File)>, CacheError> {
        let opened = match file::open(path) {
            Ok(opened) => opened,
            Err(error) if file::is_absent(&error) => return Ok(None),
            Err(error) => return Err(CacheError::io("cannot read", path)(error)),
        };
        let mut bytes = Vec::new();
        let mut limited = (&opened).take(MAX_RESULT as u64 + 1);
        limited
            .read_to_end(&mut bytes)
            .map_err(CacheError::io("cannot read", path))?;
        match ActionResult::decode(&*bytes) {
            Ok(result) if bytes.len() <= MAX_RESULT => Ok(Some((result, opened))),
            _ => Err(CacheError::Protocol {
                cache: self.path.to_string(),
                call: "ac",
                why: format!("{path} is not an ActionResult"),
            }),
        }
    }

    /// Compresses a blob into a file, and verifies it on the way.
    fn compress(&self, blob: &Blob, from: &mut dyn BlobSource, file: &mut fs_err::File) -> Result<(), CacheError> {
        let path = self.blob_path(blob);
        let failed = |error| CacheError::io("cannot write", &path)(error);
        let mut encoder = zstd::stream::write::Encoder::new(file, LEVEL).map_err(failed)?;
        encoder.include_checksum(true).map_err(failed)?;
        encoder.set_pledged_src_size(Some(blob.size)).map_err(failed)?;
        let mut verifier = Verifier::new(*blob, &mut encoder);
        let changed = |mismatch| CacheError::SourceChanged { blob: *blob, mismatch };
        match copy(from, &mut verifier) {
            Ok(()) => {}
            Err(CopyError::Interrupted(error)) => return Err(error.into()),
            Err(CopyError::Read(source)) => return Err(local("read", blob)(source)),
            Err(CopyError::Write(_)) if verifier.exceeded() => return Err(changed(BlobMismatch::TooLong(blob.size))),
            Err(CopyError::Write(error)) => return Err(failed(verifier.sink_error().unwrap_or(error))),
        }
        verifier.finish().map_err(changed)?;
        encoder.finish().map(drop).map_err(failed)
    }
}

/// Returns `true` if the folder that a cache would be made in is there.
fn has_parent(path: &Utf8Path) -> bool {
    // The folder above a bare name is the working folder.
    path.parent()
        .is_some_and(|parent| parent.as_str().is_empty() || parent.is_dir())
}

fn locked(blobs: &Mutex<HashSet<Blob>>) -> MutexGuard<'_, HashSet<Blob>> {
    blobs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Creates the folder of a cache, unless another process has done so meanwhile.
fn create(path: &Utf8Path) -> io::Result<std::fs::Metadata> {
    match fs_err::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs_err::metadata(path),
    }
}

fn local(what: &'static str, blob: &Blob) -> impl FnOnce(io::Error) -> CacheError {
    let blob = *blob;
    move |source| CacheError::Local { what, blob, source }
}

impl ContentAddressableStorage for Folder {
    fn missing(&self, blobs: &[Blob]) -> Result<Vec<Blob>, CacheError> {
        let mut missing = Vec::new();
        for blob in blobs {
            basalt_process::interrupt::check()?;
            let there = *blob == Blob::empty() || (!self.is_damaged(blob) && self.touch(&self.blob_path(blob))?);
            if !there {
                missing.push(*blob);
            }
        }
        Ok(missing)
    }

    fn missing_or_damaged(&self, blobs: &[Blob]) -> Result<Vec<Blob>, CacheError> {
        let mut wanted = Vec::new();
        for blob in blobs {
            basalt_process::interrupt::check()?;
            if self.is_damaged(blob) || !self.is_intact(blob)? {
                wanted.push(*blob);
            }
        }
        Ok(wanted)
    }

    fn read(&self, blob: &Blob, into: &mut dyn Write) -> Result<(), CacheError> {
        if *blob == Blob::empty() {
            return Ok(());
        }
        let path = self.blob_path(blob);
        let opened = file::open(&path).map_err(|error| match file::is_absent(&error) {
            true => CacheError::Missing {
                cache: self.path.to_string(),
                blob: *blob,
            },
            false => CacheError::io("cannot read", &path)(error),
        })?;
        let mut recorded = file::Recorded::new(&opened);
        let mut verifier = Verifier::new(*blob, into);
        let copied = file::decoder(&mut recorded).map_or_else(
            |error| Err(CopyError::Read(error)),
            |mut decoder| copy(&mut decoder, &mut verifier),
        );
        match copied {
            Ok(()) => verifier.finish().map_err(|mismatch| self.wrong(blob, mismatch))?,
            Err(CopyError::Interrupted(error)) => return Err(error.into()),
            Err(CopyError::Read(_)) => {
                return Err(match recorded.error() {
                    Some(error) => CacheError::io("cannot read", &path)(error),
                    None => self.wrong(blob, BlobMismatch::Encoding),
                });
            }
            Err(CopyError::Write(error)) => {
                return Err(match verifier.exceeded() {
                    true => self.wrong(blob, BlobMismatch::TooLong(blob.size)),
                    false => local("write", blob)(verifier.sink_error().unwrap_or(error)),
                });
            }
        }
        self.used(&opened, file::RENEWED_BY_READ);
        Ok(())
    }

    fn write(&self, blob: &Blob, from: &mut dyn BlobSource) -> Result<(), CacheError> {
        let path = self.blob_path(blob);
        if *blob == Blob::empty() || (!self.is_damaged(blob) && self.touch(&path)?) {
            return Ok(());
        }
        let modes = self.make()?;
        let mut failed = None;
        let written = file::replace(&self.path, &path, modes, |file| {
            self.compress(blob, from, file).map_err(|error| {
                failed = Some(error);
                io::ErrorKind::Other.into()
            })
        });
        written.map_err(|error| failed.unwrap_or_else(|| CacheError::io("cannot write", &path)(error)))?;
        locked(&self.damaged).remove(blob);
        Ok(())
    }
}

impl ActionCache for Folder {
    fn action_result(&self, action: &Blob) -> Result<Option<ActionResult>, CacheError> {
        let path = self.result_path(action);
        let loaded = self.load_result(&path).inspect_err(|error| {
            if matches!(error, CacheError::Protocol { .. }) {
                self.discard(&path);
            }
        })?;
        Ok(loaded.map(|(result, opened)| {
            self.used(&opened, file::RENEWED_BY_READ);
            result
        }))
    }

    fn put_action_result(&self, action: &Blob, result: &ActionResult) -> Result<(), CacheError> {
        let bytes = canonical::encode(result);
        self.put(&self.result_path(action), |file| file.write_all(&bytes))
    }
}

/// Folder of a file with this digest: 256 of them, by its first two digits.
fn fan_out(hex: &str) -> &str {
    hex.get(..2).unwrap_or_default()
}

#[cfg(test)]
mod tests;
