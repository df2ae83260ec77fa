//! The build root of one package: what its build sees, and the command that runs in it.

use basalt_model::arch::Arch;
use basalt_process::Command;
use basalt_sandbox::{Mount, Relaxation, Root, Sandbox};
use basalt_store::{Store, StoreError, Workspace};
use camino::{Utf8Path, Utf8PathBuf};

use crate::conditions::{Conditions, TOP};
use crate::spec::Folder;

/// The time that everything is built at: SOURCE_DATE_EPOCH, in seconds. 2025-10-09 08:53:20 UTC.
pub const BUILD_TIME: u64 = 1_760_000_000;

/// What every build stands on.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The trees under every build, the uppermost first: platform files, toolchain, SDK.
    pub layers: Vec<Utf8PathBuf>,
    /// What the packages are built for.
    pub arch: Arch,
    /// How many processes a build may run at once.
    pub jobs: usize,
}

/// A source file or folder that a build finds in its SOURCES folder.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name there.
    pub name: String,
    /// The file or folder of the store.
    pub path: Utf8PathBuf,
}

/// The unpacked RPMs that a spec asks for, with all that they require.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Programs for the build, laid over the SDK.
    pub tools: Vec<Utf8PathBuf>,
    /// What the package is compiled against.
    pub sysroot: Vec<Utf8PathBuf>,
}

/// A build root that is put together and not yet used.
#[derive(Debug)]
pub struct BuildRoot {
    workspace: Workspace,
    sandbox: Sandbox,
    package: String,
    arguments: Vec<String>,
}

impl Ground {
    /// A sandbox on these trees with the variables of every build.
    pub(crate) fn sandbox(&self, conditions: &Conditions, scratch: Option<Utf8PathBuf>) -> Sandbox {
        let triple = self.arch.triple();
        let mut sandbox = Sandbox::new(Root {
            layers: self.layers.clone(),
            scratch,
        })
        .hostname(&conditions.host_name)
        .user(conditions.user)
        .umask(conditions.umask)
        .env("PATH", format!("/opt/{triple}/bin:/usr/bin:/usr/sbin"))
        .env("HOME", conditions.home.as_str())
        .env("LC_ALL", &conditions.locale)
        .env("TZ", &conditions.time_zone)
        .env("SOURCE_DATE_EPOCH", BUILD_TIME.to_string())
        // Root's tar keeps upstream's permissions, anybody else's applies the umask: packages must not tell who built them.
        .env("TAR_OPTIONS", "--no-same-permissions")
        .current_dir(&conditions.directory);
        if let Some(number) = conditions.processor {
            sandbox = sandbox.processor(number);
        }
        for (name, value) in &conditions.variables {
            sandbox = sandbox.env(name, value);
        }
        sandbox
    }

    /// What rpm is told besides the macros of the distribution.
    pub(crate) fn rpm_arguments(&self, conditions: &Conditions) -> Vec<String> {
        let define = |text: String| ["--define".to_owned(), text];
        let jobs = conditions.jobs;
        let mut arguments = vec!["--target".to_owned(), self.arch.name().to_owned()];
        arguments.extend(define(format!("_topdir {}", conditions.directory)));
        arguments.extend(define(format!("_smp_build_ncpus {jobs}")));
        arguments.extend(define(format!("_smp_mflags -j{jobs}")));
        arguments
    }
}

