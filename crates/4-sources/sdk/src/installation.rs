//! What every installation of locked packages begins with: they are fetched, made into a repository that holds them and
//! no others, and handed to mmdebstrap.

use std::fmt::Write as _;

use crate::sdk_lock::SdkLock;
use basalt_process::{Command, interrupt, tool};
use basalt_progress::Reporter;
use basalt_store::{Store, StoreError, write};
use camino::{Utf8Path, Utf8PathBuf};

use crate::SdkError;
use crate::archive::{self, ArchiveFile};

/// Fetches the packages of a lock; `name` is what says which they must be.
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

/// Makes a repository of the locked packages and no others, with a folder beside it for what mmdebstrap and dpkg write
/// meanwhile: their usual place, /tmp, may be small, or may not run programs.
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
        std::os::unix::fs::symlink(&object, &place).map_err(StoreError::io("cannot link", &place))?;
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

/// The command that installs all packages of a lock from such a repository and packs the system into `archive`; with
/// these `options` as well.
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
        // apt's own user can read the store no more than anybody else.
        .arg("--aptopt=APT::Sandbox::User \"root\"")
        .args(options)
        .arg("--")
        .arg(&lock.suite)
        .arg(archive)
        .arg(format!("deb [trusted=yes] copy:{} ./", uri_path(&view.repository())))
}

/// Folder beside a repository.
fn scratch(repository: &Utf8Path) -> Utf8PathBuf {
    repository.with_file_name("scratch")
}

/// A path for apt's list of sources, whose words are separated by spaces.
fn uri_path(path: &Utf8Path) -> String {
    path.as_str().replace('%', "%25").replace(' ', "%20")
}

/// How mmdebstrap sees the repository.
///
/// Left alone, it makes a user namespace whose root is one of the caller's sub-ids, who may not enter a home folder of mode
/// 0700, where the store is. So it runs as root of a namespace whose root is the caller, and the sub-ids are all other users.
/// There the workspace is mounted at a place without spaces, which apt and dpkg could not cope with.
#[derive(Debug, PartialEq, Eq)]
enum View {
    /// As it is, by mmdebstrap's own means.
    Plain { repository: Utf8PathBuf },
    /// In a namespace of ours, at `at`.
    Mounted {
        options: &'static [&'static str],
        workspace: Utf8PathBuf,
        name: String,
        at: &'static str,
    },
}

/// Options of unshare(1) for mmdebstrap's namespace, as an ordinary user: sub-ids besides the own id, and what mounting
/// /proc takes.
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
/// Options of unshare(1) for mmdebstrap's namespace, as root: mounts of its own, so that nothing of them is left when it
/// is killed.
pub const NAMESPACE_OF_ROOT: &[&str] = &["--mount"];
/// Folders that every system has and that nothing of what runs there looks into.
const PLACES: [&str; 4] = ["/mnt", "/media", "/srv", "/opt"];

impl View {
    /// What this machine can do.
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

    /// mmdebstrap without its arguments.
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
