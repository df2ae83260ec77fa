//! The engine: carries a plan out. Workers resolve, look up and build; one more thread fetches ahead of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use basalt_model::digest::Digest;
use basalt_process::interrupt;
use basalt_progress::{Outcome, Reporter, Task, Unit};
use basalt_schedule::timings::{self, Measurement, Timings};
use basalt_schedule::{
    Completion, Ended, Event, Executor, Job, JobContext, JobGraph, JobId, Jobserver, Observer, Run, RunError,
};
use basalt_sources::{InputContent, Tools};
use basalt_store::{Lock, Store};
use camino::Utf8PathBuf;

use crate::build_base::BuildBase;
use crate::build_root::{BuildRoot, Inputs};
use crate::built::Built;
use crate::distribution::Distribution;
use crate::environment::BuildEnvironment;
use crate::execute::{self, Rebuilt};
use crate::graph::PackageId;
use crate::latest::Difference;
use crate::materials::BuildMaterials;
use crate::package::Package;
use crate::payload::Payloads;
use crate::resolve::ResolvedBuild;
use crate::{BuildError, latest};

/// Place of the jobserver's FIFO in a sandbox.
const JOBSERVER: &str = "/run/jobserver";
/// Jobs in work for each core: while one waits for the disk or for a program that keeps one core busy, another computes. The
/// jobserver's tokens bound what computes.
const JOBS_PER_CORE: usize = 2;

/// All that building needs.
pub struct Engine<'a> {
    /// Where results are kept.
    pub store: &'a Store,
    /// The packages.
    pub distribution: &'a Distribution,
    /// What every build begins with.
    pub base: &'a BuildBase,
    /// How sources are fetched.
    pub tools: &'a Tools,
    /// Where progress goes.
    pub reporter: &'a dyn Reporter,
    /// The most memory that builds may take together, in MiB.
    pub memory: u64,
    /// Whether to go on with what does not depend on a failure.
    pub keep_going: bool,
    pub(crate) payloads: Payloads,
    /// Digests of RPMs whose content could not be had when it was needed.
    pub(crate) lost: Mutex<BTreeSet<Digest>>,
    timings: Mutex<Option<Timings>>,
    /// One for each package: its sources are fetched by one thread at a time.
    fetching: Vec<Mutex<()>>,
}

/// Why a package is built, or is not.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// The key of its build as it is now.
    pub key: Digest,
    /// The key of its last build in this store.
    pub before: Option<Digest>,
    /// Whether the result of its build as it is now is known.
    pub is_built: bool,
    /// The inputs that differ between the two.
    pub differences: Option<Vec<Difference>>,
}

/// Results by package.
pub type BuiltPackages = BTreeMap<PackageId, Arc<Built>>;

impl<'a> Engine<'a> {
    /// An engine that stops at the first failure.
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

    /// The same, that goes on with what does not depend on a failure.
    pub fn keep_going(self, keep_going: bool) -> Self {
        Self { keep_going, ..self }
    }

    /// The results of the packages and of all that they need, whose RPMs may be known by digest only.
    pub(crate) fn build_unknown(&self, targets: &BTreeSet<PackageId>) -> Result<BuiltPackages, BuildError> {
        let wanted = self.distribution.graph.closure(targets.iter().copied());
        let built = self.known(&wanted)?;
        if built.len() == wanted.len() {
            return Ok(built);
        }
        let _lock = self.lock()?;
        // Whoever held the lock may have built some of it.
        let built = self.known(&wanted)?;
        self.carry_out(&wanted, built)
    }

    /// A package with all that goes into its build; what it needs is built.
    ///
    /// # Errors
    /// When something that it needs fails to build or cannot be had.
    pub fn resolve(&self, package: PackageId) -> Result<ResolvedBuild, BuildError> {
        let needs = self.distribution.graph.needs(package).iter().copied();
        let built = self.provide(needs, |built| self.build_requires(package, built))?;
        self.resolve_fetching(package, &built)
    }

