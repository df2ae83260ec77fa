//! Lookup of earlier results in the engine's store and the shared cache, for planning.

use basalt_action::Blob;
use basalt_sources::Modules;

use crate::BuildError;
use crate::built::{Built, BuiltRpm};
use crate::engine::Engine;
use crate::graph::PackageId;
use crate::plan::{Lookup, ResolvedBuild};

/// Lookup in the engine's store and its shared cache.
pub(crate) struct StoreLookup<'e> {
    engine: &'e Engine<'e>,
    /// `true` to fetch modules that are not known.
    fetch: bool,
}

impl<'e> StoreLookup<'e> {
    pub(crate) fn new(engine: &'e Engine<'e>, fetch: bool) -> Self {
        Self { engine, fetch }
    }
}

impl Lookup for StoreLookup<'_> {
    fn modules(&self, package: PackageId, modules: &Modules<'_>) -> Result<Option<Blob>, BuildError> {
        let Engine {
            store,
            tools,
            reporter,
            base,
            ..
        } = self.engine;
        if let Some(known) = modules.known(store) {
            return Ok(Some(known.root));
        }
        if !self.fetch {
            return Ok(None);
        }
        base.materialize(store, *reporter)?;
        let _alone = self.engine.fetching_alone(package);
        Ok(Some(modules.fetch(store, tools, *reporter)?.root))
    }

    fn payload(&self, rpm: &BuiltRpm) -> Result<Blob, BuildError> {
        self.engine.payloads.root(rpm, self.engine.store)
    }

    /// Returns the result of a build, unless RPMs of it are lost.
    fn result(&self, build: &ResolvedBuild) -> Result<Option<Built>, BuildError> {
        let name = self.engine.distribution.package(build.package).name();
        let known = Built::recall(name, &build.action.key, self.engine.store)?;
        Ok(known.filter(|known| !self.engine.is_lost(known)))
    }
}
