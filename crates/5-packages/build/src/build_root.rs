//! Build root of one package on the disk, and the command that runs in it.

use std::time::Duration;

use basalt_process::Command;
use basalt_progress::Reporter;
use basalt_release::Arch;
use basalt_sandbox::{Mount, Relaxation, Sandbox, SandboxError, SandboxLimits, SandboxReport};
use basalt_sources::{InputContent, Tools};
use basalt_store::{FileError, Store, StoreError, Workspace, write_file};
use camino::{Utf8Path, Utf8PathBuf};

use crate::build_base::BuildBase;
use crate::built::BuiltRpm;
use crate::environment::BuildEnvironment;
use crate::package::DistributionPackage;
use crate::plan::ResolvedBuild;
use crate::{BuildError, fingerprint, payload};

/// Name of the sandbox's report in the workspace.
const REPORT: &str = "report.json";

/// Inputs of a build that are in the store, by their paths.
#[derive(Debug, Clone, Default)]
pub struct InputPaths {
    /// Unpacked build tools, laid over the SDK, the uppermost first.
    pub tools: Vec<Utf8PathBuf>,
    /// Unpacked RPMs that the package is compiled against, the uppermost first.
    pub sysroot: Vec<Utf8PathBuf>,
    /// Files and folders that are mounted into SOURCES, by their names there.
    pub sources: Vec<(String, Utf8PathBuf)>,
}

/// Build root that is prepared and not yet used.
#[derive(Debug)]
pub struct BuildRoot {
    workspace: Workspace,
    sandbox: Sandbox,
    package: String,
    arch: Arch,
    arguments: Vec<String>,
}

impl InputPaths {
    /// Brings all inputs of a build into the store: unpacks payloads, fetches sources.
    ///
    /// # Errors
    /// When an input cannot be unpacked or fetched; [`BuildError::LostRpms`] names all RPMs without content.
    pub(crate) fn materialize(
        build: &ResolvedBuild,
        package: &DistributionPackage,
        store: &Store,
        tools: &Tools,
        reporter: &dyn Reporter,
    ) -> Result<Self, BuildError> {
        let mut tools_and_sysroot = Self::unpack(build, package, store)?;
        let sysroot = tools_and_sysroot.split_off(build.tools.len().min(tools_and_sysroot.len()));
        let mut inputs = Self {
            tools: tools_and_sysroot,
            sysroot,
            sources: Vec::new(),
        };
        for input in package.sources.inputs(tools)? {
            let path = match input.content {
                InputContent::File { blob } => {
                    let path = match store.intact_object(&blob.digest)? {
                        Some(path) => path,
                        None => package.sources.fetch_file(&input.name, store, reporter)?,
                    };
                    Some(path)
                }
                InputContent::Modules(modules) => {
                    let directory = modules.fetch(store, tools, reporter)?;
                    if !build.is_made_with(&input.name, &directory.root) {
                        return Err(BuildError::OtherModules {
                            package: package.name().to_owned(),
                            name: input.name,
                        });
                    }
                    Some(store.directory_path(&directory.root.digest))
                }
                InputContent::Repository(_) => None,
            };
            inputs.sources.extend(path.map(|path| (input.name, path)));
        }
        Ok(inputs)
    }

    /// Unpacks the RPMs of a build as far as need be, and returns the paths of their directories, tools before sysroot.
    /// The directories have to be those that the build's key was made with.
    fn unpack(
        build: &ResolvedBuild,
        package: &DistributionPackage,
        store: &Store,
    ) -> Result<Vec<Utf8PathBuf>, BuildError> {
        let rpms: Vec<&BuiltRpm> = build.rpms().collect();
        let roots = payload::unpack_all(&rpms, store)?;
        let mut paths = Vec::new();
        for (rpm, root) in rpms.into_iter().zip(roots) {
            if !build.is_made_with_payload(&rpm.digest, &root) {
                return Err(BuildError::OtherPayload {
                    package: package.name().to_owned(),
                    file: rpm.file.clone(),
                });
            }
            paths.push(store.directory_path(&root.digest));
        }
        Ok(paths)
    }
}

impl BuildRoot {
    /// Prepares the build root of a package in a workspace of the store. `upper` are folders that are laid over all
    /// other layers, for builds in a varied environment.
    ///
    /// # Errors
    /// When files cannot be written.
    pub(crate) fn prepare(
        build: &ResolvedBuild,
        package: &DistributionPackage,
        inputs: &InputPaths,
        base: &BuildBase,
        environment: &BuildEnvironment,
        upper: &[Utf8PathBuf],
        store: &Store,
    ) -> Result<Self, BuildError> {
        let workspace = store.workspace()?;
        let top = workspace.path().join("build");
        write_sources(build, package, &top, environment.umask)?;
        let scratch = workspace.path().join("scratch");
        fs_err::create_dir_all(&scratch).map_err(FileError::new("cannot create", &scratch))?;
        // What a build writes outside of its own folder, such as /tmp, is in memory where the store cannot take it.
        let scratch = store.takes_overlays().then_some(scratch);
        let layers: Vec<_> = upper.iter().chain(&inputs.tools).cloned().collect();
        let sandbox = base
            .sandbox(&layers, environment, scratch)
            .limits(sandbox_limits(&package.limits))
            .report(workspace.path().join(REPORT));
        let mounts = mounts(top, inputs, environment);
        Ok(Self {
            workspace,
            sandbox: mounts.into_iter().fold(sandbox, Sandbox::mount),
            package: package.name().to_owned(),
            arch: base.arch,
            arguments: fingerprint::rpmbuild(environment, base.arch, &package.spec_file()),
        })
    }

