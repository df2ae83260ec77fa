//! Package of a distribution: its folder, spec, sources and estimates.

use basalt_action::ActionLimits;
use basalt_schedule::Estimate;
use basalt_sources::SourceSet;
use basalt_store::FolderSnapshot;

use crate::spec::{PackageFolder, SourcePackage};

/// Package of a distribution.
#[derive(Debug, Clone)]
pub struct DistributionPackage {
    /// Name and path of its folder.
    pub folder: PackageFolder,
    /// Files of the folder, as they were when the distribution was read: no file is read a second time.
    pub files: FolderSnapshot,
    /// Declarations of its spec.
    pub spec: SourcePackage,
    /// Lock of its upstream sources.
    pub sources: SourceSet,
    /// Estimated duration and memory of its build.
    pub estimate: Estimate,
    /// Limits of its build.
    pub limits: ActionLimits,
}

impl DistributionPackage {
    /// Returns the package's name.
    pub fn name(&self) -> &str {
        &self.folder.name
    }

    /// Returns the name of the spec file.
    pub fn spec_file(&self) -> String {
        format!("{}.spec", self.folder.name)
    }
}
