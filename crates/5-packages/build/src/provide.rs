//! Provision of RPMs whose results are known by digest only.
//!
//! A known result lists the digests of a package's RPMs. Keys need no more, so the content may be neither in the store
//! nor in the shared cache, which may hold only what images install. Content is fetched when it is used; where no store
//! has it, its package is built again:
//!
//! ```text
//! targets ──▶ results, by digest ──▶ RPMs that are needed ──(store, shared cache)──▶ all there
//!                  ▲                            └──(nowhere)──▶ lost ─┐
//!                  └────── results with a lost RPM do not count ◀─────┘
//! ```
//!
//! A build whose input is lost fails before it begins, with [`BuildError::LostRpms`], and the run is repeated: results
//! of the earlier run are known by then.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use basalt_sources::InputContent;

use crate::BuildError;
use crate::built::{Built, BuiltPackages, BuiltRpm};
use crate::built_index::BuiltIndex;
use crate::engine::Engine;
use crate::graph::PackageId;
use crate::plan::ResolvedBuild;

/// Results of packages, and a choice of their RPMs that are in the store.
#[derive(Debug, Clone)]
pub struct Provided<T> {
    /// Results of the packages and of their dependencies.
    pub built: BuiltPackages,
    /// The choice that was made from them.
    pub chosen: T,
}

impl Engine<'_> {
    /// Builds the packages and their dependencies, unless they are built already, and returns all results by package.
    /// The RPMs of the packages themselves are in the store afterwards; those of dependencies may be known by digest
    /// only.
    ///
    /// # Errors
    /// When a package fails, and when interrupted.
    pub fn build(&self, targets: impl IntoIterator<Item = PackageId>) -> Result<BuiltPackages, BuildError> {
        let targets: BTreeSet<PackageId> = targets.into_iter().collect();
        let of_targets = |built: &BuiltPackages| {
            let results = targets.iter().filter_map(|target| built.get(target));
            Ok::<Vec<Arc<Built>>, BuildError>(results.cloned().collect())
        };
        let provided = self.provide(targets.iter().copied(), of_targets, |results| {
            results.iter().flat_map(|built| &built.rpms).collect()
        })?;
        Ok(provided.built)
    }

    /// Builds like [`build`](Self::build), but only the RPMs of the choice that `choose` makes from the results are in
    /// the store afterwards, intact: a damaged one is fetched or built again. `rpms` lists those of a choice.
    ///
    /// # Errors
    /// When a package or the choice fails, and when interrupted.
    pub fn provide<T, E: From<BuildError>>(
        &self,
        targets: impl IntoIterator<Item = PackageId>,
        choose: impl Fn(&BuiltPackages) -> Result<T, E>,
        rpms: impl Fn(&T) -> Vec<&BuiltRpm>,
    ) -> Result<Provided<T>, E> {
        let targets: BTreeSet<PackageId> = targets.into_iter().collect();
        loop {
            let built = self.build_all(&targets)?;
            let chosen = choose(&built)?;
            let lost = self.missing(&rpms(&chosen))?;
            if lost.is_empty() {
                return Ok(Provided { built, chosen });
            }
            self.lose(BuildError::LostRpms { rpms: lost })?;
        }
    }

    /// Returns the results of the packages and of their dependencies; those that are not known are built.
    pub(crate) fn build_all(&self, targets: &BTreeSet<PackageId>) -> Result<BuiltPackages, BuildError> {
        loop {
            match self.build_unknown(targets) {
                Err(error) if !error.lost_rpms().is_empty() => self.lose(error)?,
                outcome => return outcome,
            }
        }
    }

    /// Returns the results of those packages and dependencies that are built already, with those of their RPMs that are
    /// in the store. Nothing is built or fetched.
    ///
    /// # Errors
    /// When an input of a package cannot be read.
    pub fn built(&self, targets: impl IntoIterator<Item = PackageId>) -> Result<BuiltPackages, BuildError> {
        let wanted = self.distribution.graph.closure(targets);
        let known = loop {
            match self.known(&wanted) {
                Err(error) if !error.lost_rpms().is_empty() => self.lose(error)?,
                outcome => break outcome?,
            }
        };
        let is_here = |rpm: &BuiltRpm| self.store.object(&rpm.digest).is_some();
        let here = known.into_iter().filter_map(|(id, built)| {
            let mut built = (*built).clone();
            built.rpms.retain(is_here);
            (!built.rpms.is_empty()).then(|| (id, Arc::new(built)))
        });
        Ok(here.collect())
    }

    /// Returns those of the RPMs that neither the store nor the shared cache has intact. The others are in the store
    /// afterwards, compared with their digests. Reading them takes time, so that is done on all cores.
    fn missing(&self, rpms: &[&BuiltRpm]) -> Result<Vec<BuiltRpm>, BuildError> {
        let there = basalt_schedule::each(rpms, |rpm| rpm.obtain(self.store).map_err(BuildError::from));
        let there = there.map_err(basalt_schedule::EachError::into_first)?;
        let missing = rpms.iter().zip(there).filter(|(_, is_there)| !is_there);
        Ok(missing.map(|(rpm, _)| BuiltRpm::clone(rpm)).collect())
    }

    /// Records RPMs as lost, so that results that hold them do not count. Returns the error when all its RPMs were lost
    /// before: building their packages again did not help.
    fn lose(&self, error: BuildError) -> Result<(), BuildError> {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_new = false;
        for rpm in error.lost_rpms() {
            tracing::info!(rpm = rpm.file, "its content cannot be had: its package is built again");
            is_new |= lost.insert(rpm.digest);
        }
        if is_new { Ok(()) } else { Err(error) }
    }

    /// Returns `true` if a result holds an RPM that was lost and not made again since.
    pub(crate) fn is_lost(&self, built: &Built) -> bool {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let is_lost = |rpm: &BuiltRpm| lost.contains(&rpm.digest) && self.store.object(&rpm.digest).is_none();
        !lost.is_empty() && built.rpms.iter().any(is_lost)
    }

    /// Resolves a package against the results of its dependencies, and looks up its own result. If that is not known,
    /// its modules are fetched and the RPMs that it is built with are unpacked; where either differs from the known
    /// result of doing so, the package is resolved anew.
    pub(crate) fn look_up(
        &self,
        id: PackageId,
        index: &Mutex<BuiltIndex>,
    ) -> Result<(ResolvedBuild, Option<Built>), BuildError> {
        let build = self.resolve_fetching(id, index)?;
        let known = self.recall(&build)?;
        if known.is_some() {
            return Ok((build, known));
        }
        // Both are brought, also when the first one differs.
        let same = [
            self.has_modules_of(&build)?,
            self.payloads.are_those_of(&build, self.store)?,
        ];
        if same == [true; 2] {
            return Ok((build, None));
        }
        let build = self.resolve_fetching(id, index)?;
        let known = self.recall(&build)?;
        Ok((build, known))
    }

    /// Fetches the modules of a package, and returns `true` if they are those that its key was made with.
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
