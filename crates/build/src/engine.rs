//! The engine: carries a plan out, with workers that build, and one that fetches ahead of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use basalt_model::digest::{Digest, Hasher};
use basalt_process::interrupt;
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_repo::Package;
use basalt_sources::{SourceSet, Tools};
use basalt_store::{Lock, Store};
use camino::Utf8PathBuf;

use crate::built::{Built, Rpm};
use crate::conditions::Conditions;
use crate::distribution::Distribution;
use crate::inputs::{Facts, Inputs};
use crate::perform::Rebuilt;
use crate::root::{Ground, Source};
use crate::schedule::{Next, Schedule};
use crate::{BuildError, parallel, perform};

/// Changes when the engine builds differently, so that nothing built before is taken for the same.
const ENGINE: &str = "1";

/// All that building needs.
pub struct Engine<'a> {
    /// Where results are kept.
    pub store: &'a Store,
    /// The packages.
    pub distribution: &'a Distribution,
    /// What every build stands on.
    pub ground: &'a Ground,
    /// The digest of what every build stands on.
    pub ground_digest: Digest,
    /// How sources are fetched.
    pub tools: &'a Tools,
    /// Where progress goes.
    pub reporter: &'a dyn Reporter,
    /// The most memory that builds may take together, in MiB.
    pub memory: u64,
    /// Whether to go on with what does not depend on a failure.
    pub keep_going: bool,
}

/// All that goes into the build of a package.
#[derive(Debug, Clone)]
pub struct Ingredients {
    /// The digest of it.
    pub key: Digest,
    /// Its sources in the store.
    pub sources: Vec<Source>,
    /// The unpacked RPMs that it is compiled against.
    pub trees: Vec<Utf8PathBuf>,
}

/// A plan while it is carried out, shared by the workers.
struct Work {
    schedule: Schedule,
    built: BTreeMap<usize, Built>,
    failures: Vec<BuildError>,
    stop: bool,
}

