//! Errors of planning and building packages.

use std::os::unix::process::ExitStatusExt as _;

use basalt_content::ContentError;
use basalt_process::ProcessError;
use basalt_store::{FileError, FolderSnapshotError, StoreError};
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

use crate::built::BuiltRpm;
use crate::graph::GraphError;
use crate::log::BuildPhase;
use crate::scriptlets::ScriptletsRefused;

/// A package could not be built.
#[derive(Debug, Error, Diagnostic)]
pub enum BuildError {
    /// The spec failed in one of its phases.
    #[error("{package} failed in {}{}\n{}", phase.name(), killed(ended.as_deref()), indented(lines))]
    #[diagnostic(
        code(build::failed),
        help(
            "the whole log:      {log}\nstep into the sandbox: ./basalt shell {package}{}{}",
            full_disk(lines).map(|help| format!("\n{help}")).unwrap_or_default(),
            killing(ended.as_deref())
        )
    )]
    Failed {
        /// Name of the package.
        package: String,
        /// Phase of the failure.
        phase: BuildPhase,
        /// Lines of the log that show the reason.
        lines: Vec<String>,
        /// Path of the whole log.
        log: Utf8PathBuf,
        /// Exit of rpmbuild. Not shown as a cause: its last lines are those above. A signal that ended it is.
        ended: Option<Box<ProcessError>>,
    },
    /// A build was ended at one of its limits.
    #[error("{package} was ended in {}: {reached}", phase.name())]
    #[diagnostic(
        code(build::limit),
        help(
            "if it really needs more, say so in distro/packages/resources.toml: limits = {{ minutes, memory_mib, processes, disk_mib }}; \
             the whole log: {log}"
        )
    )]
    Limit {
        /// Name of the package.
        package: String,
        /// Phase in which the limit was reached.
        phase: BuildPhase,
        /// The limit, with its value.
        reached: basalt_sandbox::LimitReached,
        /// Path of the whole log.
        log: Utf8PathBuf,
    },
    /// A build succeeded without making the RPMs that its spec declares.
    #[error("{package} was built, but {what}")]
    #[diagnostic(code(build::result), help("the whole log: {log}"))]
    Result {
        /// Name of the package.
        package: String,
        /// The difference, as a clause.
        what: String,
        /// Path of the whole log.
        log: Utf8PathBuf,
    },
    /// A spec cannot be read by rpmspec.
    #[error("{path} cannot be read")]
    #[diagnostic(
        code(build::spec),
        help("rpmspec's words are above; line numbers are those of the spec file")
    )]
    Spec {
        /// Path of the spec.
        path: Utf8PathBuf,
        /// Failure of rpmspec, with its output.
        source: Box<ProcessError>,
    },
    /// A query of a spec was ended at one of its limits.
    #[error("{path} cannot be read: {reached}")]
    #[diagnostic(
        code(build::spec_limit),
        help(
            "rpmspec runs the programs that the spec names in macros, as in `%(...)`: let them end soon and take little"
        )
    )]
    SpecLimit {
        /// Path of the spec.
        path: Utf8PathBuf,
        /// The limit, with its value.
        reached: basalt_sandbox::LimitReached,
    },
    /// A spec breaks a rule of this distribution.
    #[error("{path}: {what}")]
    #[diagnostic(code(build::spec), help("{help}"))]
    BadSpec {
        /// Path of the spec.
        path: Utf8PathBuf,
        /// The violation.
        what: String,
        /// Advice for the author of the spec.
        help: String,
    },
    /// A package has scriptlets or triggers.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Scriptlets(#[from] Box<ScriptletsRefused>),
    /// No package has this name.
    #[error("there is no package `{name}`")]
    #[diagnostic(code(build::unknown), help("{help}"))]
    NoSuchPackage {
        /// The name.
        name: String,
        /// Suggestion of a similar name.
        help: String,
    },
    /// The file of resource estimates and limits is not valid.
    #[error("{path} cannot be read: {source}")]
    #[diagnostic(
        code(build::resources),
        help(
            "it holds a table for each package: seconds, memory_mib, and limits = {{ minutes, memory_mib, processes, disk_mib }}"
        )
    )]
    Resources {
        /// Path of the file.
        path: Utf8PathBuf,
        /// Position and cause.
        source: Box<toml::de::Error>,
    },
    /// Several packages failed.
    #[error("{} packages failed", others.len())]
    #[diagnostic(code(build::several))]
    Several {
        /// The failures, one for each package.
        #[related]
        others: Vec<BuildError>,
    },
    /// Specs contradict each other.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Graph(#[from] GraphError),
    /// No set of RPMs fulfils the BuildRequires of a package.
    #[error("the build root of {package} cannot be put together")]
    #[diagnostic(code(build::root))]
    Unsolvable {
        /// Name of the package.
        package: String,
        /// Explanation by the solver.
        #[source]
        #[diagnostic_source]
        source: basalt_solver::SolveError,
    },
    /// Inputs of an action whose paths collide.
    #[error("the inputs of {what} cannot be put together")]
    #[diagnostic(code(build::inputs))]
    Inputs {
        /// Name of a package or of a layer.
        what: String,
        /// The collision.
        source: basalt_action::DirectoryError,
    },
    /// A folder of the checkout that cannot be an input.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Snapshot(Box<FolderSnapshotError>),
    /// RPMs of known digests whose content is neither in the store nor in the shared cache. The engine builds their
    /// packages again.
    #[error("neither the store nor the cache has {}", files(rpms))]
    #[diagnostic(
        code(build::lost_rpms),
        help(
            "their packages were built again and came out otherwise each time: `./basalt verify NAME` shows in what they differ"
        )
    )]
    LostRpms {
        /// The RPMs without content.
        rpms: Vec<BuiltRpm>,
    },
    /// Fetched modules that differ from the known result with which the key was made.
    #[error("{package}: `{name}` was fetched and is not what the known result of fetching it says")]
    #[diagnostic(
        code(build::other_modules),
        help("what was fetched counts from now on: run the same command again")
    )]
    OtherModules {
        /// Name of the package.
        package: String,
        /// Name of the source.
        name: String,
    },
    /// RPM whose payload differs, once unpacked, from the known result with which the key was made.
    #[error("{package}: `{file}` was unpacked and is not what the known result of unpacking it says")]
    #[diagnostic(
        code(build::other_payload),
        help("what was unpacked counts from now on: run the same command again")
    )]
    OtherPayload {
        /// Name of the package that is built.
        package: String,
        /// File name of the RPM.
        file: String,
    },
    /// Layer of the build base that was made here from the same locked packages and differs from the expected one.
    #[error("the {layer} that was made here differs from the one that results of the shared cache were made with")]
    #[diagnostic(
        code(build::other_base),
        help(
            "what was made here counts from now on: run the same command again; it finds fewer results in that cache"
        )
    )]
    OtherBase {
        /// Name of the layer: `sdk`, `toolchain`.
        layer: String,
    },
    /// File that disappeared from the store during the run.
    #[error("`{file}` is no longer in the store, or is damaged")]
    #[diagnostic(code(build::lost), help("run the same command again: it is made anew"))]
    Lost {
        /// Name of the file.
        file: String,
    },
    /// Metadata of RPMs that cannot be written as JSON.
    #[error("the metadata of the packages cannot be written")]
    #[diagnostic(code(build::metadata), help("this is a bug in basalt"))]
    Metadata {
        /// Cause, from the JSON library.
        source: serde_json::Error,
    },
    /// Dependency cycle between jobs.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Jobs(#[from] basalt_schedule::JobGraphError),
    /// Failure of the jobserver.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Jobserver(#[from] basalt_schedule::JobserverError),
    /// A token of the jobserver could not be acquired.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Token(#[from] basalt_schedule::AcquireError),
    /// Panic of a worker, which is a bug of basalt.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Panic(#[from] basalt_schedule::Panic),
    /// An RPM cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Rpm(#[from] basalt_rpm::RpmError),
    /// An RPM cannot be unpacked for a build root.
    #[error("`{file}` cannot be unpacked")]
    #[diagnostic(
        code(build::unpack),
        help("if the RPM is not what its header says, build its package again with this version of basalt")
    )]
    Unpack {
        /// File name of the RPM.
        file: String,
        /// The reason.
        source: Box<basalt_rpm::RpmError>,
    },
    /// Sources could not be fetched or verified.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sources(#[from] basalt_sources::SourcesError),
    /// The SDK could not be made.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sdk(#[from] basalt_sdk::SdkError),
    /// Failure of the sandbox.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sandbox(#[from] basalt_sandbox::SandboxError),
    /// Content trees that cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Content(#[from] ContentError),
    /// An operation on a file failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Io(#[from] FileError),
    /// Failure of the store.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    /// Failure of a child process, or interrupt.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
}

