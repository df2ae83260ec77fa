//! How building goes wrong.

use basalt_process::ProcessError;
use basalt_store::{SnapshotError, StoreError};
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

use crate::built::Rpm;
use crate::graph::GraphError;
use crate::log::Phase;

/// A package could not be built.
#[derive(Debug, Error, Diagnostic)]
pub enum BuildError {
    /// The spec failed.
    #[error("{package} failed in {}\n{}", phase.name(), indented(lines))]
    #[diagnostic(
        code(build::failed),
        help(
            "the whole log:      {log}\nstep into the sandbox: ./basalt shell {package}{}",
            full_disk(lines)
        )
    )]
    Failed {
        /// The package.
        package: String,
        /// Where it was.
        phase: Phase,
        /// The lines of the log that tell why.
        lines: Vec<String>,
        /// The whole log.
        log: Utf8PathBuf,
        /// How rpmbuild ended. Not shown as a cause: its last lines are those above.
        ended: Option<Box<ProcessError>>,
    },
    /// A build reached one of its limits.
    #[error("{package} was ended in {}: {reached}", phase.name())]
    #[diagnostic(
        code(build::limit),
        help(
            "if it really needs more, say so in distro/packages/resources.toml: limits = {{ minutes, memory_mib, processes, disk_mib }}; \
             the whole log: {log}"
        )
    )]
    Limit {
        /// The package.
        package: String,
        /// Where it was.
        phase: Phase,
        /// The limit.
        reached: basalt_sandbox::LimitReached,
        /// The whole log.
        log: Utf8PathBuf,
    },
    /// A build ended well and made nothing, or not what its spec says.
    #[error("{package} was built, but {what}")]
    #[diagnostic(code(build::result), help("the whole log: {log}"))]
    Result {
        /// The package.
        package: String,
        /// What is wrong.
        what: String,
        /// The log.
        log: Utf8PathBuf,
    },
    /// A spec cannot be read.
    #[error("{path} cannot be read")]
    #[diagnostic(
        code(build::spec),
        help("rpmspec's words are below; line numbers are those of the spec file")
    )]
    Spec {
        /// The spec file.
        path: Utf8PathBuf,
        /// What rpmspec said.
        source: Box<ProcessError>,
    },
    /// A spec says something that this distribution does not allow.
    #[error("{path}: {what}")]
    #[diagnostic(code(build::spec), help("{remedy}"))]
    BadSpec {
        /// The spec file.
        path: Utf8PathBuf,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A name that is no package.
    #[error("there is no package `{name}`")]
    #[diagnostic(code(build::unknown), help("{help}"))]
    NoSuchPackage {
        /// The name.
        name: String,
        /// Which one may be meant.
        help: String,
    },
    /// The file of estimates and limits is wrong.
    #[error("{path} cannot be read: {source}")]
    #[diagnostic(
        code(build::resources),
        help(
            "it holds a table for each package: seconds, memory_mib, and limits = {{ minutes, memory_mib, processes, disk_mib }}"
        )
    )]
    Resources {
        /// The file.
        path: Utf8PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// Several packages failed.
    #[error("{} packages failed", others.len())]
    #[diagnostic(code(build::several))]
    Several {
        /// Each one's failure.
        #[related]
        others: Vec<BuildError>,
    },
    /// The specs do not fit together.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Graph(#[from] GraphError),
    /// What a package needs cannot be put together.
    #[error("the build root of {package} cannot be put together")]
    #[diagnostic(code(build::root))]
    Unsolvable {
        /// The package.
        package: String,
        /// Why.
        #[source]
        #[diagnostic_source]
        source: basalt_repo::SolveError,
    },
    /// Inputs of an action that are in each other's way.
    #[error("the inputs of {what} cannot be put together")]
    #[diagnostic(code(build::inputs))]
    Inputs {
        /// A package, or something that every build begins with.
        what: String,
        /// Which.
        source: basalt_action::DirectoryError,
    },
    /// A folder of the checkout that cannot be an input.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Snapshot(Box<SnapshotError>),
    /// RPMs of known digests whose content neither the store nor the shared cache has. The engine builds their packages
    /// again.
    #[error("neither the store nor the cache has {}", files(rpms))]
    #[diagnostic(
        code(build::lost_rpms),
        help(
            "their packages were built again and came out otherwise each time: `./basalt verify NAME` shows in what they differ"
        )
    )]
    LostRpms {
        /// The RPMs.
        rpms: Vec<Rpm>,
    },
    /// Modules that came otherwise than a result said that the key was made with.
    #[error("{package}: `{name}` was fetched and is not what the known result of fetching it says")]
    #[diagnostic(
        code(build::other_modules),
        help("what was fetched counts from now on: run the same command again")
    )]
    OtherModules {
        /// The package.
        package: String,
        /// Name of the source.
        name: String,
    },
    /// A folder that every build begins with, made here from the same locked packages, and not the same.
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
    /// Something that was in the store a moment ago.
    #[error("`{file}` is no longer in the store, or is damaged")]
    #[diagnostic(code(build::lost), help("run the same command again: it is made anew"))]
    Lost {
        /// What.
        file: String,
    },
    /// Metadata of RPMs that cannot be written as JSON.
    #[error("the metadata of the packages cannot be written")]
    #[diagnostic(code(build::metadata), help("this is a bug in basalt"))]
    Metadata {
        /// Why.
        source: serde_json::Error,
    },
    /// Jobs that need one another in a circle.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Jobs(#[from] basalt_schedule::GraphError),
    /// The jobserver failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Jobserver(#[from] basalt_schedule::JobserverError),
    /// A token of the jobserver could not be had.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Token(#[from] basalt_schedule::AcquireError),
    /// A bug of ours in a worker.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Panic(#[from] basalt_schedule::Panic),
    /// An RPM cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Rpm(#[from] basalt_repo::RepoError),
    /// Sources could not be had.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sources(#[from] basalt_sources::SourcesError),
    /// The SDK could not be had.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sdk(#[from] basalt_sdk::SdkError),
    /// The sandbox failed, or what a build left cannot be taken.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sandbox(#[from] basalt_sandbox::SandboxError),
    /// The store failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    /// A program failed, or Ctrl-C.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
}

impl BuildError {
    pub(crate) fn metadata(source: serde_json::Error) -> Self {
        Self::Metadata { source }
    }

    /// RPMs whose content could not be had, if that is what, or part of what, went wrong.
    pub(crate) fn lost_rpms(&self) -> Vec<&Rpm> {
        match self {
            Self::LostRpms { rpms } => rpms.iter().collect(),
            Self::Several { others } => others.iter().flat_map(Self::lost_rpms).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it is only that we were asked to stop.
    pub fn is_interrupt(&self) -> bool {
        match self {
            Self::Process(error) | Self::Store(StoreError::Interrupted(error)) => error.is_interrupt(),
            Self::Failed { ended: Some(error), .. } => error.is_interrupt(),
            _ => false,
        }
    }
}

/// What to do besides, when it was the disk that failed.
fn full_disk(lines: &[String]) -> String {
    let error = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let full = lines.iter().any(|line| line.contains("No space left on device"));
    let remedy = full.then(|| basalt_store::help_for(&error)).flatten();
    remedy.map(|remedy| format!("\n{remedy}")).unwrap_or_default()
}

fn files(rpms: &[Rpm]) -> String {
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
