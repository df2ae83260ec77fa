//! Content of RPMs that results only name.
//!
//! A result that is known says by digest what a package's RPMs are. Keys need no more, so the content may be neither in the
//! store nor in the shared cache, which may have been filled with what images install and nothing else. Content is asked for
//! when something is to be done with it; where it cannot be had, the package that makes it is built again:
//!
//! ```text
//! targets ──▶ results, by digest ──▶ RPMs that are needed ──(store, shared cache)──▶ all there
//!                  ▲                            └──(nowhere)──▶ lost ─┐
//!                  └────── results with a lost RPM do not count ◀─────┘
//! ```
//!
//! A build whose input is lost fails before it begins, with [`BuildError::LostRpms`], and the run is repeated: what the
//! run before has built is known by then.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use basalt_sources::InputContent;

use crate::BuildError;
use crate::built::{Built, Rpm};
use crate::built_index::BuiltIndex;
use crate::engine::Engine;
use crate::graph::PackageId;
use crate::plan::{BuiltPackages, ResolvedBuild};

impl Engine<'_> {
    /// Builds the packages and all that they need, as far as that is not built already, and returns the results of all
    /// of them by package. The RPMs of the packages themselves are in the store afterwards; of those that they need, the
    /// store may know the digests only.
    ///
    /// # Errors
    /// When a package fails, and when interrupted.
    pub fn build(&self, targets: impl IntoIterator<Item = PackageId>) -> Result<BuiltPackages, BuildError> {
        let targets: BTreeSet<PackageId> = targets.into_iter().collect();
        self.provide(targets.iter().copied(), |built| {
            let of_targets = targets.iter().filter_map(|target| built.get(target));
            Ok(of_targets.flat_map(|built| built.rpms.clone()).collect())
        })
    }

    /// The same, but only the RPMs that `needed` chooses among the results are in the store afterwards.
    ///
    /// # Errors
    /// When a package or the choice fails, and when interrupted.
    pub fn provide<E: From<BuildError>>(
        &self,
        targets: impl IntoIterator<Item = PackageId>,
        needed: impl Fn(&BuiltPackages) -> Result<Vec<Rpm>, E>,
    ) -> Result<BuiltPackages, E> {
        let targets: BTreeSet<PackageId> = targets.into_iter().collect();
        loop {
            let built = self.build_all(&targets)?;
            let lost = self.missing(&needed(&built)?)?;
            if lost.is_empty() {
                return Ok(built);
            }
            self.lose(BuildError::LostRpms { rpms: lost })?;
        }
    }

    /// The results of the packages and of all that they need; what is not known is built.
    pub(crate) fn build_all(&self, targets: &BTreeSet<PackageId>) -> Result<BuiltPackages, BuildError> {
        loop {
            match self.build_unknown(targets) {
                Err(error) if !error.lost_rpms().is_empty() => self.lose(error)?,
                outcome => return outcome,
            }
        }
    }

    /// Those of the packages, and of what they need, that are built already, with those of their RPMs that are in the
    /// store. Nothing is built or fetched.
    ///
    /// # Errors
    /// When what goes into a package cannot be read.
    pub fn built(&self, targets: impl IntoIterator<Item = PackageId>) -> Result<BuiltPackages, BuildError> {
        let wanted = self.distribution.graph.closure(targets);
        let known = loop {
            match self.known(&wanted) {
                Err(error) if !error.lost_rpms().is_empty() => self.lose(error)?,
                outcome => break outcome?,
            }
        };
        let is_here = |rpm: &Rpm| self.store.object(&rpm.digest).is_some();
        let here = known.into_iter().filter_map(|(id, built)| {
            let mut built = (*built).clone();
            built.rpms.retain(is_here);
            (!built.rpms.is_empty()).then(|| (id, Arc::new(built)))
        });
        Ok(here.collect())
    }

    /// Those of the RPMs that neither the store nor the shared cache has. The others are in the store afterwards.
    fn missing(&self, rpms: &[Rpm]) -> Result<Vec<Rpm>, BuildError> {
        let mut missing = Vec::new();
        for rpm in rpms {
            if !rpm.obtain(self.store)? {
                missing.push(rpm.clone());
            }
        }
        Ok(missing)
    }

    /// Remembers RPMs as lost, so that results that hold them do not count. The error itself, when it tells of none that
    /// was not lost before: their packages were built again in vain.
    fn lose(&self, error: BuildError) -> Result<(), BuildError> {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_new = false;
        for rpm in error.lost_rpms() {
            tracing::info!(rpm = rpm.file, "its content cannot be had: its package is built again");
            is_new |= lost.insert(rpm.digest);
        }
        if is_new { Ok(()) } else { Err(error) }
    }

    /// Whether a result holds an RPM that was lost and not made again since.
    pub(crate) fn is_lost(&self, built: &Built) -> bool {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let is_lost = |rpm: &Rpm| lost.contains(&rpm.digest) && self.store.object(&rpm.digest).is_none();
        !lost.is_empty() && built.rpms.iter().any(is_lost)
    }

    /// A package resolved against the results of what it needs, with its result if that is known. If it is not, its modules
    /// are fetched; where they come otherwise than the known result of fetching them said, the package is resolved anew.
    pub(crate) fn look_up(
        &self,
        id: PackageId,
        index: &Mutex<BuiltIndex>,
    ) -> Result<(ResolvedBuild, Option<Built>), BuildError> {
        let build = self.resolve_fetching(id, index)?;
        let known = self.recall(&build)?;
        if known.is_some() || self.has_modules_of(&build)? {
            return Ok((build, known));
        }
        let build = self.resolve_fetching(id, index)?;
        let known = self.recall(&build)?;
        Ok((build, known))
    }

    /// Fetches the modules of a package; whether they are those that its key was made with.
    fn has_modules_of(&self, build: &ResolvedBuild) -> Result<bool, BuildError> {
        let package = self.distribution.package(build.package);
        let mut same = true;
        for input in package.sources.inputs(self.tools)? {
            if let InputContent::Modules(modules) = input.content {
                let _alone = self.fetching_alone(build.package);
                let fetched = modules.fetch(self.store, self.tools, self.reporter)?;
                same &= build.is_made_with(&input.name, &fetched.root);
            }
        }
        Ok(same)
    }
}
