//! Packages, built again and compared.

use std::collections::BTreeMap;

use basalt_build::{BuildError, Built, Engine, PackageId, Rebuilt};
use basalt_schedule::{Completion, Executor, JobGraph, RunError};
use basalt_store::digest_of;
use camino::Utf8PathBuf;

use crate::compare::{Findings, compare_rpms};
use crate::verdict::DifferingFile;
use crate::{Checked, ProductKind, RebuildError, Variations, Verdict};

/// Memory for the files of a build that is made in memory, in MiB, beside what its processes need.
const FILES: u64 = 4096;

/// Builds packages a second time and compares the results.
pub struct PackageRebuilder<'a> {
    /// Engine that built the packages the first time.
    pub engine: &'a Engine<'a>,
    /// Environment of the second build.
    pub variations: &'a Variations,
    /// `true` to build packages again whose verdict is cached.
    pub again: bool,
}

impl PackageRebuilder<'_> {
    /// Builds the packages as far as they are not built, then each of them a second time: the quick ones first, and the
    /// longest beside them. Calls `tell` with each verdict as soon as it is known. Returns the verdicts sorted by
    /// package name.
    ///
    /// # Errors
    /// When a package cannot be built the first time, when something cannot be read or written, and when interrupted. A
    /// package that cannot be built a second time is a verdict.
    pub fn check(&self, targets: &[PackageId], tell: &(dyn Fn(&Checked) + Sync)) -> Result<Vec<Checked>, RebuildError> {
        let distribution = self.engine.distribution;
        let built = self.engine.build(targets.iter().copied())?;
        let estimate = |package: PackageId| distribution.package(package).estimate;
        let name = |package: PackageId| distribution.package(package).name().to_owned();
        let graph = JobGraph::independent(targets.iter().map(|package| (name(*package), estimate(*package))));
        let workers = basalt_schedule::cores();
        let run = Executor::new(&graph)
            .workers(workers)
            .memory_mib(self.engine.memory)
            .both_ends(true)
            .run([], |job| {
                let package = targets.get(job.job().index()).copied();
                let first = package.and_then(|package| Some((package, built.get(&package)?)));
                let Some((package, first)) = first else {
                    return Ok(Completion::Cached(None));
                };
                let in_memory = (estimate(package).memory_mib + FILES) * workers as u64 <= self.engine.memory;
                let checked = self.one(package, first, job.worker(), in_memory)?;
                tell(&checked);
                Ok::<_, RebuildError>(Completion::Executed(Some(checked)))
            });
        let results = run.into_results().map_err(RunError::into_first)?;
        let mut checked: Vec<Checked> = results.into_iter().flatten().flatten().collect();
        checked.sort_by(|one, other| one.name.cmp(&other.name));
        checked.dedup_by(|one, other| one.name == other.name);
        Ok(checked)
    }

    fn one(&self, package: PackageId, first: &Built, worker: usize, in_memory: bool) -> Result<Checked, RebuildError> {
        let store = self.engine.store;
        let files = first.rpms.iter().map(|rpm| rpm.digest);
        let key = Checked::key(&first.key, files, &self.variations.digest());
        if let Some(known) = Checked::recall(&key, store).filter(|_| !self.again) {
            return Ok(known);
        }
        let build = self.engine.resolve(package)?;
        let environment = self.variations.environment(worker, in_memory);
        let checked = |seconds, verdict| Checked {
            name: first.name.clone(),
            kind: ProductKind::Package,
            files: first.rpms.len(),
            seconds,
            remembered: false,
            verdict,
        };
        let checked = match self.engine.rebuild(&build, &environment, self.variations.upper()) {
            Ok(second) => checked(second.seconds, self.compare(first, &second)?),
            Err(error) if error.is_interrupt() => return Err(error.into()),
            Err(error @ (BuildError::Failed { .. } | BuildError::Result { .. })) => checked(0, failed(&error)),
            Err(error) => return Err(error.into()),
        };
        checked.remember(&key, store)?;
        Ok(checked)
    }

    fn compare(&self, first: &Built, second: &Rebuilt) -> Result<Verdict, RebuildError> {
        let store = self.engine.store;
        let mut findings = Findings::default();
        let mut kept = Vec::new();
        let mut others: BTreeMap<&str, &Utf8PathBuf> = second
            .rpms
            .iter()
            .map(|path| (path.file_name().unwrap_or_default(), path))
            .collect();
        for rpm in &first.rpms {
            let package = rpm.package.to_string();
            let Some(other) = others.remove(rpm.file.as_str()) else {
                findings.add_in(package, "is only in the first build");
                continue;
            };
            if digest_of(other)?.0 == rpm.digest {
                continue;
            }
            let path = rpm.path(store);
            findings.within(package, |findings| compare_rpms(findings, &path, other))?;
            let (twin, _) = store.insert_file(other)?;
            kept.push(DifferingFile {
                file: rpm.file.clone(),
                first: path,
                second: store.object_path(&twin),
            });
        }
        for name in others.into_keys() {
            findings.add_in(name, "is only in the second build");
        }
        if findings.count() == 0 && kept.is_empty() {
            return Ok(Verdict::Identical);
        }
        let (differences, more) = findings.finish();
        Ok(Verdict::Different {
            differences,
            more,
            kept,
        })
    }
}

fn failed(error: &BuildError) -> Verdict {
    let log = match error {
        BuildError::Failed { log, .. } | BuildError::Result { log, .. } => Some(log.clone()),
        _ => None,
    };
    Verdict::Failed {
        why: error.to_string(),
        log,
    }
}
