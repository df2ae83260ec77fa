//! Execution of one package's build, and collection of its results.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use basalt_action::Execution;
use basalt_progress::{Outcome, Reporter, Task, Unit};
use basalt_rpm::RpmError;
use basalt_sandbox::SandboxError;
use basalt_store::{FileError, Store};
use camino::{Utf8Path, Utf8PathBuf};

use crate::build_root::BuildRoot;
use crate::built::{Built, BuiltRpm};
use crate::failure::{self, Cause, StageLines};
use crate::log::{self, LogReader};
use crate::package::DistributionPackage;
use crate::plan::ResolvedBuild;
use crate::{BuildError, declared, resources, scriptlets};

/// Runs the build in a prepared root, and keeps the result.
pub(crate) fn build(
    build: &ResolvedBuild,
    package: &DistributionPackage,
    root: &BuildRoot,
    store: &Store,
    reporter: &dyn Reporter,
) -> Result<Built, BuildError> {
    let name = package.name();
    let task = reporter.task(name, Unit::Items, None);
    let started = now();
    let log = log::path(&store.logs(), name);
    run(root, name, &log, task.as_ref())?;
    let report = root.report()?;
    let used = report.as_ref().map(|report| report.user_time + report.system_time);
    let execution = Execution {
        started,
        ended: now(),
        cpu_seconds: used.unwrap_or_default().as_secs_f64(),
        peak_memory: report.map_or(0, |report| report.peak_memory),
    };
    let built = Built {
        name: name.to_owned(),
        key: build.key(),
        rpms: collect(root, store, package, &log)?,
        seconds: execution.seconds(),
        cpu_seconds: execution.cpu_seconds,
    };
    store.put_action_result(&build.action, &built.to_result(execution, store)?)?;
    resources::remember(name, built.seconds, store);
    task.finish(Outcome::Done);
    Ok(built)
}

/// Result of a repeated build. Its files are removed when it is dropped.
#[derive(Debug)]
pub struct Rebuilt {
    /// Paths of the RPMs, sorted by name.
    pub rpms: Vec<Utf8PathBuf>,
    /// Duration in seconds.
    pub seconds: u64,
    _root: BuildRoot,
}

/// Runs the build in a prepared root, and keeps no result.
pub(crate) fn rebuild(
    package: &DistributionPackage,
    root: BuildRoot,
    store: &Store,
    reporter: &dyn Reporter,
) -> Result<Rebuilt, BuildError> {
    let name = package.name();
    let task = reporter.task(&format!("{name} again"), Unit::Items, None);
    let started = now();
    let log = log::path(&store.logs(), &format!("{name}-again"));
    run(&root, name, &log, task.as_ref())?;
    task.finish(Outcome::Done);
    Ok(Rebuilt {
        rpms: root.rpms().map_err(|error| refused(error, name, &log))?,
        seconds: u64::try_from(now().saturating_sub(started)).unwrap_or(0),
        _root: root,
    })
}

/// Returns the current time in seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Runs rpmbuild, and writes its output to the log.
fn run(root: &BuildRoot, name: &str, log: &Utf8Path, task: &dyn Task) -> Result<(), BuildError> {
    let file = fs_err::File::create(log).map_err(FileError::new("cannot write the log", log))?;
    let mut writer = std::io::BufWriter::new(file);
    let mut reader = LogReader::new();
    let mut stages = StageLines::default();
    let mut write_error = None;
    let result = root.rpmbuild(log).lines(|line| {
        if let Err(error) = writeln!(writer, "{line}") {
            write_error.get_or_insert(error);
        }
        stages.line(line);
        if reader.line(line) {
            task.detail(reader.phase.name());
        }
    });
    let flushed = writer.flush().err();
    let not_written = write_error.or(flushed).map(FileError::new("cannot write the log", log));
    let error = match (result, not_written) {
        (Ok(()), None) => return Ok(()),
        (Ok(()), Some(not_written)) => return Err(not_written.into()),
        (Err(error), not_written) => (failure::cause(error, root.report(), &stages), not_written),
    };
    Err(match error {
        // A full disk fails both, and tells less clearly why the sandbox failed.
        (Cause::Other(BuildError::Sandbox(_)), Some(not_written)) => not_written.into(),
        (Cause::Program(error), _) => BuildError::Failed {
            package: name.to_owned(),
            phase: reader.phase,
            lines: reader.relevant_lines(),
            log: log.to_owned(),
            ended: Some(Box::new(error)),
        },
        (Cause::Limit(reached), _) => BuildError::Limit {
            package: name.to_owned(),
            phase: reader.phase,
            reached,
            log: log.to_owned(),
        },
        (Cause::Other(error), _) => error,
    })
}

