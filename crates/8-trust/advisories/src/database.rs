//! Database of OSV records, indexed by ecosystem and package name.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use basalt_digest::{Digest, Hasher};
use basalt_process::interrupt;
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_store::{FileError, Store};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::AuditError;
use crate::archive::{Packing, Refused};
use crate::limits::DatabaseLimits;
use crate::record::{Affected, GIT, OsvRecord, parse_record};

/// Changes when something else is kept of records.
const FORMAT: &str = "1";
/// Reading time from which the parsed content of an archive is cached in the store.
const LONG: Duration = Duration::from_secs(1);
/// Number of unreadable files that are listed by name, at most.
const MOST_NAMED: usize = 20;
/// The ecosystems whose entries are about upstream's versions, which ours are. What distributions write is about their
/// own versions, with corrections that a version does not show, and says nothing about ours.
pub(crate) const ECOSYSTEMS: [&str; 7] = ["Go", "crates.io", "Linux", "Kubernetes", "OSS-Fuzz", "Bitnami", GIT];

/// A database that was read.
#[derive(Debug, Clone, Default)]
pub struct Database {
    advisories: Vec<OsvRecord>,
    /// Affected packages by ecosystem and name: indexes of the advisory and of its `affected` entry.
    by_name: BTreeMap<(String, String), Vec<(usize, usize)>>,
    /// Statistics of what was read.
    pub statistics: DatabaseStatistics,
}

/// Statistics of reading a database: numbers of records, and of those that cannot be matched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseStatistics {
    /// Number of records.
    pub records: u64,
    /// Number of withdrawn records.
    pub withdrawn: u64,
    /// Entries about repositories that list no version: only the commits could tell.
    pub commits_only: u64,
    /// Entries of ecosystems that are not matched.
    pub other_ecosystems: BTreeMap<String, u64>,
    /// Number of files that are not OSV records.
    pub unreadable: u64,
    /// The first of them, with what is wrong.
    pub unreadable_files: Vec<(String, String)>,
    /// Time of the newest modification of a record, in RFC 3339.
    pub newest: String,
}

/// Parsed content of an archive, as it is cached in the store.
#[derive(Serialize, Deserialize)]
struct Kept {
    advisories: Vec<OsvRecord>,
    statistics: DatabaseStatistics,
}

impl Database {
    /// Reads folders and archives. What takes long is remembered in the store, under the archive's digest.
    ///
    /// # Errors
    /// When one cannot be read, is damaged, is empty, or is larger than a database can be.
    pub fn read(paths: &[Utf8PathBuf], store: Option<&Store>, reporter: &dyn Reporter) -> Result<Self, AuditError> {
        let mut all = Gathered::default();
        for path in paths {
            all.join(read_one(path, store, reporter)?);
        }
        Ok(Self::of(all))
    }

    /// A database of some records, each with the name of its file.
    pub fn of_records<'r>(records: impl IntoIterator<Item = (&'r str, &'r [u8])>) -> Self {
        let mut gathered = Gathered::default();
        for (name, bytes) in records {
            gathered.take(name, Ok(bytes));
        }
        Self::of(gathered)
    }

    /// A database that is a zip archive in memory.
    ///
    /// # Errors
    /// When it is damaged, or unpacks to too much.
    pub fn of_zip(name: &Utf8Path, bytes: &[u8]) -> Result<Self, AuditError> {
        Self::of_archive(name, |take| {
            crate::archive::each_of_zip(std::io::Cursor::new(bytes), DatabaseLimits::default(), take)
        })
    }

    /// A database that is a tar archive in memory.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn of_tar(name: &Utf8Path, bytes: &[u8]) -> Result<Self, AuditError> {
        Self::of_archive(name, |take| {
            crate::archive::each_of_tar(bytes, DatabaseLimits::default(), take)
        })
    }

    fn of_archive(
        name: &Utf8Path,
        each: impl FnOnce(&mut crate::archive::Take<'_>) -> Result<(), Refused>,
    ) -> Result<Self, AuditError> {
        let mut gathered = Gathered::default();
        let result = each(&mut |name, bytes| {
            gathered.take(name, bytes);
            Ok(())
        });
        match result {
            Ok(()) => Ok(Self::of(gathered)),
            Err(refused) => Err(refused.about(name)),
        }
    }

    fn of(gathered: Gathered) -> Self {
        let advisories: Vec<OsvRecord> = gathered.advisories.into_values().collect();
        let mut by_name: BTreeMap<(String, String), Vec<(usize, usize)>> = BTreeMap::new();
        for (index, advisory) in advisories.iter().enumerate() {
            for (part, affected) in advisory.affected.iter().enumerate() {
                let key = (affected.ecosystem.clone(), affected.name.clone());
                by_name.entry(key).or_default().push((index, part));
            }
        }
        Self {
            advisories,
            by_name,
            statistics: gathered.statistics,
        }
    }

    /// Returns the advisories about a package, each with its entry for that package.
    pub fn about(&self, ecosystem: &str, name: &str) -> impl Iterator<Item = (&OsvRecord, &Affected)> {
        let key = (ecosystem.to_owned(), name.to_owned());
        let found = self.by_name.get(&key).into_iter().flatten();
        found.filter_map(|&(index, part)| {
            let advisory = self.advisories.get(index)?;
            Some((advisory, advisory.affected.get(part)?))
        })
    }
}