    /// Binds the FIFO of a jobserver into the sandbox, for writing, and sets its variables.
    pub(crate) fn with_jobserver(mut self, fifo: &Utf8Path, at: &str, variables: Vec<(String, String)>) -> Self {
        self.sandbox = self.sandbox.mount(Mount::Bind {
            from: fifo.to_owned(),
            to: at.into(),
            writable: true,
        });
        for (name, value) in variables {
            self.sandbox = self.sandbox.env(name, value);
        }
        self
    }

    /// Returns the command that builds the package. Its output is written to `log`, which counts against its limit of
    /// disk space.
    pub(crate) fn rpmbuild(&self, log: &Utf8Path) -> Command {
        let mut words = self.arguments.iter();
        let program = words.next().map_or("rpmbuild", String::as_str);
        self.sandbox.clone().count(log).command(program, words)
    }

    /// Returns the command of an interactive shell in the build root.
    pub fn shell(&self) -> Command {
        let words: Vec<_> = self.arguments.iter().map(basalt_process::quote).collect();
        let greeting = format!(
            "echo 'The sandbox of {name}: sources in SOURCES, what it is compiled against in /sysroot. To build:'; \
             echo; echo {command}; echo; echo 'With -bp, -bc or -bi in place of -bb it stops after %prep, %build or %install.'; \
             PS1='[{name}] \\w# ' exec bash --norc -i",
            name = self.package,
            command = basalt_process::quote(words.join(" ")),
        );
        let terminal = std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
        self.sandbox
            .clone()
            .relax(Relaxation::Terminal)
            .limits(SandboxLimits::default())
            .env("TERM", terminal)
            .command("bash", ["-c", &greeting])
    }

    /// Reads the sandbox's report once the build has ended: resources that it used, and a limit that it reached; none
    /// when there is no report.
    ///
    /// # Errors
    /// When the report cannot be read.
    pub(crate) fn report(&self) -> Result<Option<SandboxReport>, SandboxError> {
        SandboxReport::read(&self.workspace.path().join(REPORT))
    }

    /// Returns the architecture that the package is built for.
    pub(crate) fn arch(&self) -> Arch {
        self.arch
    }

    /// Lists the RPMs that were made, sorted by name: regular files only, since a build may leave anything.
    ///
    /// # Errors
    /// When the folder cannot be read, or the build has put something else in its place.
    pub fn rpms(&self) -> Result<Vec<Utf8PathBuf>, BuildError> {
        let folder = self.workspace.path().join("build/RPMS");
        match fs_err::symlink_metadata(&folder) {
            Ok(found) if found.is_dir() => {}
            Ok(found) => {
                let what = match found.is_symlink() {
                    true => "a symbolic link",
                    false => "no folder",
                };
                let path = "RPMS".to_owned();
                return Err(SandboxError::Output { path, what }.into());
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(FileError::new("cannot read", &folder)(error).into()),
        }
        let found = basalt_sandbox::outputs::list(&folder)?.into_iter();
        let rpms = found.filter(|path| path.extension() == Some("rpm"));
        Ok(rpms.map(|path| folder.join(path)).collect())
    }
}

/// Converts the limits of a package to those of the sandbox.
fn sandbox_limits(limits: &basalt_action::ActionLimits) -> SandboxLimits {
    SandboxLimits {
        wall_time: limits.seconds.map(Duration::from_secs),
        memory: limits.memory,
        processes: limits.processes,
        disk: limits.disk,
    }
}

/// Returns the mounts of a build root, in their order: the build's own folder, with what is mounted into it, and the
/// sysroot.
fn mounts(top: Utf8PathBuf, inputs: &InputPaths, environment: &BuildEnvironment) -> Vec<Mount> {
    let mut mounts = vec![
        Mount::Bind {
            from: top,
            to: environment.directory.clone(),
            writable: true,
        },
        Mount::Stack {
            layers: inputs.sysroot.clone(),
            to: "/sysroot".into(),
        },
    ];
    mounts.extend(inputs.sources.iter().map(|(name, path)| Mount::Bind {
        from: path.clone(),
        to: environment.directory.join("SOURCES").join(name),
        writable: false,
    }));
    if environment.in_memory {
        mounts.push(Mount::Memory {
            to: environment.directory.join("BUILD"),
        });
    }
    mounts
}

/// Writes the sources that come from the checkout: the package's folder, and trees of the repository.
fn write_sources(
    build: &ResolvedBuild,
    package: &DistributionPackage,
    top: &Utf8Path,
    umask: u32,
) -> Result<(), StoreError> {
    for path in [top.join("SPECS"), top.join("SOURCES")] {
        fs_err::create_dir_all(&path).map_err(FileError::new("cannot create", &path))?;
    }
    write_folder(package, top, umask)?;
    for (name, snapshot) in &build.repository {
        snapshot.write_to(&top.join("SOURCES").join(name), umask)?;
    }
    Ok(())
}

/// Writes the package's folder: the spec into SPECS, all other files into SOURCES.
fn write_folder(package: &DistributionPackage, top: &Utf8Path, umask: u32) -> Result<(), StoreError> {
    let spec = package.spec_file();
    let mut others = package.files.clone();
    if let Some(file) = others.remove(&spec) {
        write_file(&top.join("SPECS").join(&spec), &file, umask)?;
    }
    others.write_to(&top.join("SOURCES"), umask)
}
