//! Executor of build plans. Workers resolve, look up and build; other threads fetch sources ahead of them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use basalt_digest::Digest;
use basalt_process::Cancellation;
use basalt_progress::{Outcome, Reporter, Task, Unit};
use basalt_schedule::timings::{self, Measurement, Timings};
use basalt_schedule::{
    Completion, Ended, Executor, JobContext, JobEvent, JobGraph, JobId, Jobserver, Observer, RunError, RunResult,
};
use basalt_sources::Tools;
use basalt_store::{Lock, Store};
use camino::Utf8PathBuf;

use crate::build_base::BuildBase;
use crate::build_root::{BuildRoot, InputPaths};
use crate::built::{Built, BuiltPackages};
use crate::built_index::BuiltIndex;
use crate::distribution::Distribution;
use crate::environment::BuildEnvironment;
use crate::execute::{self, Rebuilt};
use crate::graph::PackageId;
use crate::latest::InputDifference;
use crate::materials::BuildMaterials;
use crate::package::DistributionPackage;
use crate::payload::Payloads;
use crate::plan::{Lookup, Planner, ResolvedBuild};
use crate::store_lookup::StoreLookup;
use crate::{BuildError, latest};

/// Path of the jobserver's FIFO in a sandbox.
const JOBSERVER: &str = "/run/jobserver";
/// Concurrent jobs per core: while one waits for the disk or for a program that uses a single core, another computes.
/// The jobserver's tokens limit the number of computing processes.
const JOBS_PER_CORE: usize = 2;

/// Dependencies and settings of a build run.
pub struct Engine<'a> {
    /// Store of results and sources.
    pub store: &'a Store,
    /// Packages of the checkout.
    pub distribution: &'a Distribution,
    /// Layers below every build root.
    pub base: &'a BuildBase,
    /// Means to fetch sources.
    pub tools: &'a Tools,
    /// Receiver of progress.
    pub reporter: &'a dyn Reporter,
    /// Memory that all concurrent builds may take together, in MiB.
    pub memory: u64,
    /// `true` to continue with packages that do not depend on a failed one.
    pub keep_going: bool,
    pub(crate) payloads: Payloads,
    /// Digests of RPMs whose content could not be obtained when it was needed.
    pub(crate) lost: Mutex<BTreeSet<Digest>>,
    timings: Mutex<Option<Timings>>,
    /// Locks, one for each package: its sources are fetched by one thread at a time.
    pub(crate) fetching: Vec<Mutex<()>>,
}

/// Comparison of a package's build with the last one in this store.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// Key of the current build.
    pub key: Digest,
    /// Key of the last build in this store, if there was one.
    pub before: Option<Digest>,
    /// `true` if the result of the current build is known.
    pub is_built: bool,
    /// Inputs that differ between the two; none when there was no earlier build, or its messages are gone.
    pub differences: Option<Vec<InputDifference>>,
}

impl<'a> Engine<'a> {
    /// Returns an engine that stops at the first failure.
    pub fn new(
        store: &'a Store,
        distribution: &'a Distribution,
        base: &'a BuildBase,
        tools: &'a Tools,
        reporter: &'a dyn Reporter,
        memory: u64,
    ) -> Self {
        Self {
            store,
            distribution,
            base,
            tools,
            reporter,
            memory,
            keep_going: false,
            payloads: Payloads::default(),
            lost: Mutex::default(),
            timings: Mutex::default(),
            fetching: distribution.graph.ids().map(|_| Mutex::default()).collect(),
        }
    }

    /// Sets whether to continue with packages that do not depend on a failed one.
    pub fn keep_going(self, keep_going: bool) -> Self {
        Self { keep_going, ..self }
    }

    /// Returns the results of the packages and of their dependencies, whose RPMs may be known by digest only.
    pub(crate) fn build_unknown(&self, targets: &BTreeSet<PackageId>) -> Result<BuiltPackages, BuildError> {
        let wanted = self.distribution.graph.closure(targets.iter().copied());
        let built = self.known(&wanted)?;
        if built.len() == wanted.len() {
            return Ok(built);
        }
        let _lock = self.lock()?;
        // The process that held the lock may have built some of them.
        let built = self.known(&wanted)?;
        self.carry_out(&wanted, built)
    }

