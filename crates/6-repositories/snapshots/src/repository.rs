//! A repository: its snapshots, and the current one.

use basalt_document::spelling::suggestion;
use basalt_store::{FileError, Lock, place, remove_tree};
use camino::{Utf8Path, Utf8PathBuf};

use crate::pool::{list, protect};
use crate::{Snapshot, SnapshotError, names};

const CURRENT: &str = "current";
const SNAPSHOTS: &str = "snapshots";
const WORK: &str = "work";

/// A repository below a root folder.
#[derive(Debug, Clone)]
pub struct Repository {
    name: String,
    folder: Utf8PathBuf,
}

impl Repository {
    /// Returns the default root: `$BASALT_REPOSITORIES`, or `basalt/repositories` in the user's data folder.
    ///
    /// # Errors
    /// When no environment variable names a folder.
    pub fn default_root() -> Result<Utf8PathBuf, SnapshotError> {
        let data = ("XDG_DATA_HOME", ".local/share");
        place("BASALT_REPOSITORIES", data, "basalt/repositories")?.ok_or(SnapshotError::NoPlace)
    }

    /// Returns the repository of a name below `root`, which need not exist yet.
    ///
    /// # Errors
    /// When the name is not valid.
    pub fn new(root: &Utf8Path, name: &str) -> Result<Self, SnapshotError> {
        names::check(name, "repository")?;
        Ok(Self {
            name: name.to_owned(),
            folder: root.join(name),
        })
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Utf8Path {
        &self.folder
    }

    /// Reads all snapshots, the oldest first.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, SnapshotError> {
        let mut snapshots = Vec::new();
        for path in list(&self.folder.join(SNAPSHOTS))? {
            snapshots.push(Snapshot::open(&path)?);
        }
        snapshots.sort_by(|one, other| (one.revision, &one.name).cmp(&(other.revision, &other.name)));
        Ok(snapshots)
    }

    /// Reads the snapshot of a name.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub fn snapshot(&self, name: &str) -> Result<Snapshot, SnapshotError> {
        names::check(name, "snapshot")?;
        let folder = self.snapshot_path(name);
        if folder.is_dir() {
            return Snapshot::open(&folder);
        }
        let names: Vec<String> = self.snapshots()?.into_iter().map(|snapshot| snapshot.name).collect();
        Err(SnapshotError::Unknown {
            repository: self.name.clone(),
            name: name.to_owned(),
            help: suggestion(name, names.iter().map(String::as_str), || {
                "what there is: ./basalt repo list".to_owned()
            }),
        })
    }

    /// Reads the current snapshot, which clients see; none when nothing was published.
    ///
    /// # Errors
    /// When the snapshot cannot be read.
    pub fn current(&self) -> Result<Option<Snapshot>, SnapshotError> {
        match self.current_name() {
            Some(name) => self.snapshot(&name).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the current snapshot; an error when nothing was published.
    ///
    /// # Errors
    /// When nothing was published, or the snapshot cannot be read.
    pub fn published(&self) -> Result<Snapshot, SnapshotError> {
        self.current()?.ok_or_else(|| SnapshotError::Empty {
            repository: self.name.clone(),
        })
    }

    pub(crate) fn current_name(&self) -> Option<String> {
        let target = self.folder.join(CURRENT).read_link_utf8().ok()?;
        target.file_name().map(str::to_owned)
    }

    /// Makes another snapshot current, atomically: forward after tests, or back after a mistake.
    ///
    /// # Errors
    /// When there is no snapshot of that name.
    pub fn promote(&self, name: &str) -> Result<Snapshot, SnapshotError> {
        let snapshot = self.snapshot(name)?;
        let _lock = self.lock(|_| {})?;
        self.point_to(name)?;
        Ok(snapshot)
    }

    /// Removes old snapshots, all but the newest `keep` and the current one; returns them, and the bytes freed in the
    /// pool.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn prune(&self, keep: usize) -> Result<(Vec<Snapshot>, u64), SnapshotError> {
        let _lock = self.lock(|_| {})?;
        self.sweep_work()?;
        let mut snapshots = self.snapshots()?;
        let current = self.current_name();
        snapshots.truncate(snapshots.len().saturating_sub(keep));
        snapshots.retain(|snapshot| Some(&snapshot.name) != current.as_ref());
        for snapshot in &snapshots {
            // One rename hides the snapshot from clients; its files are removed afterwards.
            let work = self.work(&format!("gone-{}", snapshot.name))?;
            protect(&snapshot.folder, 0o755)?;
            fs_err::rename(&snapshot.folder, &work).map_err(FileError::new("cannot move", &snapshot.folder))?;
            remove_tree(&work)?;
        }
        let (_, bytes) = self.sweep_pool()?;
        Ok((snapshots, bytes))
    }

    /// Waits for the lock that every process holds while it changes the repository.
    pub(crate) fn lock(&self, blocked: impl FnOnce(Option<u32>)) -> Result<Lock, SnapshotError> {
        for folder in ["pool", "signed", SNAPSHOTS, WORK] {
            let folder = self.folder.join(folder);
            fs_err::create_dir_all(&folder).map_err(FileError::new("cannot create", &folder))?;
        }
        Ok(Lock::exclusive(&self.folder.join("lock"), blocked)?)
    }

    pub(crate) fn snapshot_path(&self, name: &str) -> Utf8PathBuf {
        self.folder.join(SNAPSHOTS).join(name)
    }

    /// Returns a path for temporary files, where nothing is. The caller must hold the lock.
    pub(crate) fn work(&self, name: &str) -> Result<Utf8PathBuf, SnapshotError> {
        let path = self.folder.join(WORK).join(name);
        remove_tree(&path)?;
        Ok(path)
    }

    /// Removes temporary files of killed processes. The caller must hold the lock.
    pub(crate) fn sweep_work(&self) -> Result<(), SnapshotError> {
        for path in list(&self.folder.join(WORK))? {
            if path.is_dir() && !path.is_symlink() {
                remove_tree(&path)?;
            } else {
                fs_err::remove_file(&path).map_err(FileError::new("cannot remove", &path))?;
            }
        }
        Ok(())
    }

    /// Makes `current` a link to a snapshot. The new link is renamed over the old one, so that `current` always exists.
    pub(crate) fn point_to(&self, name: &str) -> Result<(), SnapshotError> {
        let fresh = self.folder.join(WORK).join(CURRENT);
        drop(fs_err::remove_file(&fresh));
        fs_err::os::unix::fs::symlink(Utf8Path::new(SNAPSHOTS).join(name), &fresh)
            .map_err(FileError::new("cannot link", &fresh))?;
        let current = self.folder.join(CURRENT);
        fs_err::rename(&fresh, &current).map_err(FileError::new("cannot move a link to", &current))?;
        Ok(())
    }
}