/// Records and statistics read so far.
#[derive(Default)]
struct Gathered {
    advisories: BTreeMap<String, OsvRecord>,
    statistics: DatabaseStatistics,
}

impl Gathered {
    fn take(&mut self, name: &str, bytes: Result<&[u8], String>) {
        let statistics = &mut self.statistics;
        let mut advisory = match bytes.and_then(parse_record) {
            Ok(advisory) => advisory,
            Err(why) => {
                statistics.unreadable += 1;
                if statistics.unreadable_files.len() < MOST_NAMED {
                    let name = crate::record::clean(name, 200);
                    statistics
                        .unreadable_files
                        .push((name, crate::record::clean(&why, 200)));
                }
                return;
            }
        };
        statistics.records += 1;
        if advisory.modified > statistics.newest {
            statistics.newest.clone_from(&advisory.modified);
        }
        if advisory.withdrawn {
            statistics.withdrawn += 1;
            advisory.affected.clear();
        }
        advisory.affected.retain(|affected| {
            if !ECOSYSTEMS.contains(&affected.ecosystem.as_str()) {
                *statistics
                    .other_ecosystems
                    .entry(affected.ecosystem.clone())
                    .or_default() += 1;
                return false;
            }
            let tells = !affected.ranges.is_empty() || !affected.versions.is_empty();
            statistics.commits_only += u64::from(!tells && affected.commits);
            tells
        });
        self.insert(advisory);
    }

    /// Adds a record. Of several records with one id, the one modified last is kept.
    fn insert(&mut self, advisory: OsvRecord) {
        let known = self.advisories.get(&advisory.id);
        if known.is_none_or(|known| known.modified <= advisory.modified) {
            self.advisories.insert(advisory.id.clone(), advisory);
        }
    }

    fn join(&mut self, other: Self) {
        for advisory in other.advisories.into_values() {
            self.insert(advisory);
        }
        let (all, more) = (&mut self.statistics, other.statistics);
        all.records += more.records;
        all.withdrawn += more.withdrawn;
        all.commits_only += more.commits_only;
        all.unreadable += more.unreadable;
        all.unreadable_files.extend(more.unreadable_files);
        all.unreadable_files.truncate(MOST_NAMED);
        all.newest = all.newest.clone().max(more.newest);
        for (ecosystem, count) in more.other_ecosystems {
            *all.other_ecosystems.entry(ecosystem).or_default() += count;
        }
    }
}

fn read_one(path: &Utf8Path, store: Option<&Store>, reporter: &dyn Reporter) -> Result<Gathered, AuditError> {
    let wrong = |source: Box<dyn std::error::Error + Send + Sync>| AuditError::Database {
        path: path.to_owned(),
        source,
    };
    if !path.exists() {
        return Err(wrong("there is no such file or folder".into()));
    }
    let packing = Packing::of(path).ok_or_else(|| wrong("its name does not say what it is".into()))?;
    let key = match store {
        Some(_) if packing != Packing::Folder => Some(key(path)?),
        _ => None,
    };
    if let (Some(store), Some(key)) = (store, &key)
        && let Some(kept) = store.result::<Kept>(key)
    {
        return Ok(kept.into());
    }
    let began = Instant::now();
    let task = reporter.task(&format!("reading {path}"), Unit::Items, None);
    let mut gathered = Gathered::default();
    let result = packing.each(path, DatabaseLimits::default(), &mut |name, bytes| {
        interrupt::check().map_err(Refused::Interrupted)?;
        gathered.take(name, bytes);
        task.advance(1);
        Ok(())
    });
    result.map_err(|refused| refused.about(path))?;
    if gathered.statistics.records == 0 && gathered.statistics.unreadable == 0 {
        return Err(AuditError::Empty { path: path.to_owned() });
    }
    task.finish(Outcome::Done);
    if let (Some(store), Some(key)) = (store, &key)
        && began.elapsed() > LONG
    {
        let kept = Kept::from(gathered);
        store.set_result(key, &kept)?;
        return Ok(kept.into());
    }
    Ok(gathered)
}

fn key(path: &Utf8Path) -> Result<Digest, AuditError> {
    let read = || Digest::of_reader(fs_err::File::open(path)?);
    let (digest, _) = read().map_err(FileError::new("cannot read", path))?;
    let mut hasher = Hasher::new();
    hasher
        .fact("what is kept of OSV records", FORMAT)
        .fact("archive", digest.as_bytes());
    Ok(hasher.finish())
}

impl From<Gathered> for Kept {
    fn from(gathered: Gathered) -> Self {
        Self {
            advisories: gathered.advisories.into_values().collect(),
            statistics: gathered.statistics,
        }
    }
}

impl From<Kept> for Gathered {
    fn from(kept: Kept) -> Self {
        let advisories = kept.advisories.into_iter();
        Self {
            advisories: advisories.map(|advisory| (advisory.id.clone(), advisory)).collect(),
            statistics: kept.statistics,
        }
    }
}

#[cfg(test)]
mod tests;