impl BuildRoot {
    /// Puts the build root of a package together in a workspace of the store.
    ///
    /// # Errors
    /// When files cannot be copied.
    pub fn prepare(
        ground: &Ground,
        conditions: &Conditions,
        store: &Store,
        folder: &Folder,
        sources: &[Source],
        asked: &Asked,
    ) -> Result<Self, StoreError> {
        let workspace = store.workspace()?;
        let top = workspace.path().join("build");
        let scratch = workspace.path().join("scratch");
        for path in [&scratch, &top.join("SPECS"), &top.join("SOURCES")] {
            fs_err::create_dir_all(path).map_err(StoreError::io("cannot create", path))?;
        }
        for (name, path) in package_files(folder)? {
            let is_spec = path == folder.spec();
            let place = top.join(if is_spec { "SPECS" } else { "SOURCES" }).join(name);
            copy(&path, &place, conditions)?;
            if is_spec && conditions.directory != TOP {
                let text = fs_err::read_to_string(&path).map_err(StoreError::io("cannot read", &path))?;
                fs_err::write(&place, conditions.relocate(&text)).map_err(StoreError::io("cannot write", &place))?;
            }
        }
        let mut ground = ground.clone();
        ground.layers.splice(0..0, asked.tools.iter().cloned());
        let mut sandbox = ground
            .sandbox(conditions, Some(scratch))
            .mount(Mount::Bind {
                from: top,
                to: conditions.directory.clone(),
                writable: true,
            })
            .mount(Mount::Stack {
                layers: asked.sysroot.clone(),
                to: "/sysroot".into(),
            });
        for source in sources {
            let to = conditions.directory.join("SOURCES").join(&source.name);
            sandbox = sandbox.mount(Mount::Bind {
                from: source.path.clone(),
                to,
                writable: false,
            });
        }
        if conditions.in_memory {
            sandbox = sandbox.mount(Mount::Memory {
                to: conditions.directory.join("BUILD"),
            });
        }
        let mut arguments = vec!["-bb".to_owned(), "--nodeps".to_owned()];
        arguments.extend(ground.rpm_arguments(conditions));
        arguments.push(format!("{}/SPECS/{}.spec", conditions.directory, folder.name));
        Ok(Self {
            workspace,
            sandbox,
            package: folder.name.clone(),
            arguments,
        })
    }

    /// The command that builds the package.
    pub fn rpmbuild(&self) -> Command {
        self.sandbox.command("rpmbuild", &self.arguments)
    }

    /// A shell in the build root, for a person.
    pub fn shell(&self) -> Command {
        let mut words = vec!["rpmbuild".to_owned()];
        words.extend(self.arguments.iter().map(basalt_process::quote));
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
            .env("TERM", terminal)
            .command("bash", ["-c", &greeting])
    }

    /// The RPMs that were made, sorted by name.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn rpms(&self) -> Result<Vec<Utf8PathBuf>, StoreError> {
        let folder = self.workspace.path().join("build/RPMS");
        let mut rpms = Vec::new();
        for arch in list(&folder)? {
            rpms.extend(list(&arch)?.into_iter().filter(|path| path.extension() == Some("rpm")));
        }
        rpms.sort();
        Ok(rpms)
    }
}

/// The files of a package's folder with their names below it, sorted.
pub(crate) fn package_files(folder: &Folder) -> Result<Vec<(Utf8PathBuf, Utf8PathBuf)>, StoreError> {
    let mut files = Vec::new();
    let mut rest = vec![folder.path.clone()];
    while let Some(path) = rest.pop() {
        for entry in list(&path)? {
            if entry.is_dir() {
                rest.push(entry);
            } else if let Ok(name) = entry.strip_prefix(&folder.path) {
                files.push((name.to_owned(), entry.clone()));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn list(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, StoreError> {
    let failed = || StoreError::io("cannot list", folder);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    folder
        .read_dir_utf8()
        .map_err(failed())?
        .map(|entry| entry.map(|entry| entry.into_path()).map_err(failed()))
        .collect()
}

fn copy(from: &Utf8Path, to: &Utf8Path, conditions: &Conditions) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some(parent) = to.parent() {
        fs_err::create_dir_all(parent).map_err(StoreError::io("cannot create", parent))?;
    }
    let copy = || -> std::io::Result<()> {
        fs_err::copy(from, to)?;
        if conditions.umask != 0o022 {
            // As a checkout would have it that was made with this umask.
            let mode = fs_err::metadata(to)?.permissions().mode() & !conditions.umask;
            fs_err::set_permissions(to, std::fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    };
    copy().map_err(StoreError::io("cannot copy to", to))
}
