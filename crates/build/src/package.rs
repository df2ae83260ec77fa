//! A package of a distribution: its folder as it was read, and what follows from it.

use basalt_action::Limits;
use basalt_schedule::Estimate;
use basalt_sources::SourceSet;
use basalt_store::Snapshot;

use crate::spec::{Folder, SourcePackage};

/// A package of a distribution.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its folder.
    pub folder: Folder,
    /// The files of the folder, as they were when the distribution was read: nothing of it is read a second time.
    pub files: Snapshot,
    /// Declarations of its spec.
    pub spec: SourcePackage,
    /// Its lock of sources.
    pub sources: SourceSet,
    /// Work that it is.
    pub estimate: Estimate,
    /// Bounds of its build.
    pub limits: Limits,
}

impl Package {
    /// The package's name.
    pub fn name(&self) -> &str {
        &self.folder.name
    }

    /// Name of the spec file.
    pub fn spec_file(&self) -> String {
        format!("{}.spec", self.folder.name)
    }
}