    /// The same, without the content of what it needs: for telling what goes into the build.
    fn resolve_by_digest(&self, package: PackageId) -> Result<ResolvedBuild, BuildError> {
        let built = self.build_all(self.distribution.graph.needs(package))?;
        self.resolve_fetching(package, &built)
    }

    /// The build root of a package, as its build has it. What it needs is built.
    ///
    /// # Errors
    /// When something that it needs fails to build or cannot be had.
    pub fn build_root(&self, package: PackageId) -> Result<BuildRoot, BuildError> {
        let build = self.resolve(package)?;
        self.root(&build, &BuildEnvironment::ordinary(self.base.jobs), &[])
    }

    /// Builds a package once more, in another environment and with folders laid over all others, and keeps nothing of it.
    ///
    /// # Errors
    /// When it fails in this environment.
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

    /// The inputs that differ between a package's build as it is now and the last one in this store; none where there was
    /// none, or where its messages are gone. What it needs is built.
    ///
    /// # Errors
    /// When something that it needs fails to build or cannot be had.
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

    /// Everything that a package is built from, by name and digest. What it needs is built.
    ///
    /// # Errors
    /// When something that it needs fails to build or cannot be had.
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
        self.base.bring(self.store, self.reporter)?;
        let _alone = self.fetching_alone(build.package);
        let inputs = Inputs::bring(build, package, self.store, self.tools, self.reporter)?;
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

    /// Those of the packages whose results are known, with all that they need.
    pub(crate) fn known(&self, wanted: &BTreeSet<PackageId>) -> Result<BuiltPackages, BuildError> {
        let graph = &self.distribution.graph;
        let mut built = BuiltPackages::new();
        for package in graph.order()?.into_iter().filter(|package| wanted.contains(package)) {
            interrupt::check()?;
            if !graph.needs(package).iter().all(|need| built.contains_key(need)) {
                continue;
            }
            if let Some(build) = self.resolve_known(package, &built)?
                && let Some(known) = self.recall(&build)?
            {
                built.insert(package, Arc::new(known));
            }
        }
        Ok(built)
    }

    /// The result of a build that was made before, unless RPMs of it are lost.
    pub(crate) fn recall(&self, build: &ResolvedBuild) -> Result<Option<Built>, BuildError> {
        let name = self.distribution.package(build.package).name();
        let known = Built::recall(name, &build.action.key, self.store)?;
        Ok(known.filter(|known| !self.is_lost(known)))
    }

    fn carry_out(&self, wanted: &BTreeSet<PackageId>, built: BuiltPackages) -> Result<BuiltPackages, BuildError> {
        self.base.bring(self.store, self.reporter)?;
        let plan = self.plan()?;
        let only: BTreeSet<JobId> = wanted.iter().map(|package| job(*package)).collect();
        let left = (wanted.len() - built.len()) as u64;
        let total = self.reporter.task("building packages", Unit::Items, Some(left));
        let workspace = self.store.workspace()?;
        let jobserver = Jobserver::create(workspace.path(), self.base.jobs)?;
        let advance = Advance(total.as_ref());
        let executor = Executor::new(&plan)
            .only(&only)
            .workers(self.base.jobs.saturating_mul(JOBS_PER_CORE))
            .memory_mib(self.memory)
            .keep_going(self.keep_going)
            .jobserver(&jobserver)
            .observer(&advance);
        let order = self.fetch_order(wanted, &built, &plan);
        let known = built.into_iter().map(|(package, built)| (job(package), built));
        let done = AtomicBool::new(false);
        let run = std::thread::scope(|scope| {
            scope.spawn(|| self.fetch_ahead(&order, &done));
            let run = executor.run(known, |context| self.one(context, &jobserver));
            done.store(true, Ordering::Relaxed);
            run
        });
        self.keep_timings(&plan, &run);
        match run.into_results() {
            Ok(results) => {
                total.finish(Outcome::Done);
                let ids = self.distribution.graph.ids().zip(results);
                Ok(ids.filter_map(|(id, built)| Some((id, built?))).collect())
            }
            Err(error) => {
                total.finish(Outcome::Failed);
                Err(failure(error))
            }
        }
    }

