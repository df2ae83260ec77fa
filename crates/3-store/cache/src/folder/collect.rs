//! Garbage collection of a folder cache: removes what was used least recently.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, SystemTime};

use basalt_digest::Digest;
use camino::{Utf8Path, Utf8PathBuf};

use super::plan::{Entry, RetentionPolicy, removals};
use super::{Folder, file, ownership};
use crate::closure;
use crate::error::CacheError;
use basalt_action::Blob;

/// Age at which a temporary file counts as left over by a process that was killed.
const LEFT_OVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Statistics of a garbage collection: what it removed, or would remove in a dry run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheGcStats {
    /// Blobs.
    pub blobs: u64,
    /// Results.
    pub results: u64,
    /// Temporary files that a killed process had left.
    pub leftovers: u64,
    /// Bytes of all of these.
    pub freed: u64,
    /// Bytes that stay.
    pub kept: u64,
}

/// Kind of file, by the folder that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Blob,
    Result,
}

/// A file of the cache.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) path: Utf8PathBuf,
    pub(super) kind: Kind,
    pub(super) digest: Digest,
    pub(super) entry: Entry,
}

impl Folder {
    /// Removes what is not to be kept. Others may use the cache meanwhile; whoever loses a blob builds it again.
    ///
    /// # Errors
    /// When the folder cannot be read, or something in it cannot be removed.
    pub fn gc(&self, keep: &RetentionPolicy) -> Result<CacheGcStats, CacheError> {
        let now = match self.modes.get() {
            Some(modes) if self.mode.writes() => {
                file::server_time(&self.temporary(), *modes).unwrap_or_else(|_| SystemTime::now())
            }
            _ => SystemTime::now(),
        };
        let mut collected = CacheGcStats::default();
        let mut stored = self.scan()?;
        let entries: Vec<Entry> = stored.iter().map(|stored| stored.entry).collect();
        let mut removed: HashSet<usize> = removals(&entries, now, keep).into_iter().collect();
        let gone = |index: &usize| stored.get(*index).map(|stored| stored.digest);
        let gone: HashSet<Digest> = removed.iter().filter_map(gone).collect();
        for (index, result) in stored.iter().enumerate() {
            if result.kind == Kind::Result && self.is_dangling(result, &gone)? {
                removed.insert(index);
            }
        }
        for (index, stored) in stored.drain(..).enumerate() {
            if !removed.contains(&index) {
                collected.kept += stored.entry.bytes;
                continue;
            }
            self.remove(&stored.path, keep.dry_run)?;
            collected.freed += stored.entry.bytes;
            match stored.kind {
                Kind::Blob => collected.blobs += 1,
                Kind::Result => collected.results += 1,
            }
        }
        self.sweep(now, keep.dry_run, &mut collected)?;
        Ok(collected)
    }

    /// Lists all blobs and results. Files with other names do not belong to the cache and are left alone.
    pub(super) fn scan(&self) -> Result<Vec<Stored>, CacheError> {
        let mut stored = Vec::new();
        for (name, kind) in [("cas", Kind::Blob), ("ac", Kind::Result)] {
            for shard in self.list(&self.path.join(name))? {
                if !ownership::is_shard(shard.file_name().unwrap_or_default()) {
                    continue;
                }
                for path in self.list(&shard)? {
                    basalt_process::interrupt::check()?;
                    stored.extend(self.stored(path, kind)?);
                }
            }
        }
        Ok(stored)
    }

    fn stored(&self, path: Utf8PathBuf, kind: Kind) -> Result<Option<Stored>, CacheError> {
        let name = path.file_name().unwrap_or_default();
        let digest = match kind {
            Kind::Blob => name.strip_suffix(".zst").and_then(|name| name.parse().ok()),
            Kind::Result => name.parse().ok(),
        };
        let (Some(digest), Some(metadata)) = (digest, self.metadata(&path)?) else {
            return Ok(None);
        };
        let entry = Entry {
            bytes: metadata.len(),
            used: metadata.modified().map_err(CacheError::io("cannot read", &path))?,
        };
        Ok(Some(Stored {
            path,
            kind,
            digest,
            entry,
        }))
    }

    /// Returns `true` if a blob that the result names directly is missing, or if the result itself is damaged.
    fn is_dangling(&self, result: &Stored, gone: &HashSet<Digest>) -> Result<bool, CacheError> {
        basalt_process::interrupt::check()?;
        let named = match self.load_result(&result.path) {
            Ok(Some((result, _))) => closure::named(&result),
            Ok(None) => return Ok(false),
            Err(CacheError::Protocol { .. }) => return Ok(true),
            Err(error) => return Err(error),
        };
        let lost = |blob: &Blob| gone.contains(&blob.digest) || !self.blob_path(blob).exists();
        Ok(named.map_or(true, |blobs| {
            blobs.iter().any(|blob| *blob != Blob::empty() && lost(blob))
        }))
    }

    /// Removes temporary files of killed processes. Files with other names than they have are not the cache's.
    fn sweep(&self, now: SystemTime, dry_run: bool, collected: &mut CacheGcStats) -> Result<(), CacheError> {
        for path in self.list(&self.temporary())? {
            if !path.file_name().is_some_and(file::is_temporary) {
                continue;
            }
            let Some(metadata) = self.metadata(&path)? else {
                continue;
            };
            let modified = metadata.modified().map_err(CacheError::io("cannot read", &path))?;
            if now.duration_since(modified).is_ok_and(|age| age > LEFT_OVER) {
                self.remove(&path, dry_run)?;
                collected.leftovers += 1;
                collected.freed += metadata.len();
            }
        }
        Ok(())
    }

    fn remove(&self, path: &Utf8Path, dry_run: bool) -> Result<(), CacheError> {
        match dry_run {
            true => Ok(()),
            false => unless_gone(fs_err::remove_file(path), ()).map_err(CacheError::io("cannot remove", path)),
        }
    }

    fn metadata(&self, path: &Utf8Path) -> Result<Option<std::fs::Metadata>, CacheError> {
        let metadata = unless_gone(fs_err::symlink_metadata(path).map(Some), None);
        Ok(metadata
            .map_err(CacheError::io("cannot read", path))?
            .filter(std::fs::Metadata::is_file))
    }

    fn list(&self, folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, CacheError> {
        let list = || {
            let entries = fs_err::read_dir(folder)?;
            let paths = entries.map(|entry| Ok(Utf8PathBuf::from_path_buf(entry?.path()).ok()));
            paths.filter_map(Result::transpose).collect::<io::Result<Vec<_>>>()
        };
        match list() {
            Err(error) if file::is_absent(&error) => Ok(Vec::new()),
            other => other.map_err(CacheError::io("cannot list", folder)),
        }
    }
}

/// Treats a file that another collector has already removed as done: returns `otherwise` in place of "not found".
fn unless_gone<T>(done: io::Result<T>, otherwise: T) -> io::Result<T> {
    match done {
        Err(error) if file::is_absent(&error) => Ok(otherwise),
        other => other,
    }
}
