//! Requests for packages.

use basalt_rpm::Dependency;

use crate::table::PackageNumber;

/// A request: a dependency, and the packages that replace what it names.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The dependency that is to be fulfilled.
    pub(crate) dependency: Dependency,
    /// Packages that fulfil the request because they obsolete the package of its name; preferred to it.
    pub(crate) replacements: Vec<PackageNumber>,
}

impl From<Dependency> for Request {
    fn from(dependency: Dependency) -> Self {
        Self {
            dependency,
            replacements: Vec::new(),
        }
    }
}
