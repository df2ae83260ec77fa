//! Garbage collection: frees disk space by removing entries that were not used for long.
//!
//! [`Store::plan_collection`] measures and decides, [`Store::collect`] removes. Both may run while other processes use
//! the store. Protection by leases is decided by times alone: every use of an entry is recorded ([`crate::usage`]), so
//! that everything that was used under a lease has a time from the lease's start on, less the record's resolution. An
//! entry is renamed while collection holds `locks/gate` exclusively, and every lookup holds it shared: an entry was
//! marked before and is kept, or it is gone before it is found, and is made again.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use basalt_process::interrupt;
use basalt_progress::{Outcome, Reporter, Unit};
use camino::{Utf8Path, Utf8PathBuf};

use crate::layout::ENTRY_FOLDERS;
use crate::lease::{self, Other};
use crate::usage::{EXACTNESS, GATE};
use crate::{Lock, Store, StoreError, workspace};

/// Number of entries that are renamed before other processes may go on. A rename takes some microseconds.
const BATCH: usize = 64;
/// Coarsest time stamps of a file system that a store may be on.
const COARSENESS: Duration = Duration::from_secs(2);

/// Limits of a collection. An entry is removed when either limit says so; without a limit, none is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcPolicy {
    /// Longest time without use. [`Duration::ZERO`] stands for everything.
    pub max_idle: Option<Duration>,
    /// Most that entries may take together, in bytes on the disk. The least recently used go first.
    pub max_bytes: Option<u64>,
}

/// An object, tree, result or log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcEntry {
    /// Path, relative to the store.
    pub path: Utf8PathBuf,
    /// Space on the disk, in bytes.
    pub bytes: u64,
    /// Time of the last recorded use.
    pub used: SystemTime,
}

/// Decision of a collection about every entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcPlan {
    /// Entries that go, the least recently used first.
    pub removed: Vec<GcEntry>,
    /// Entries that stay only because a running basalt uses them, or may.
    pub in_use: Vec<GcEntry>,
    /// Entries that stay.
    pub kept: Vec<GcEntry>,
}

/// Result of a collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcStats {
    /// Number of entries that were removed.
    pub removed: u64,
    /// Space that they took on the disk, in bytes.
    pub removed_bytes: u64,
    /// Number of entries that were to be removed and are still there, because they came into use after the plan was
    /// made.
    pub spared: u64,
}

impl Store {
    /// Decides what a collection removes. Changes nothing.
    ///
    /// # Errors
    /// When the store cannot be read, or can only be read; [`StoreError::AllIdle`] when every entry is older than a
    /// limit above zero, which is a sign of a wrong clock.
    pub fn plan_collection(&self, policy: &GcPolicy, reporter: &dyn Reporter) -> Result<GcPlan, StoreError> {
        self.lease("what is removed")?;
        let task = reporter.task("measuring the store", Unit::Items, None);
        let mut entries = Vec::new();
        for kind in ENTRY_FOLDERS {
            for path in self.entries(kind.name, kind.is_entry)? {
                interrupt::check()?;
                task.detail(path.as_str());
                entries.extend(self.measure(path)?);
                task.advance(1);
            }
        }
        let now = SystemTime::now();
        let plan = plan(entries, now, self.protected_since()?, policy)?;
        task.finish(Outcome::Done);
        Ok(plan)
    }

    /// Removes the entries of a plan, except those that came into use meanwhile.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when a process uses the store without a record of its use; others when an entry cannot be
    /// removed.
    pub fn collect(&self, plan: &GcPlan, reporter: &dyn Reporter) -> Result<GcStats, StoreError> {
        self.lease("what is removed")?;
        let _alone = self.lock("collect", |_| reporter.note("waiting for another collection"))?;
        let bytes = plan.removed.iter().map(|entry| entry.bytes).sum();
        let task = reporter.task("removing", Unit::Bytes, Some(bytes));
        let mut stats = GcStats::default();
        for batch in plan.removed.chunks(BATCH) {
            interrupt::check()?;
            for (entry, trash) in self.take_batch(batch)? {
                match trash {
                    Some(trash) => {
                        workspace::remove(&trash)?;
                        stats.removed += 1;
                        stats.removed_bytes += entry.bytes;
                    }
                    None => stats.spared += 1,
                }
                task.advance(entry.bytes);
            }
        }
        task.finish(Outcome::Done);
        Ok(stats)
    }

