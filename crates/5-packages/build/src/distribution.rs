//! Packages of a checkout: their folders, specs, sources and estimates.

use std::sync::Arc;
use std::time::Duration;

use basalt_action::ActionResult;
use basalt_content::{ContentFile, ContentFolder, DistributionContent};
use basalt_document::spelling::suggestion;
use basalt_process::ProcessError;
use basalt_progress::Reporter;
use basalt_sandbox::{Mount, SandboxLimits, SandboxReport};
use basalt_schedule::IndexVec;
use basalt_sources::SourceSet;
use basalt_store::{FileError, FolderSnapshot, Store};
use camino::{Utf8Path, Utf8PathBuf};

use crate::build_base::BuildBase;
use crate::environment::BuildEnvironment;
use crate::failure::{self, Cause, StageLines};
use crate::graph::{Graph, PackageId};
use crate::package::DistributionPackage;
use crate::package_names::LIST_OF_PACKAGES;
use crate::resources::ResourceEstimates;
use crate::spec::{BINARY_FORMAT, PackageFolder, SOURCE_FORMAT, SPECS, SourcePackage};
use crate::{BuildError, fingerprint};

/// Limits of a query: rpmspec runs the programs that a spec names in macros (`%(...)`). They are not part of the
/// action, since a query that is ended has no result.
const LIMITS: SandboxLimits = SandboxLimits {
    wall_time: Some(Duration::from_secs(300)),
    memory: Some(1 << 30),
    processes: Some(256),
    disk: None,
};

/// Packages of a checkout, with their dependency graph.
#[derive(Debug)]
pub struct Distribution {
    packages: IndexVec<PackageId, Arc<DistributionPackage>>,
    /// Dependencies between the packages.
    pub graph: Graph,
}

impl Distribution {
    /// Reads all packages of the content. Every file is read once: later edits do not change what is built from it.
    /// Output of rpmspec is kept in the store under the key of the query; `reporter` shows progress when the build base
    /// has to be made for a query.
    ///
    /// # Errors
    /// When a folder or a spec cannot be read, or when the specs contradict each other.
    pub fn read(
        content: &DistributionContent,
        base: &BuildBase,
        store: &Store,
        reporter: &dyn Reporter,
    ) -> Result<Self, BuildError> {
        let folders = folders(content)?;
        let estimates = estimates(content)?;
        let read = basalt_schedule::each(&folders, |folder| {
            let folder = folder.clone();
            let files = FolderSnapshot::take(&folder.path)?;
            let spec = read_spec(Query {
                folder: &folder,
                files: &files,
                base,
                store,
                reporter,
            })?;
            Ok::<_, BuildError>(DistributionPackage {
                sources: SourceSet::of_snapshot(&folder.path, &files)?,
                estimate: estimates.of(&folder.name, store),
                limits: estimates.limits(&folder.name),
                folder,
                files,
                spec,
            })
        })
        .map_err(basalt_schedule::EachError::into_first)?;
        Self::new(read)
    }

    /// Builds the distribution, with its graph, from packages.
    ///
    /// # Errors
    /// When the specs contradict each other.
    pub fn new(packages: Vec<DistributionPackage>) -> Result<Self, BuildError> {
        let specs = packages.iter().map(|package| package.spec.clone());
        Ok(Self {
            graph: Graph::new(specs.collect())?,
            packages: packages.into_iter().map(Arc::new).collect(),
        })
    }

    /// Returns a package by its id.
    pub fn package(&self, id: PackageId) -> &DistributionPackage {
        &self.packages[id]
    }

    /// Iterates over all packages with their ids, by name.
    pub fn packages(&self) -> impl Iterator<Item = (PackageId, &DistributionPackage)> {
        self.graph.ids().map(|id| (id, self.package(id)))
    }

    /// Returns the id of a package, by the name of the source package or of a package that it makes.
    ///
    /// # Errors
    /// When there is no such package.
    pub fn find(&self, name: &str) -> Result<PackageId, BuildError> {
        let known = self.graph.id(name).or_else(|| self.graph.maker(name));
        known.ok_or_else(|| BuildError::NoSuchPackage {
            name: name.to_owned(),
            help: suggestion(name, self.graph.names(), || LIST_OF_PACKAGES.to_owned()),
        })
    }
}