/// Returns the error of a package whose build left what cannot be taken in. Other errors stay what they are.
fn refused(error: BuildError, package: &str, log: &Utf8Path) -> BuildError {
    let what = match &error {
        BuildError::Sandbox(error @ SandboxError::Output { .. }) => error.to_string(),
        BuildError::Rpm(error @ (RpmError::Header { .. } | RpmError::Malformed { .. } | RpmError::Payload { .. })) => {
            basalt_process::chain(error)
        }
        _ => return error,
    };
    BuildError::Result {
        package: package.to_owned(),
        what,
        log: log.to_owned(),
    }
}

/// Stores the RPMs, once they are those that the spec declares, and their payloads those that their headers declare.
fn collect(
    root: &BuildRoot,
    store: &Store,
    expected: &DistributionPackage,
    log: &Utf8Path,
) -> Result<Vec<BuiltRpm>, BuildError> {
    let refused = |error: BuildError| refused(error, expected.name(), log);
    let mut made = Vec::new();
    for path in root.rpms().map_err(refused)? {
        let package = basalt_rpm::read_package(&path).map_err(|error| refused(error.into()))?;
        scriptlets::check_rpm(expected, &package)?;
        made.push((path, package));
    }
    let named = made
        .iter()
        .map(|(path, package)| (path.file_name().unwrap_or_default(), package));
    declared::check(&expected.spec, root.arch(), named).map_err(|what| BuildError::Result {
        package: expected.name().to_owned(),
        what,
        log: log.to_owned(),
    })?;
    let rpms = made.into_iter().map(|(path, package)| {
        basalt_rpm::verify(&path, expected.limits.disk).map_err(|error| refused(error.into()))?;
        let (digest, size) = store.insert_file(&path)?;
        let file = path.file_name().unwrap_or_default().to_owned();
        Ok(BuiltRpm {
            package,
            file,
            digest,
            size,
        })
    });
    rpms.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_left_is_blamed_on_its_package() {
        let log = Utf8Path::new("/store/logs/zlib.log");
        let payload = RpmError::Payload {
            path: "/store/tmp/build/RPMS/zlib.rpm".into(),
            what: "`/usr/bin/backdoor` is not in its header, or is in the payload twice".to_owned(),
        };
        let output = SandboxError::Output {
            path: "RPMS".to_owned(),
            what: "a symbolic link",
        };
        for (error, words) in [
            (payload.into(), "zlib.rpm cannot be used: `/usr/bin/backdoor`"),
            (output.into(), "`RPMS` is a symbolic link"),
        ] {
            let error = refused(error, "zlib", log);
            let BuildError::Result {
                package, log: named, ..
            } = &error
            else {
                panic!("{error:?}")
            };
            assert_eq!((package.as_str(), named.as_path()), ("zlib", log));
            let shown = error.to_string();
            assert!(
                shown.starts_with("zlib was built, but") && shown.contains(words),
                "{shown}"
            );
        }
        let interrupted = BuildError::from(RpmError::from(basalt_process::ProcessError::Interrupted));
        assert!(refused(interrupted, "zlib", log).is_interrupt());
    }
}