impl BuildError {
    pub(crate) fn metadata(source: serde_json::Error) -> Self {
        Self::Metadata { source }
    }

    /// Returns the conversion of an error of unpacking into one that names the RPM's file. An interruption stays one.
    pub(crate) fn unpack(file: &str) -> impl FnOnce(basalt_rpm::RpmError) -> Self {
        move |error| match error {
            basalt_rpm::RpmError::Interrupted(error) => error.into(),
            error => Self::Unpack {
                file: file.to_owned(),
                source: Box::new(error),
            },
        }
    }

    /// Returns the RPMs whose content could not be obtained, if they are the error or part of it.
    pub(crate) fn lost_rpms(&self) -> Vec<&BuiltRpm> {
        match self {
            Self::LostRpms { rpms } => rpms.iter().collect(),
            Self::Several { others } => others.iter().flat_map(Self::lost_rpms).collect(),
            _ => Vec::new(),
        }
    }

    /// Returns `true` if the error is only that the user interrupted the run.
    pub fn is_interrupt(&self) -> bool {
        match self {
            Self::Process(error)
            | Self::Store(StoreError::Interrupted(error))
            | Self::Rpm(basalt_rpm::RpmError::Interrupted(error)) => error.is_interrupt(),
            Self::Failed { ended: Some(error), .. } => error.is_interrupt(),
            _ => false,
        }
    }
}