/// Reads the estimates and limits of the packages.
pub(crate) fn estimates(content: &DistributionContent) -> Result<ResourceEstimates, BuildError> {
    let path = &content.file(ContentFile::Resources).path;
    match fs_err::read_to_string(path) {
        Ok(text) => ResourceEstimates::parse(&text).map_err(|source| BuildError::Resources {
            path: path.to_owned(),
            source: Box::new(source),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(ResourceEstimates::default()),
        Err(error) => Err(FileError::new("cannot read", path)(error).into()),
    }
}

/// Lists the folders that hold a package, sorted by name.
pub(crate) fn folders(content: &DistributionContent) -> Result<Vec<PackageFolder>, BuildError> {
    let mut folders = Vec::new();
    for entry in content.entries(ContentFolder::Packages)? {
        if !entry.path.is_dir() {
            continue;
        }
        let folder = PackageFolder {
            name: entry.file_name().to_owned(),
            path: entry.path,
            place: entry.name,
        };
        check_name(&folder)?;
        if !folder.spec().is_file() {
            return Err(BuildError::BadSpec {
                path: folder.spec(),
                what: "is not there".to_owned(),
                help: "every folder of packages holds a spec file of its own name".to_owned(),
            });
        }
        folders.push(folder);
    }
    Ok(folders)
}

/// Package names become words of commands and parts of paths: one that begins with `-` would be an option.
fn check_name(folder: &PackageFolder) -> Result<(), BuildError> {
    let ordinary = |letter: char| letter.is_ascii_alphanumeric() || "+-._".contains(letter);
    let begins_well = folder.name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if begins_well && folder.name.chars().all(ordinary) {
        return Ok(());
    }
    Err(BuildError::BadSpec {
        path: folder.path.clone(),
        what: format!("`{}` cannot be the name of a package", folder.name.escape_debug()),
        help: "names of packages are letters, digits, `+`, `-`, `.` and `_`, and begin with a letter or a digit"
            .to_owned(),
    })
}

fn read_spec(query: Query<'_>) -> Result<SourcePackage, BuildError> {
    let folder = query.folder;
    let bad = |what: String, help: &str| BuildError::BadSpec {
        path: folder.spec(),
        what,
        help: help.to_owned(),
    };
    let (source, binaries) = (
        query.ask("--srpm", SOURCE_FORMAT)?,
        query.ask("--builtrpms", BINARY_FORMAT)?,
    );
    let package = SourcePackage::parse(&source, &binaries)
        .map_err(|what| bad(what, "this is a bug in basalt, or a new format of rpm"))?;
    if package.name != folder.name {
        let what = format!("its Name is `{}`", package.name);
        return Err(bad(
            what,
            "a package's Name, its spec file and its folder have the same name",
        ));
    }
    Ok(package)
}

/// Query of rpmspec about one spec.
struct Query<'a> {
    folder: &'a PackageFolder,
    files: &'a FolderSnapshot,
    base: &'a BuildBase,
    store: &'a Store,
    reporter: &'a dyn Reporter,
}

impl Query<'_> {
    fn ask(&self, mode: &str, format: &str) -> Result<String, BuildError> {
        let name = &self.folder.name;
        let action = fingerprint::query_action(self.base, name, self.files, mode, format)?.encode();
        if let Some(known) = self.store.action_result(&action.key) {
            return Ok(String::from_utf8_lossy(&known.stdout).into_owned());
        }
        self.base.materialize(self.store, self.reporter)?;
        let environment = BuildEnvironment::ordinary(self.base.jobs);
        let arguments = fingerprint::rpmspec(&environment, self.base.arch, &format!("{name}.spec"), mode, format);
        let workspace = self.store.workspace()?;
        let copy = workspace.path().join("folder");
        fs_err::create_dir(&copy).map_err(FileError::new("cannot create", &copy))?;
        self.files.write_to(&copy, environment.umask)?;
        let bind = |from: &Utf8Path, to: &str| Mount::Bind {
            from: from.to_owned(),
            to: Utf8PathBuf::from(to),
            writable: false,
        };
        let report = workspace.path().join("report.json");
        let sandbox = self
            .base
            .sandbox(&[], &environment, None)
            .limits(LIMITS)
            .report(&report);
        let sandbox = sandbox.mount(bind(&copy, SPECS)).mount(bind(&copy, "/build/SOURCES"));
        let mut words = arguments.iter();
        let program = words.next().map_or("rpmspec", String::as_str);
        let output = sandbox.command(program, words).output();
        let output = output.map_err(|error| self.failure(error, &report))?;
        let result = ActionResult {
            stdout: output.text().into_bytes(),
            ..ActionResult::default()
        };
        self.store.put_action_result(&action, &result)?;
        Ok(output.text())
    }

    /// Error of a query that failed.
    fn failure(&self, error: ProcessError, report: &Utf8Path) -> BuildError {
        let path = self.folder.spec();
        match failure::cause(error, SandboxReport::read(report), &StageLines::default()) {
            Cause::Program(source) => BuildError::Spec {
                path,
                source: Box::new(source),
            },
            Cause::Limit(reached) => BuildError::SpecLimit { path, reached },
            Cause::Other(error) => error,
        }
    }
}
