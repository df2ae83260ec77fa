//! Status, garbage collection and verification of each location by itself, with its errors (`cache status`, `cache
//! gc`).

use camino::Utf8Path;

use super::{Cache, Slot};
use crate::error::CacheError;
use crate::folder::{CacheGcStats, Folder, FolderStatus, RetentionPolicy, Verification};
use crate::grpc::{Features, Remote};
use crate::location::{Location, LocationKind, Mode};

/// Status of one location.
#[derive(Debug)]
pub struct LocationStatus {
    /// The location.
    pub location: Location,
    /// Contents of the location, or the error when it cannot be read.
    pub contents: Result<LocationContents, CacheError>,
}

/// Contents of a folder, or capabilities of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocationContents {
    /// A folder's files.
    Folder(FolderStatus),
    /// A server's capabilities; servers do not tell what they hold.
    Server(Features),
}

/// Garbage collection of one location.
#[derive(Debug)]
pub struct LocationGc {
    /// The location.
    pub location: Location,
    /// Outcome, or the error of a folder that cannot be collected.
    pub outcome: Result<GcOutcome, CacheError>,
}

/// Outcome of a garbage collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcOutcome {
    /// A folder was collected.
    Folder {
        /// Statistics of what was removed, or would be.
        stats: CacheGcStats,
        /// `true` if nothing was removed: as asked for, or because the location's mode does not allow it.
        dry_run: bool,
    },
    /// A server, which collects by itself.
    Server,
}

impl Cache {
    /// Asks each location what it holds.
    pub fn status(&self) -> Vec<LocationStatus> {
        let status = |slot: &Slot| LocationStatus {
            location: slot.location.clone(),
            contents: match &slot.location.place {
                LocationKind::Folder(path) => {
                    let folder = self.folder(path, Mode::Read);
                    folder.and_then(|folder| folder.status().map(LocationContents::Folder))
                }
                LocationKind::Server(server) => {
                    let remote = Remote::new(server, self.limits);
                    remote.and_then(|remote| remote.features().copied().map(LocationContents::Server))
                }
            },
        };
        self.slots.iter().map(status).collect()
    }

    /// Collects in each folder that may be written to; of others, only a dry run is made. Servers collect by themselves.
    pub fn gc(&self, keep: &RetentionPolicy) -> Vec<LocationGc> {
        let collect = |slot: &Slot| match &slot.location.place {
            LocationKind::Folder(path) => {
                let dry_run = keep.dry_run || !slot.location.mode.writes();
                let stats = self.existing(slot, path)?.gc(&RetentionPolicy { dry_run, ..*keep })?;
                Ok(GcOutcome::Folder { stats, dry_run })
            }
            LocationKind::Server(_) => Ok(GcOutcome::Server),
        };
        let each = |slot: &Slot| LocationGc {
            location: slot.location.clone(),
            outcome: collect(slot),
        };
        self.slots.iter().map(each).collect()
    }

    /// Verifies every file of each folder; damaged ones are removed where that is allowed.
    pub fn verify(&self) -> Vec<(Location, Result<Verification, CacheError>)> {
        let each = |(slot, path): (&Slot, &Utf8Path)| {
            let folder = self.existing(slot, path);
            (
                slot.location.clone(),
                folder.and_then(|folder| folder.verify(&self.trusted)),
            )
        };
        self.folders().map(each).collect()
    }

    /// Opens a folder that has to be there: in the mode of its location, which does not make it.
    fn existing(&self, slot: &Slot, path: &Utf8Path) -> Result<Folder, CacheError> {
        let folder = self.folder(path, slot.location.mode)?;
        if folder.exists() {
            return Ok(folder);
        }
        self.folder(path, Mode::Read)
    }

    fn folder(&self, path: &Utf8Path, mode: Mode) -> Result<Folder, CacheError> {
        Folder::open_within(path, mode, self.limits.call)
    }

    fn folders(&self) -> impl Iterator<Item = (&Slot, &Utf8Path)> {
        self.slots.iter().filter_map(|slot| match &slot.location.place {
            LocationKind::Folder(path) => Some((slot, path.as_path())),
            LocationKind::Server(_) => None,
        })
    }
}