/// Returns advice when lines of a program show that the disk is full.
pub(crate) fn full_disk(lines: &[String]) -> Option<String> {
    let error = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let full = lines.iter().any(|line| line.contains("No space left on device"));
    full.then(|| basalt_store::help_for(&error)).flatten()
}

/// Signal that ended a program.
fn signal(ended: Option<&ProcessError>) -> Option<i32> {
    match ended {
        Some(ProcessError::Failed { status, .. }) => status.signal(),
        _ => None,
    }
}

/// Clause with the signal that ended rpmbuild, if one did.
fn killed(ended: Option<&ProcessError>) -> String {
    let clause = |signal| format!(": rpmbuild was killed by signal {signal}");
    signal(ended).map(clause).unwrap_or_default()
}

/// Advice where rpmbuild was killed (SIGKILL).
fn killing(ended: Option<&ProcessError>) -> &'static str {
    match signal(ended) {
        Some(9) => {
            "\nthe kernel kills programs when the machine is out of memory (`dmesg` says so); else it was done by the build itself"
        }
        _ => "",
    }
}

fn files(rpms: &[BuiltRpm]) -> String {
    let files: Vec<_> = rpms.iter().map(|rpm| rpm.file.as_str()).collect();
    files.join(", ")
}

fn indented(lines: &[String]) -> String {
    lines
        .iter()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use miette::Diagnostic as _;

    use super::*;

    #[test]
    fn a_signal_that_ended_rpmbuild_is_named() {
        let failed = |status: i32| BuildError::Failed {
            package: "zlib".to_owned(),
            phase: BuildPhase::Build,
            lines: vec!["gcc -c a.c".to_owned()],
            log: "zlib.log".into(),
            ended: Some(Box::new(ProcessError::Failed {
                program: "rpmbuild".to_owned(),
                command: "rpmbuild -bb zlib.spec".to_owned(),
                status: ExitStatus::from_raw(status),
                tail: Vec::new(),
            })),
        };
        let help = |error: &BuildError| error.help().map(|help| help.to_string()).unwrap_or_default();
        let killed = failed(9);
        assert_eq!(
            killed.to_string(),
            "zlib failed in %build: rpmbuild was killed by signal 9\n  gcc -c a.c"
        );
        assert!(help(&killed).contains("out of memory"), "{}", help(&killed));
        let ended = failed(1 << 8);
        assert_eq!(ended.to_string(), "zlib failed in %build\n  gcc -c a.c");
        assert!(!help(&ended).contains("out of memory"), "{}", help(&ended));
    }
}
