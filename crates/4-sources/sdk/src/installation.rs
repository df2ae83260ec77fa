//! Installation of locked packages: they are fetched, put into a repository that holds no others, and installed by
//! mmdebstrap.

use std::fmt::Write as _;

use crate::sdk_lock::SdkLock;
use basalt_process::{Command, interrupt, tool};
use basalt_progress::Reporter;
use basalt_store::{Store, StoreError, write};
use camino::{Utf8Path, Utf8PathBuf};

use crate::SdkError;
use crate::archive::{self, ArchiveFile};

/// Fetches the packages of a lock; `name` is the name of the file or index that lists them, for errors.
pub(crate) fn fetch(lock: &SdkLock, name: &str, store: &Store, reporter: &dyn Reporter) -> Result<(), SdkError> {
    let files: Vec<_> = lock
        .packages
        .iter()
        .map(|package| ArchiveFile {
            path: package.path.clone(),
            sha256: package.sha256,
            size: package.size,
        })
        .collect();
    archive::fetch(&files, name, store, reporter)
}

/// Creates a repository of exactly the locked packages, and beside it a folder for temporary files of mmdebstrap and
/// dpkg: /tmp may be too small, or mounted with `noexec`.
pub(crate) fn index(lock: &SdkLock, repository: &Utf8Path, store: &Store) -> Result<(), SdkError> {
    let scratch = scratch(repository);
    for folder in [repository, &scratch] {
        fs_err::create_dir_all(folder).map_err(StoreError::io("cannot create", folder))?;
    }
    let mut packages = String::new();
    for package in &lock.packages {
        interrupt::check()?;
        let object = store.object_path(&package.sha256);
        let name = format!("{}.deb", package.name);
        let place = repository.join(&name);
        fs_err::os::unix::fs::symlink(&object, &place).map_err(StoreError::io("cannot link", &place))?;
        let control = Command::new("dpkg-deb")
            .args(["--field", "--", object.as_str()])
            .env("TMPDIR", scratch.as_str())
            .output()?;
        // Writing to a string cannot fail.
        let _ = write!(
            packages,
            "{}\nFilename: ./{name}\nSize: {}\nSHA256: {}\n\n",
            control.text(),
            package.size,
            package.sha256
        );
    }
    Ok(write::atomically(&repository.join("Packages"), packages)?)
}

/// Returns the command that installs all packages of a lock from such a repository and packs the system into the tar
/// file `archive`. `options` are appended to the options of mmdebstrap.
pub(crate) fn mmdebstrap(
    lock: &SdkLock,
    repository: &Utf8Path,
    archive: &Utf8Path,
    options: impl IntoIterator<Item = String>,
) -> Command {
    let names: Vec<_> = lock.packages.iter().map(|package| package.name.as_str()).collect();
    let view = View::choose(repository, archive);
    view.command()
        .args(["--variant=custom", "--format=tar"])
        .arg(format!("--include={}", names.join(",")))
        .arg("--aptopt=APT::Install-Recommends \"false\"")
        .arg("--aptopt=Acquire::Languages \"none\"")
        // apt's user `_apt` may not read the store.
        .arg("--aptopt=APT::Sandbox::User \"root\"")
        .args(options)
        .arg("--")
        .arg(&lock.suite)
        .arg(archive)
        .arg(format!("deb [trusted=yes] copy:{} ./", uri_path(&view.repository())))
}

/// Returns the folder for temporary files beside a repository.
fn scratch(repository: &Utf8Path) -> Utf8PathBuf {
    repository.with_file_name("scratch")
}

/// Encodes a path for a line of sources.list, whose fields are separated by spaces.
fn uri_path(path: &Utf8Path) -> String {
    path.as_str().replace('%', "%25").replace(' ', "%20")
}

/// Access of mmdebstrap to the repository.
///
/// By default, mmdebstrap creates a user namespace whose root is one of the caller's subordinate IDs. That ID may not
/// enter a home folder of mode 0700, where the store is. So mmdebstrap is run as root of a namespace that maps root to
/// the caller and all other users to subordinate IDs. The workspace is mounted there at a path without spaces: apt and
/// dpkg cannot handle spaces.
#[derive(Debug, PartialEq, Eq)]
enum View {
    /// At its own path; mmdebstrap creates its namespace itself.
    Plain { repository: Utf8PathBuf },
    /// At the mount point `at`, in a namespace that unshare(1) creates.
    Mounted {
        options: &'static [&'static str],
        workspace: Utf8PathBuf,
        name: String,
        at: &'static str,
    },
}

