//! Index of built RPMs by the capabilities that they provide, for solving BuildRequires and images.

use std::ops::Deref;
use std::sync::Arc;

use basalt_rpm::{Dependency, Package};
use basalt_solver::{PackageIndex, SolveError};

use crate::built::{Built, BuiltPackages, BuiltRpm};
use crate::graph::PackageId;

/// RPMs of built packages, indexed by the capabilities that they provide.
#[derive(Debug, Default)]
pub struct BuiltIndex(PackageIndex<IndexedRpm>);

/// RPM, shared with the result that it is part of.
#[derive(Debug, Clone)]
pub struct IndexedRpm {
    maker: PackageId,
    built: Arc<Built>,
    /// Position among the RPMs of the result.
    place: usize,
}

impl Deref for IndexedRpm {
    type Target = BuiltRpm;

    #[expect(
        clippy::indexing_slicing,
        reason = "BuiltIndex::add takes the place from the same result"
    )]
    fn deref(&self) -> &BuiltRpm {
        &self.built.rpms[self.place]
    }
}

impl AsRef<Package> for IndexedRpm {
    fn as_ref(&self) -> &Package {
        &self.package
    }
}

impl BuiltIndex {
    /// Returns an index of all results.
    pub fn of(built: &BuiltPackages) -> Self {
        let mut index = Self::default();
        built.iter().for_each(|(maker, built)| index.add(*maker, built));
        index
    }

    /// Adds the RPMs of a package.
    pub fn add(&mut self, maker: PackageId, built: &Arc<Built>) {
        for place in 0..built.rpms.len() {
            let built = Arc::clone(built);
            self.0.add(IndexedRpm { maker, built, place });
        }
    }

    /// Returns the RPMs that fulfil dependencies, and all that they require, sorted by file name. Only RPMs of packages for
    /// which `among` holds are candidates.
    ///
    /// # Errors
    /// When there is no such set; the error explains the reason.
    pub fn solve(
        &self,
        wanted: &[Dependency],
        among: impl Fn(PackageId) -> bool,
    ) -> Result<Vec<IndexedRpm>, SolveError> {
        let chosen = self.0.solve(wanted, |rpm| among(rpm.maker))?;
        Ok(sorted(chosen))
    }

    /// Returns the RPMs to install for requests, as [`PackageIndex::install`] does, sorted by file name.
    ///
    /// # Errors
    /// When there is no such set; the error explains the reason.
    pub fn install(
        &self,
        requests: &[String],
        among: impl Fn(PackageId) -> bool,
    ) -> Result<Vec<IndexedRpm>, SolveError> {
        let chosen = self.0.install(requests, |rpm| among(rpm.maker))?;
        Ok(sorted(chosen))
    }
}

fn sorted(chosen: Vec<&IndexedRpm>) -> Vec<IndexedRpm> {
    let mut rpms: Vec<IndexedRpm> = chosen.into_iter().cloned().collect();
    rpms.sort_by(|one, other| one.file.cmp(&other.file));
    rpms
}