    /// Remembers where the time of a run went. A run without jobs leaves the timings of the one before.
    fn keep_timings(&self, plan: &JobGraph, run: &Run<Arc<Built>, BuildError>) {
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

    /// Timings of the latest run in which something was to be built.
    pub fn timings(&self) -> Option<Timings> {
        self.timings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The packages as jobs; a job's position is its package's.
    fn plan(&self) -> Result<JobGraph, BuildError> {
        let graph = &self.distribution.graph;
        let jobs = graph.ids().map(|id| {
            let package = self.distribution.package(id);
            Job {
                name: package.name().to_owned(),
                needs: graph.needs(id).iter().map(|need| job(*need)).collect(),
                estimate: package.estimate,
            }
        });
        Ok(JobGraph::new(jobs.collect())?)
    }

    /// Those of the packages that are still to be built, the most urgent first.
    fn fetch_order(&self, wanted: &BTreeSet<PackageId>, built: &BuiltPackages, plan: &JobGraph) -> Vec<PackageId> {
        let mut order: Vec<_> = wanted.iter().copied().filter(|id| !built.contains_key(id)).collect();
        order.sort_by_key(|id| std::cmp::Reverse(plan.urgency(job(*id))));
        order
    }

    /// Fetches the sources of what is to be built, in the order in which they will be needed. What cannot be had is no
    /// failure yet: it may turn out that nothing needs it.
    fn fetch_ahead(&self, order: &[PackageId], done: &AtomicBool) {
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

    /// Tokens of the jobserver that a build begins with. Clients of the jobserver take more by themselves; Go is none, and is
    /// told its number of processes once.
    fn tokens(&self, package: &Package) -> usize {
        if package.sources.has_go() {
            self.base.jobs.div_ceil(2).max(2).min(self.base.jobs)
        } else {
            1
        }
    }

    /// Number of processes that a build is told. Clients of the jobserver are told of all cores, and wait for tokens.
    fn processes(&self, package: &Package, tokens: usize) -> usize {
        if package.sources.has_go() {
            tokens.max(1)
        } else {
            self.base.jobs
        }
    }

    /// Builds one package, unless it turns out that just this was built before.
    fn one(
        &self,
        context: &JobContext<'_, Arc<Built>>,
        jobserver: &Jobserver,
    ) -> Result<Completion<Arc<Built>>, BuildError> {
        let graph = &self.distribution.graph;
        let id = graph.at(context.job().index()).ok_or_else(|| BuildError::Lost {
            file: "a job's package".to_owned(),
        })?;
        let below = graph.closure(graph.needs(id).iter().copied());
        let built = below.into_iter();
        let built = built.filter_map(|need| Some((need, Arc::clone(context.result(job(need))?))));
        let (build, known) = self.look_up(id, &built.collect())?;
        let package = self.distribution.package(id);
        if let Some(known) = known {
            self.reporter
                .task(package.name(), Unit::Items, None)
                .finish(Outcome::Cached);
            return Ok(Completion::Cached(Arc::new(known)));
        }
        let tokens = context.acquire(self.tokens(package))?;
        let environment = BuildEnvironment {
            has_jobserver: true,
            ..BuildEnvironment::ordinary(self.processes(package, tokens.count()))
        };
        let root = self.root(&build, &environment, &[])?;
        let variables = jobserver.environment(JOBSERVER.into());
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let root = root.with_jobserver(jobserver.path(), JOBSERVER, variables);
        let built = execute::build(&build, package, &root, self.store, self.reporter)?;
        latest::remember(package.name(), self.base.arch, &build.action, self.store);
        Ok(Completion::Executed(Arc::new(built)))
    }
}

/// Tells how many packages came to their end.
struct Advance<'a>(&'a dyn Task);

impl Observer for Advance<'_> {
    fn event(&self, _: JobId, event: Event) {
        if matches!(event, Event::Ended(Ended::Executed | Ended::Cached | Ended::Failed)) {
            self.0.advance(1);
        }
    }
}

fn job(package: PackageId) -> JobId {
    JobId::new(package.index())
}

/// The error of the whole: one failure as itself, several together.
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
