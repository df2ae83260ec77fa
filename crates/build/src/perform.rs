//! One package: its build root, its build, its results.

use std::io::Write as _;
use std::time::Instant;

use basalt_model::digest::Digest;
use basalt_process::ProcessError;
use basalt_progress::{Outcome, Reporter, Task, Unit};
use basalt_store::{Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};

use crate::built::{Built, Rpm};
use crate::conditions::Conditions;
use crate::log::{self, Follower};
use crate::root::{BuildRoot, Ground, Source};
use crate::spec::{Folder, SourcePackage};
use crate::{BuildError, effort};

/// A package that is to be built, with all that goes into it.
pub(crate) struct Job<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) key: Digest,
    pub(crate) sources: &'a [Source],
    pub(crate) sysroot: &'a [Utf8PathBuf],
    pub(crate) expected: &'a SourcePackage,
}

/// Builds it and keeps the result.
pub(crate) fn build(
    job: &Job<'_>,
    ground: &Ground,
    store: &Store,
    reporter: &dyn Reporter,
) -> Result<Built, BuildError> {
    let name = &job.folder.name;
    let task = reporter.task(name, Unit::Items, None);
    let started = Instant::now();
    let conditions = Conditions::ordinary(ground.jobs);
    let root = BuildRoot::prepare(ground, &conditions, store, job.folder, job.sources, job.sysroot)?;
    let log = log::path(store.root(), name);
    run(&root, name, &log, task.as_ref())?;
    let seconds = started.elapsed().as_secs();
    let rpms = collect(&root, store, job, &log)?;
    let built = Built {
        name: name.clone(),
        key: job.key,
        rpms,
        seconds,
    };
    store.set_result(&job.key, &built)?;
    effort::remember(name, seconds, store);
    task.finish(Outcome::Done);
    Ok(built)
}

/// A package that was built once more. Its files are gone when it is dropped.
#[derive(Debug)]
pub struct Rebuilt {
    /// The RPMs, sorted by name.
    pub rpms: Vec<Utf8PathBuf>,
    /// How long it took, in seconds.
    pub seconds: u64,
    _root: BuildRoot,
}

/// Builds it and keeps nothing.
pub(crate) fn rebuild(
    job: &Job<'_>,
    ground: &Ground,
    conditions: &Conditions,
    store: &Store,
    reporter: &dyn Reporter,
) -> Result<Rebuilt, BuildError> {
    let name = &job.folder.name;
    let task = reporter.task(&format!("{name} again"), Unit::Items, None);
    let started = Instant::now();
    let root = BuildRoot::prepare(ground, conditions, store, job.folder, job.sources, job.sysroot)?;
    let log = log::path(store.root(), &format!("{name}-again"));
    run(&root, name, &log, task.as_ref())?;
    task.finish(Outcome::Done);
    Ok(Rebuilt {
        rpms: root.rpms()?,
        seconds: started.elapsed().as_secs(),
        _root: root,
    })
}

/// Runs rpmbuild, with everything that it writes in the log.
fn run(root: &BuildRoot, name: &str, log: &Utf8Path, task: &dyn Task) -> Result<(), BuildError> {
    let file = fs_err::File::create(log).map_err(StoreError::io("cannot write the log", log))?;
    let mut writer = std::io::BufWriter::new(file);
    let mut follower = Follower::new();
    let mut write_error = None;
    let result = root.rpmbuild().lines(|line| {
        if let Err(error) = writeln!(writer, "{line}") {
            write_error.get_or_insert(error);
        }
        if follower.line(line) {
            task.detail(follower.phase.name());
        }
    });
    let flushed = writer.flush().err();
    match result {
        Ok(()) => match write_error.or(flushed) {
            Some(error) => Err(StoreError::io("cannot write the log", log)(error).into()),
            None => Ok(()),
        },
        Err(error) if error.is_interrupt() => Err(error.into()),
        Err(error @ ProcessError::Failed { .. }) => Err(BuildError::Failed {
            package: name.to_owned(),
            phase: follower.phase,
            lines: follower.telling(),
            log: log.to_owned(),
            ended: Some(Box::new(error)),
        }),
        Err(error) => Err(error.into()),
    }
}

/// Takes the RPMs into the store, and sees that they are those that the spec declares.
fn collect(root: &BuildRoot, store: &Store, job: &Job<'_>, log: &Utf8Path) -> Result<Vec<Rpm>, BuildError> {
    let mut rpms = Vec::new();
    for path in root.rpms()? {
        let package = basalt_repo::read_package(&path)?;
        let (digest, size) = store.insert_file(&path)?;
        let file = path.file_name().unwrap_or_default().to_owned();
        rpms.push(Rpm {
            package,
            file,
            digest,
            size,
        });
    }
    let made = |name: &str| rpms.iter().any(|rpm| rpm.package.name == name);
    let missing: Vec<_> = job
        .expected
        .binaries
        .iter()
        .map(|binary| binary.name.as_str())
        .filter(|name| !made(name))
        .collect();
    let what = if rpms.is_empty() {
        "it made no package (a spec without a %files section makes none)".to_owned()
    } else if missing.is_empty() {
        return Ok(rpms);
    } else {
        format!(
            "the packages {} that its spec declares were not made (have they a %files section?)",
            missing.join(", ")
        )
    };
    Err(BuildError::Result {
        package: job.folder.name.clone(),
        what,
        log: log.to_owned(),
    })
}

/// The tree of an RPM's payload, unpacked once.
pub(crate) fn unpacked(rpm: &Rpm, store: &Store) -> Result<Utf8PathBuf, BuildError> {
    store.tree_or_make(&rpm.tree_key(), |tree| Ok(basalt_repo::unpack(&rpm.path(store), tree)?))
}