impl Engine<'_> {
    /// Builds the packages and all that they need, as far as that is not built already, and returns the results of all
    /// of them by package.
    ///
    /// # Errors
    /// When a package fails, and when interrupted.
    pub fn build(&self, targets: impl IntoIterator<Item = usize>) -> Result<BTreeMap<usize, Built>, BuildError> {
        let wanted = self.distribution.graph.closure(targets);
        let built = self.known(&wanted)?;
        if built.len() == wanted.len() {
            return Ok(built);
        }
        let _lock = self.lock()?;
        // Whoever held the lock may have built some of it.
        let built = self.known(&wanted)?;
        self.carry_out(&wanted, built)
    }

    /// Those of the packages, and of what they need, that are built already. Nothing is built.
    ///
    /// # Errors
    /// When what goes into a package cannot be read.
    pub fn built(&self, targets: impl IntoIterator<Item = usize>) -> Result<BTreeMap<usize, Built>, BuildError> {
        self.known(&self.distribution.graph.closure(targets))
    }

    fn lock(&self) -> Result<Lock, BuildError> {
        Ok(self.store.lock("build", |holder| {
            let who = holder.map(|id| format!(" (process {id})")).unwrap_or_default();
            self.reporter.note(&format!(
                "waiting for another basalt{who} that is building in this store"
            ));
        })?)
    }

    /// Those of the packages whose results are known, with all that they need.
    fn known(&self, wanted: &BTreeSet<usize>) -> Result<BTreeMap<usize, Built>, BuildError> {
        let mut built = BTreeMap::new();
        for package in self
            .distribution
            .graph
            .order()?
            .into_iter()
            .filter(|package| wanted.contains(package))
        {
            if self
                .distribution
                .graph
                .needs(package)
                .iter()
                .all(|need| built.contains_key(need))
            {
                let sysroot = self.sysroot(package, &built)?;
                let key = self.key(package, &sysroot)?;
                if let Some(known) = self.result(&key) {
                    // It may have been built before there were such notes.
                    self.remember(package, key, &sysroot)?;
                    built.insert(package, known);
                }
            }
        }
        Ok(built)
    }

    fn result(&self, key: &Digest) -> Option<Built> {
        self.store
            .result::<Built>(key)
            .filter(|built| built.is_whole(self.store))
    }

    /// The RPMs that a package is compiled against, chosen among the results of what it is built from.
    fn sysroot(&self, package: usize, built: &BTreeMap<usize, Built>) -> Result<Vec<Rpm>, BuildError> {
        let graph = &self.distribution.graph;
        let source = &graph.packages()[package];
        let sources = graph.closure(graph.needs(package).iter().copied());
        let available: Vec<&Rpm> = sources
            .iter()
            .filter_map(|source| built.get(source))
            .flat_map(|built| &built.rpms)
            .collect();
        solve(&source.build_requires, &available).map_err(|error| BuildError::Unsolvable {
            package: source.name.clone(),
            source: error,
        })
    }

    /// The digest of all that goes into a package.
    fn key(&self, package: usize, sysroot: &[Rpm]) -> Result<Digest, BuildError> {
        let folder = &self.distribution.folders[package];
        let mut hasher = Hasher::new();
        hasher
            .fact("engine", ENGINE)
            .fact("ground", self.ground_digest.as_bytes())
            .fact("package", &folder.name)
            .fact("folder", self.distribution.digests[package].as_bytes())
            .fact("sources", SourceSet::load(&folder.path)?.digest(self.tools)?.as_bytes());
        for rpm in sysroot {
            hasher.fact("sysroot", rpm.digest.as_bytes());
        }
        Ok(hasher.finish())
    }

    /// Writes down what goes into a package, for those who ask where it comes from.
    fn remember(&self, package: usize, key: Digest, sysroot: &[Rpm]) -> Result<(), BuildError> {
        let facts = Facts {
            folder: &self.distribution.folders[package],
            package: &self.distribution.graph.packages()[package],
            arch: self.ground.arch.name(),
            engine: ENGINE,
            key,
            ground: self.ground_digest,
            sysroot,
            tools: self.tools,
        };
        Inputs::remember(&facts, self.store)
    }

    fn carry_out(
        &self,
        wanted: &BTreeSet<usize>,
        built: BTreeMap<usize, Built>,
    ) -> Result<BTreeMap<usize, Built>, BuildError> {
        let graph = &self.distribution.graph;
        let count = graph.packages().len();
        let needs = (0..count).map(|package| graph.needs(package).clone()).collect();
        let names = &self.distribution.folders;
        let efforts = names
            .iter()
            .map(|folder| self.distribution.efforts.of(&folder.name, self.store))
            .collect();
        let mut schedule = Schedule::new(needs, efforts, self.memory);
        for package in (0..count).filter(|package| !wanted.contains(package) || built.contains_key(package)) {
            schedule.done(package);
        }
        let order = schedule.pending();
        let total = self
            .reporter
            .task("building packages", Unit::Items, Some(order.len() as u64));
        let fetches: Vec<Mutex<Option<Vec<Source>>>> = (0..count).map(|_| Mutex::new(None)).collect();
        let work = Mutex::new(Work {
            schedule,
            built,
            failures: Vec::new(),
            stop: false,
        });
        let changed = Condvar::new();
        std::thread::scope(|scope| {
            scope.spawn(|| self.fetch_ahead(&order, &fetches, &work));
            let workers: Vec<_> = (0..parallel::cores())
                .map(|_| scope.spawn(|| self.worker(&fetches, &work, &changed, total.as_ref())))
                .collect();
            for worker in workers {
                // A worker that panics has said so on standard error.
                drop(worker.join());
            }
            lock(&work).stop = true;
        });
        let Work {
            built, mut failures, ..
        } = work.into_inner().unwrap_or_else(PoisonError::into_inner);
        if failures.is_empty() && !interrupt::requested() {
            total.finish(Outcome::Done);
            return Ok(built);
        }
        total.finish(Outcome::Failed);
        interrupt::check()?;
        Err(if failures.len() == 1 {
            failures.remove(0)
        } else {
            BuildError::Several { others: failures }
        })
    }

    /// Fetches the sources of what is to be built, in the order in which they will be needed. What cannot be had is no
    /// failure yet: it may turn out that nothing needs it.
    fn fetch_ahead(&self, order: &[usize], fetches: &[Mutex<Option<Vec<Source>>>], work: &Mutex<Work>) {
        for package in order {
            if interrupt::requested() || lock(work).stop {
                return;
            }
            if let Err(error) = self.fetch(*package, fetches) {
                tracing::debug!(%error, "fetching ahead failed");
            }
        }
    }

    fn fetch(&self, package: usize, fetches: &[Mutex<Option<Vec<Source>>>]) -> Result<Vec<Source>, BuildError> {
        let mut fetched = lock(&fetches[package]);
        if let Some(sources) = fetched.as_ref() {
            return Ok(sources.clone());
        }
        let set = SourceSet::load(&self.distribution.folders[package].path)?;
        let sources: Vec<_> = set
            .fetch(self.store, self.tools, self.reporter)?
            .into_iter()
            .map(|source| Source {
                name: source.name,
                path: source.path,
            })
            .collect();
        *fetched = Some(sources.clone());
        Ok(sources)
    }

    fn worker(
        &self,
        fetches: &[Mutex<Option<Vec<Source>>>],
        work: &Mutex<Work>,
        changed: &Condvar,
        total: &dyn basalt_progress::Task,
    ) {
        let mut state = lock(work);
        loop {
            if interrupt::requested() || state.stop {
                return;
            }
            match state.schedule.next() {
                Next::Finished => {
                    changed.notify_all();
                    return;
                }
                Next::Wait => {
                    let waited = changed.wait_timeout(state, Duration::from_millis(200));
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                Next::Build(package) => {
                    let before = state.built.clone();
                    drop(state);
                    let result = self.one(package, &before, fetches);
                    state = lock(work);
                    total.advance(1);
                    match result {
                        Ok(built) => {
                            state.built.insert(package, built);
                            state.schedule.done(package);
                        }
                        Err(error) => {
                            state.stop |= error.is_interrupt() || !self.keep_going;
                            if !error.is_interrupt() {
                                state.failures.push(error);
                            }
                            state.schedule.failed(package);
                        }
                    }
                    changed.notify_all();
                }
            }
        }
    }

    /// Builds one package, unless it turns out that just this was built before.
    fn one(
        &self,
        package: usize,
        built: &BTreeMap<usize, Built>,
        fetches: &[Mutex<Option<Vec<Source>>>],
    ) -> Result<Built, BuildError> {
        let folder = &self.distribution.folders[package];
        let sysroot = self.sysroot(package, built)?;
        let key = self.key(package, &sysroot)?;
        if let Some(known) = self.result(&key) {
            self.reporter
                .task(&folder.name, Unit::Items, None)
                .finish(Outcome::Cached);
            return Ok(known);
        }
        let sources = self.fetch(package, fetches)?;
        let trees = self.unpacked(&sysroot)?;
        let expected = &self.distribution.graph.packages()[package];
        let job = perform::Job {
            folder,
            key,
            sources: &sources,
            sysroot: &trees,
            expected,
        };
        let built = perform::build(&job, self.ground, self.store, self.reporter)?;
        self.remember(package, key, &sysroot)?;
        Ok(built)
    }

    /// All that goes into the build of a package; what it needs is built, and its sources are fetched.
    ///
    /// # Errors
    /// When something that it needs fails to build or cannot be had.
    pub fn ingredients(&self, package: usize) -> Result<Ingredients, BuildError> {
        let built = self.build(self.distribution.graph.needs(package).iter().copied())?;
        let fetches: Vec<_> = (0..=package).map(|_| Mutex::new(None)).collect();
        let sysroot = self.sysroot(package, &built)?;
        Ok(Ingredients {
            key: self.key(package, &sysroot)?,
            trees: self.unpacked(&sysroot)?,
            sources: self.fetch(package, &fetches)?,
        })
    }

    /// Builds a package once more, on a ground and under conditions that are told, and keeps nothing of it.
    ///
    /// # Errors
    /// When it fails under these conditions.
    pub fn rebuild(
        &self,
        package: usize,
        ingredients: &Ingredients,
        ground: &Ground,
        conditions: &Conditions,
    ) -> Result<Rebuilt, BuildError> {
        let job = perform::Job {
            folder: &self.distribution.folders[package],
            key: ingredients.key,
            sources: &ingredients.sources,
            sysroot: &ingredients.trees,
            expected: &self.distribution.graph.packages()[package],
        };
        perform::rebuild(&job, ground, conditions, self.store, self.reporter)
    }

    fn unpacked(&self, rpms: &[Rpm]) -> Result<Vec<Utf8PathBuf>, BuildError> {
        rpms.iter().map(|rpm| perform::unpacked(rpm, self.store)).collect()
    }
}

/// The RPMs that fulfil the requests, sorted by name.
///
/// # Errors
/// When there is no such set; the error explains why.
pub fn solve(requests: &[String], available: &[&Rpm]) -> Result<Vec<Rpm>, basalt_repo::SolveError> {
    let packages: Vec<Package> = available.iter().map(|rpm| rpm.package.clone()).collect();
    let chosen = basalt_repo::solve(requests, &packages)?;
    let mut rpms: Vec<Rpm> = chosen
        .into_iter()
        .filter_map(|package| available.iter().find(|rpm| rpm.package == *package))
        .map(|rpm| (*rpm).clone())
        .collect();
    rpms.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(rpms)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