    /// Resolves the inputs of a package's build, after building its dependencies.
    ///
    /// # Errors
    /// When a dependency fails to build or cannot be obtained.
    pub fn resolve(&self, package: PackageId) -> Result<ResolvedBuild, BuildError> {
        let needs = self.distribution.graph.needs(package).iter().copied();
        let planner = self.planner();
        let requires = |built: &BuiltPackages| planner.build_requires(package, &BuiltIndex::of(built));
        let provided = self.provide(needs, requires, |rpms| rpms.iter().map(|rpm| &**rpm).collect())?;
        self.resolve_fetching(package, &Mutex::new(BuiltIndex::of(&provided.built)))
    }

    /// Resolves the inputs without the content of the dependencies' RPMs: for reports about the inputs.
    fn resolve_by_digest(&self, package: PackageId) -> Result<ResolvedBuild, BuildError> {
        let built = self.build_all(self.distribution.graph.needs(package))?;
        self.resolve_fetching(package, &Mutex::new(BuiltIndex::of(&built)))
    }

    /// Prepares the build root of a package, after building its dependencies.
    ///
    /// # Errors
    /// When a dependency fails to build or cannot be obtained.
    pub fn build_root(&self, package: PackageId) -> Result<BuildRoot, BuildError> {
        let build = self.resolve(package)?;
        self.root(&build, &BuildEnvironment::ordinary(self.base.jobs), &[])
    }

    /// Builds a package once more, in another environment and with `upper` laid over all other layers, and keeps no
    /// result.
    ///
    /// # Errors
    /// When the build fails in this environment.
    pub fn rebuild(
        &self,
        build: &ResolvedBuild,
        environment: &BuildEnvironment,
        upper: &[Utf8PathBuf],
    ) -> Result<Rebuilt, BuildError> {
        let root = self.root(build, environment, upper)?;
        let package = self.distribution.package(build.package);
        execute::rebuild(package, root, self.store, self.reporter)
    }

    /// Compares a package's current inputs with those of its last build in this store, after building its dependencies.
    ///
    /// # Errors
    /// When a dependency fails to build or cannot be obtained.
    pub fn explain(&self, package: PackageId) -> Result<Explanation, BuildError> {
        let build = self.resolve_by_digest(package)?;
        let name = self.distribution.package(package).name();
        let before = latest::recall(name, self.base.arch, self.store);
        let messages = |digest: &Digest| {
            let known = build.action.messages.iter().find(|(blob, _)| blob.digest == *digest);
            known
                .map(|(_, bytes)| bytes.clone())
                .or_else(|| self.store.read_object(digest).ok().flatten())
        };
        let differences = before.and_then(|before| latest::differences(&before, &build.key(), &messages));
        Ok(Explanation {
            key: build.key(),
            before,
            is_built: self.recall(&build)?.is_some(),
            differences,
        })
    }

    /// Returns everything that a package is built from, by name and digest, after building its dependencies.
    ///
    /// # Errors
    /// When a dependency fails to build or cannot be obtained.
    pub fn materials(&self, package: PackageId) -> Result<BuildMaterials, BuildError> {
        let build = self.resolve_by_digest(package)?;
        BuildMaterials::of(&build, self.distribution.package(package), self.base, self.tools)
    }

    fn root(
        &self,
        build: &ResolvedBuild,
        environment: &BuildEnvironment,
        upper: &[Utf8PathBuf],
    ) -> Result<BuildRoot, BuildError> {
        let package = self.distribution.package(build.package);
        self.base.materialize(self.store, self.reporter)?;
        let _alone = self.fetching_alone(build.package);
        let inputs = InputPaths::materialize(build, package, self.store, self.tools, self.reporter)?;
        BuildRoot::prepare(build, package, &inputs, self.base, environment, upper, self.store)
    }

