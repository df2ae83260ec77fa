//! Fetching of sources, ahead of the builds that need them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{MutexGuard, PoisonError};

use basalt_process::interrupt;
use basalt_schedule::JobGraph;
use basalt_sources::InputContent;

use crate::BuildError;
use crate::engine::{Engine, job};
use crate::graph::PackageId;
use crate::plan::BuiltPackages;

impl Engine<'_> {
    /// Those of the packages that are still to be built, the most urgent first.
    pub(crate) fn fetch_order(
        &self,
        wanted: &BTreeSet<PackageId>,
        built: &BuiltPackages,
        plan: &JobGraph,
    ) -> Vec<PackageId> {
        let mut order: Vec<_> = wanted.iter().copied().filter(|id| !built.contains_key(id)).collect();
        order.sort_by_key(|id| std::cmp::Reverse(plan.urgency(job(*id))));
        order
    }

    /// Fetches the sources of what is to be built, in the order in which they will be needed. What cannot be had is no
    /// failure yet: it may turn out that nothing needs it.
    pub(crate) fn fetch_ahead(&self, order: &[PackageId], done: &AtomicBool) {
        for package in order {
            if interrupt::requested() || done.load(Ordering::Relaxed) {
                return;
            }
            if let Err(error) = self.fetch(*package) {
                tracing::debug!(%error, "fetching ahead failed");
            }
        }
    }

    /// Brings the sources of a package into the store; their number.
    ///
    /// # Errors
    /// When one cannot be had.
    pub fn fetch(&self, id: PackageId) -> Result<usize, BuildError> {
        self.base.bring(self.store, self.reporter)?;
        let _alone = self.fetching_alone(id);
        let package = self.distribution.package(id);
        let inputs = package.sources.inputs(self.tools)?;
        let count = inputs.len();
        for input in inputs {
            match input.content {
                InputContent::File { blob } if self.store.object(&blob.digest).is_none() => {
                    package.sources.fetch_file(&input.name, self.store, self.reporter)?;
                }
                InputContent::Modules(modules) => {
                    modules.fetch(self.store, self.tools, self.reporter)?;
                }
                _ => {}
            }
        }
        Ok(count)
    }

    /// Keeps other threads from fetching the sources of a package meanwhile.
    pub(crate) fn fetching_alone(&self, package: PackageId) -> Option<MutexGuard<'_, ()>> {
        let fetching = self.fetching.get(package.index())?;
        Some(fetching.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