    /// Renames entries into `tmp`, unless they are in use; returns each with its new path, or none if it was spared or
    /// is gone.
    fn take_batch<'a>(&self, batch: &'a [GcEntry]) -> Result<Vec<(&'a GcEntry, Option<Utf8PathBuf>)>, StoreError> {
        let _unseen = self.exclude_unseen_users()?;
        let _gate = Lock::exclusive(&self.root().join(GATE), |_| {})?;
        let protected = self.protected_since()?;
        let take = |entry: &'a GcEntry| {
            let path = self.root().join(&entry.path);
            let spared = match last_use(&path)? {
                Some(used) => used != entry.used || is_protected(used, protected),
                None => true,
            };
            let trash = if spared { None } else { self.take_away(&path)? };
            Ok((entry, trash))
        };
        batch.iter().map(take).collect()
    }

    /// Locks out processes that leave no record of their use: versions without a marker, and processes that can only
    /// read.
    fn exclude_unseen_users(&self) -> Result<Lock, StoreError> {
        Lock::try_exclusive(&self.root().join("locks/lease"))?.ok_or_else(|| StoreError::InUse {
            root: self.root().to_owned(),
        })
    }

    /// Time from which on what was used is protected by another's lease; `None` when nobody else uses the store.
    fn protected_since(&self) -> Result<Option<SystemTime>, StoreError> {
        let own = self.lease("what is removed")?.id;
        let others = lease::others(&self.root().join("locks"), own)?;
        let starts = others.iter().filter_map(|other| match other {
            Other::Active { since } => Some(*since),
            Other::Abandoned { .. } => None,
        });
        Ok(starts.min().map(|start| {
            let margin = EXACTNESS + COARSENESS;
            start.checked_sub(margin).unwrap_or(SystemTime::UNIX_EPOCH)
        }))
    }

    /// Paths of the entries in one of the store's folders.
    pub(crate) fn entries(&self, folder: &str, is_entry: fn(&str) -> bool) -> Result<Vec<Utf8PathBuf>, StoreError> {
        let folder = self.root().join(folder);
        let failed = || StoreError::io("cannot list", &folder);
        let mut paths = Vec::new();
        let listed = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(paths),
            listed => listed.map_err(failed())?,
        };
        for entry in listed {
            let name = entry.map_err(failed())?.file_name();
            // A name that is not UTF-8 is not the store's.
            paths.extend(
                name.to_str()
                    .filter(|name| is_entry(name))
                    .map(|name| folder.join(name)),
            );
        }
        Ok(paths)
    }

    /// Size and last use of an entry; `None` when it is gone.
    fn measure(&self, path: Utf8PathBuf) -> Result<Option<GcEntry>, StoreError> {
        let Some(used) = last_use(&path)? else {
            return Ok(None);
        };
        Ok(Some(GcEntry {
            bytes: disk_usage(&path),
            path: path.strip_prefix(self.root()).unwrap_or(&path).to_owned(),
            used,
        }))
    }
}

/// Time of the last recorded use; `None` when there is no such entry. Of a link, it is that of what it leads to.
fn last_use(path: &Utf8Path) -> Result<Option<SystemTime>, StoreError> {
    match path.metadata().or_else(|_| path.symlink_metadata()) {
        Ok(metadata) => metadata
            .modified()
            .map(Some)
            .map_err(StoreError::io("cannot look at", path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("cannot look at", path)(error)),
    }
}

/// Space that a file or folder takes on the disk, in bytes. Links are not followed; what cannot be read counts as 0.
fn disk_usage(path: &Utf8Path) -> u64 {
    let mut linked = HashSet::new();
    let walk = walkdir::WalkDir::new(path).follow_root_links(false);
    let entries = walk.into_iter().flatten();
    let metadata = entries.filter_map(|entry| entry.path().symlink_metadata().ok());
    let once = metadata.filter(|metadata| metadata.is_dir() || metadata.nlink() == 1 || linked.insert(metadata.ino()));
    // `blocks` counts 512 bytes, whatever the block size of the file system is.
    once.map(|metadata| metadata.blocks() * 512).sum()
}

fn is_protected(used: SystemTime, since: Option<SystemTime>) -> bool {
    since.is_some_and(|since| used >= since)
}

/// Decides about entries. Times in the future count as now: a wrong clock makes no entry old.
fn plan(
    mut entries: Vec<GcEntry>,
    now: SystemTime,
    protected: Option<SystemTime>,
    policy: &GcPolicy,
) -> Result<GcPlan, StoreError> {
    entries.sort_by(|one, other| (one.used, &one.path).cmp(&(other.used, &other.path)));
    let age = |entry: &GcEntry| now.duration_since(entry.used).unwrap_or(Duration::ZERO);
    let idle = |entry: &GcEntry| policy.max_idle.is_some_and(|limit| age(entry) >= limit);
    if let (Some(limit), Some(newest)) = (policy.max_idle, entries.last())
        && limit > Duration::ZERO
        && idle(newest)
    {
        let days = age(newest).as_secs() / (24 * 60 * 60);
        return Err(StoreError::AllIdle { days });
    }
    let mut rest: u64 = entries.iter().map(|entry| entry.bytes).sum();
    let mut plan = GcPlan::default();
    for entry in entries {
        let wanted = idle(&entry) || policy.max_bytes.is_some_and(|limit| rest > limit);
        let group = match (wanted, is_protected(entry.used, protected)) {
            (false, _) => &mut plan.kept,
            (true, true) => &mut plan.in_use,
            (true, false) => {
                rest -= entry.bytes;
                &mut plan.removed
            }
        };
        group.push(entry);
    }
    Ok(plan)
}

#[cfg(test)]
mod tests;