    fn lock(&self) -> Result<Lock, BuildError> {
        Ok(self.store.lock("build", |holder| {
            let who = holder.map(|id| format!(" (process {id})")).unwrap_or_default();
            self.reporter.note(&format!(
                "waiting for another basalt{who} that is building in this store"
            ));
        })?)
    }

    fn planner(&self) -> Planner<'_> {
        Planner {
            distribution: self.distribution,
            base: self.base,
            tools: self.tools,
        }
    }

    fn lookup(&self, fetch: bool) -> StoreLookup<'_> {
        StoreLookup::new(self, fetch)
    }

    /// Returns the results of those packages whose result is known, and those of all their dependencies, too.
    pub(crate) fn known(&self, wanted: &BTreeSet<PackageId>) -> Result<BuiltPackages, BuildError> {
        self.planner().known(wanted, &self.lookup(false))
    }

    /// Resolves a package against the results of its dependencies; modules are fetched if need be.
    pub(crate) fn resolve_fetching(
        &self,
        package: PackageId,
        index: &Mutex<BuiltIndex>,
    ) -> Result<ResolvedBuild, BuildError> {
        let planner = self.planner();
        let rpms = planner.build_requires(package, &locked(index))?;
        let resolved = planner.resolve(package, rpms, &self.lookup(true))?;
        resolved.ok_or_else(|| BuildError::Lost {
            file: "modules that were fetched".to_owned(),
        })
    }

    /// Looks up the result of a build, unless RPMs of it are lost.
    pub(crate) fn recall(&self, build: &ResolvedBuild) -> Result<Option<Built>, BuildError> {
        self.lookup(false).result(build)
    }

    fn carry_out(&self, wanted: &BTreeSet<PackageId>, built: BuiltPackages) -> Result<BuiltPackages, BuildError> {
        let plan = self.planner().jobs()?;
        let only: BTreeSet<JobId> = wanted.iter().map(|package| job(*package)).collect();
        let left = (wanted.len() - built.len()) as u64;
        let total = self.reporter.task("building packages", Unit::Items, Some(left));
        let workspace = self.store.workspace()?;
        let jobserver = Jobserver::create(workspace.path(), self.base.jobs)?;
        let advance = ProgressObserver(total.as_ref());
        let ended = Cancellation::default();
        let executor = Executor::new(&plan)
            .only(&only)
            .workers(self.base.jobs.saturating_mul(JOBS_PER_CORE))
            .memory_mib(self.memory)
            .keep_going(self.keep_going)
            .jobserver(&jobserver)
            .cancellation(&ended)
            .observer(&advance);
        let order = self.fetch_order(wanted, &built, &plan);
        let index = Mutex::new(BuiltIndex::of(&built));
        let known = built.into_iter().map(|(package, built)| (job(package), built));
        let run = std::thread::scope(|scope| {
            scope.spawn(|| self.fetch_files_ahead(&order, &ended));
            let base = self.base.materialize(self.store, self.reporter);
            let run = base.map(|()| {
                scope.spawn(|| self.fetch_modules_ahead(&order, &ended));
                executor.run(known, |context| self.one(context, &jobserver, &index))
            });
            ended.request();
            run
        });
        let results = run.and_then(|run| {
            self.keep_timings(&plan, &run);
            run.into_results().map_err(failure)
        });
        total.finish(if results.is_ok() {
            Outcome::Done
        } else {
            Outcome::Failed
        });
        let ids = self.distribution.graph.ids().zip(results?);
        Ok(ids.filter_map(|(id, built)| Some((id, built?))).collect())
    }

    /// Keeps the timings of a run. A run without jobs keeps those of the one before.
    fn keep_timings(&self, plan: &JobGraph, run: &RunResult<Arc<Built>, BuildError>) {
        let measured = |job: JobId| {
            let built = run.results.get(job.index()).and_then(Option::as_ref);
            Measurement {
                cpu: built.map(|built| Duration::from_secs_f64(built.cpu_seconds.max(0.0))),
                peak_memory_mib: None,
            }
        };
        let jobs = timings::jobs(plan, &run.spans, measured);
        match Timings::new("basalt build", self.base.jobs, jobs) {
            Ok(timings) => *self.timings.lock().unwrap_or_else(PoisonError::into_inner) = Some(timings),
            Err(error) => tracing::warn!(%error, "the timings of this run are lost"),
        }
    }

    /// Returns the timings of the latest run in which a package had to be built.
    pub fn timings(&self) -> Option<Timings> {
        self.timings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the number of processes for a build. Clients of the jobserver get the number of all cores, and take a
    /// token for each further process. Go is no client: it gets half of the cores, two at least, and holds one token
    /// all the same, since further tokens would idle while it links and while it waits for them.
    fn processes(&self, package: &DistributionPackage) -> usize {
        if package.sources.has_go() {
            self.base.jobs.div_ceil(2).max(2)
        } else {
            self.base.jobs
        }
    }

    /// Builds the package of a job, unless a result of the same key is known by now, and adds the result to the index.
    fn one(
        &self,
        context: &JobContext<'_, Arc<Built>>,
        jobserver: &Jobserver,
        index: &Mutex<BuiltIndex>,
    ) -> Result<Completion<Arc<Built>>, BuildError> {
        let id = self.distribution.graph.at(context.job().index());
        let id = id.ok_or_else(|| BuildError::Lost {
            file: "a job's package".to_owned(),
        })?;
        let (build, known) = context.until_stopping(|| self.look_up(id, index))?;
        let completion = match known {
            Some(known) => {
                let task = self.reporter.task(&known.name, Unit::Items, None);
                task.finish(Outcome::Cached);
                Completion::Cached(Arc::new(known))
            }
            None => Completion::Executed(Arc::new(self.build_resolved(&build, context, jobserver)?)),
        };
        let (Completion::Executed(built) | Completion::Cached(built)) = &completion;
        locked(index).add(id, built);
        Ok(completion)
    }

    fn build_resolved(
        &self,
        build: &ResolvedBuild,
        context: &JobContext<'_, Arc<Built>>,
        jobserver: &Jobserver,
    ) -> Result<Built, BuildError> {
        let package = self.distribution.package(build.package);
        let environment = BuildEnvironment {
            has_jobserver: true,
            ..BuildEnvironment::ordinary(self.processes(package))
        };
        let root = context.until_stopping(|| self.root(build, &environment, &[]))?;
        // Not before the inputs are there: a job that waits for a server must not keep others from computing.
        let token = context.acquire()?;
        let variables = jobserver.environment(JOBSERVER.into());
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let root = match token.fifo() {
            Some(fifo) => root.with_jobserver(fifo, JOBSERVER, variables),
            None => root,
        };
        let built = execute::build(build, package, &root, self.store, self.reporter)?;
        latest::remember(package.name(), self.base.arch, &build.action, self.store);
        Ok(built)
    }
}

/// Observer that counts finished packages.
struct ProgressObserver<'a>(&'a dyn Task);

impl Observer for ProgressObserver<'_> {
    fn event(&self, _: JobId, event: JobEvent) {
        if matches!(event, JobEvent::Ended(Ended::Executed | Ended::Cached | Ended::Failed)) {
            self.0.advance(1);
        }
    }
}

fn locked(index: &Mutex<BuiltIndex>) -> MutexGuard<'_, BuiltIndex> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn job(package: PackageId) -> JobId {
    JobId::new(package.index())
}

/// Returns the error of the whole run: one failure as itself, several together.
fn failure(error: RunError<BuildError>) -> BuildError {
    match error {
        RunError::Failed { first, others } if !others.is_empty() => {
            let all = std::iter::once(first).chain(others);
            BuildError::Several {
                others: all.map(|failure| failure.error.into_error()).collect(),
            }
        }
        error => error.into_first(),
    }
}