/// Options of unshare(1) for mmdebstrap's namespace, as an ordinary user: subordinate IDs besides the caller's, and
/// mount and PID namespaces, which mounting /proc needs.
pub const NAMESPACE_OF_USER: &[&str] = &[
    "--user",
    "--map-root-user",
    "--map-auto",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
];
/// Options of unshare(1) for mmdebstrap's namespace, as root: a mount namespace, so that no mounts are left when
/// mmdebstrap is killed.
pub const NAMESPACE_OF_ROOT: &[&str] = &["--mount"];
/// Mount points for the workspace: folders that every system has and that no program of an installation uses.
const PLACES: [&str; 4] = ["/mnt", "/media", "/srv", "/opt"];

impl View {
    /// Chooses the kind of access that this machine supports, by creating a namespace on trial.
    fn choose(repository: &Utf8Path, archive: &Utf8Path) -> Self {
        let options = if rustix::process::geteuid().is_root() {
            NAMESPACE_OF_ROOT
        } else {
            NAMESPACE_OF_USER
        };
        let probe = Command::new("unshare").args(options).args(["--", "true"]).output();
        if let Err(error) = &probe {
            // util-linux before 2.38 does not know --map-auto; a container may forbid mounts.
            tracing::debug!(%error, "mmdebstrap makes its own namespace");
        }
        Self::of(probe.is_ok().then_some(options), repository, archive)
    }

    fn of(options: Option<&'static [&'static str]>, repository: &Utf8Path, archive: &Utf8Path) -> Self {
        let free = |at: &&str| Utf8Path::new(at).is_dir() && !repository.starts_with(at) && !archive.starts_with(at);
        let plain = || Self::Plain {
            repository: repository.to_owned(),
        };
        let (Some(options), Some(at)) = (options, PLACES.into_iter().find(free)) else {
            return plain();
        };
        let (Some(workspace), Some(name)) = (repository.parent(), repository.file_name()) else {
            return plain();
        };
        Self::Mounted {
            options,
            workspace: workspace.to_owned(),
            name: name.to_owned(),
            at,
        }
    }

    fn repository(&self) -> Utf8PathBuf {
        match self {
            Self::Plain { repository } => repository.clone(),
            Self::Mounted { at, name, .. } => Utf8Path::new(at).join(name),
        }
    }

    /// Returns the command of mmdebstrap without its arguments.
    fn command(&self) -> Command {
        match self {
            Self::Plain { .. } => Command::tool(tool::MMDEBSTRAP),
            Self::Mounted {
                options, workspace, at, ..
            } => {
                let script = "mount --rbind \"$1\" \"$2\" && export TMPDIR=\"$3\" && shift 3 && exec \"$@\"";
                Command::new("unshare")
                    .args(*options)
                    .args(["--", "sh", "-c", script, "sh"])
                    .arg(workspace)
                    .arg(at)
                    .arg(scratch(&self.repository()))
                    .arg(tool::MMDEBSTRAP.program)
                    .arg("--mode=root")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_that_is_mounted_on_hides_nothing() {
        let of = |repository: &str, archive: &str| View::of(Some(NAMESPACE_OF_USER), repository.into(), archive.into());
        let home = of("/home/me/a store/tmp/1/repository", "/home/me/a store/tmp/1/sdk.tar");
        assert_eq!(home.repository(), "/mnt/repository");
        let words = home.command().pasteable();
        for part in [
            "--map-auto",
            "'/home/me/a store/tmp/1' /mnt /mnt/scratch mmdebstrap --mode=root",
        ] {
            assert!(words.contains(part), "{words}");
        }
        let disk = of("/mnt/disk/tmp/1/repository", "/mnt/disk/tmp/1/sdk.tar");
        assert!(!disk.repository().starts_with("/mnt"), "{disk:?}");
        let elsewhere = of("/home/me/tmp/1/repository", "/mnt/disk/sdk.tar");
        assert!(!elsewhere.repository().starts_with("/mnt"), "{elsewhere:?}");
        let old = View::of(None, "/a b/repository".into(), "/a b/x.tar".into());
        assert_eq!(uri_path(&old.repository()), "/a%20b/repository");
    }
}
