//! What every installation of locked packages begins with: they are fetched, made into a repository that holds them and
//! no others, and handed to mmdebstrap.

use std::fmt::Write as _;

use basalt_model::sdk_lock::SdkLock;
use basalt_process::{Command, interrupt, tool};
use basalt_progress::Reporter;
use basalt_store::{Store, StoreError, write};
use camino::Utf8Path;

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

/// Makes a repository of the locked packages and no others.
pub(crate) fn index(lock: &SdkLock, repository: &Utf8Path, store: &Store) -> Result<(), SdkError> {
    fs_err::create_dir_all(repository).map_err(StoreError::io("cannot create", repository))?;
    let mut packages = String::new();
    for package in &lock.packages {
        interrupt::check()?;
        let object = store.object_path(&package.sha256);
        let name = format!("{}.deb", package.name);
        let place = repository.join(&name);
        std::os::unix::fs::symlink(&object, &place).map_err(StoreError::io("cannot link", &place))?;
        let control = Command::new("dpkg-deb").args(["--field", object.as_str()]).output()?;
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
    Command::tool(tool::MMDEBSTRAP)
        .args(["--variant=custom", "--format=tar"])
        .arg(format!("--include={}", names.join(",")))
        .arg("--aptopt=APT::Install-Recommends \"false\"")
        .arg("--aptopt=Acquire::Languages \"none\"")
        .args(options)
        .arg(&lock.suite)
        .arg(archive)
        .arg(format!("deb [trusted=yes] copy:{repository} ./"))
}
