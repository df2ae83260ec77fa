//! Status, garbage collection and verification of each location by itself, with its errors (`cache status`, `cache
//! gc`).

use camino::Utf8Path;

use super::{Cache, Opened, Slot};
use crate::error::CacheError;
use crate::folder::{CacheGcStats, Folder, FolderStatus, RetentionPolicy, Verification};
use crate::grpc::Features;
use crate::location::{Location, LocationKind};

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

impl Cache {
    /// Asks each location what it holds.
    pub fn status(&self) -> Vec<LocationStatus> {
        let status = |slot: &Slot| LocationStatus {
            location: slot.location.clone(),
            contents: slot.connect(self.limits).and_then(|opened| match opened {
                Opened::Folder(folder) => folder.status().map(LocationContents::Folder),
                Opened::Server(remote) => remote.features().copied().map(LocationContents::Server),
            }),
        };
        self.slots.iter().map(status).collect()
    }

    /// Collects in each folder that may be written to; of others, only a dry run is made. Servers collect by themselves.
    pub fn gc(&self, keep: &RetentionPolicy) -> Vec<(Location, Result<CacheGcStats, CacheError>)> {
        let each = |(slot, path): (&Slot, &Utf8Path)| {
            let dry_run = keep.dry_run || !slot.location.mode.writes();
            let folder = self.folder(slot, path);
            (
                slot.location.clone(),
                folder.and_then(|folder| folder.gc(&RetentionPolicy { dry_run, ..*keep })),
            )
        };
        self.folders().map(each).collect()
    }

    /// Verifies every file of each folder; damaged ones are removed where that is allowed.
    pub fn verify(&self) -> Vec<(Location, Result<Verification, CacheError>)> {
        let each = |(slot, path): (&Slot, &Utf8Path)| {
            let folder = self.folder(slot, path);
            (
                slot.location.clone(),
                folder.and_then(|folder| folder.verify(&self.trusted)),
            )
        };
        self.folders().map(each).collect()
    }

    fn folder(&self, slot: &Slot, path: &Utf8Path) -> Result<Folder, CacheError> {
        Folder::open_within(path, slot.location.mode, self.limits.call)
    }

    fn folders(&self) -> impl Iterator<Item = (&Slot, &Utf8Path)> {
        self.slots.iter().filter_map(|slot| match &slot.location.place {
            LocationKind::Folder(path) => Some((slot, path.as_path())),
            LocationKind::Server(_) => None,
        })
    }
}
