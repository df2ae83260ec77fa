//! Debian systems as archives, from the newest packages of their suites, for comparisons with Basalt.
//!
//! The SDK is made from a lock, so that it is the same everywhere. A comparison needs the current state of Debian, so
//! the packages are resolved each time, and the caller keeps the list.

use crate::sdk_lock::{SdkDefinition, SdkLock};
use basalt_process::{quote, tool};
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_store::Store;
use camino::Utf8Path;

use crate::apt::{Index, PrivateApt};
use crate::{SdkError, installation, resolve};

/// Changes to an installed system before it is packed.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    /// Tar archive that is unpacked into the system, with owners and modes.
    pub add: &'a Utf8Path,
    /// Folders of the system that are packed into archives of their own as well: folder, and path of the archive.
    pub extract: &'a [(&'a str, &'a Utf8Path)],
    /// Commands that are run in the system (chroot) after `add` was unpacked.
    pub run: &'a [&'a str],
}

/// Resolves the packages of a definition to the newest versions in the archive.
///
/// # Errors
/// When the archive cannot be reached, or its packages do not satisfy the definition.
pub fn resolve_today(definition: &SdkDefinition, store: &Store, reporter: &dyn Reporter) -> Result<SdkLock, SdkError> {
    let task = reporter.task("resolving Debian's packages", Unit::Items, None);
    let mut apt = PrivateApt::new(store, Index::Packages, &definition.suites)?;
    apt.update()?;
    let answer = apt
        .command(tool::APT_GET)
        .args(["install", "--yes", "--no-install-recommends", "--print-uris", "--"])
        .args(definition.wanted())
        .output()?;
    let lock = SdkLock {
        suite: definition.suites.first().cloned().unwrap_or_default(),
        packages: resolve::parse_uris(&answer.text(), &apt.mirror),
    };
    task.finish(Outcome::Done);
    Ok(lock)
}

/// Installs the packages of a lock into an empty system and packs it into the tar file `archive`, with owners and
/// modes. Maintainer scripts are run, as in any installation of Debian.
///
/// # Errors
/// When a package cannot be fetched, and when the installation fails.
pub fn bootstrap(
    lock: &SdkLock,
    changes: Changes<'_>,
    archive: &Utf8Path,
    store: &Store,
    reporter: &dyn Reporter,
) -> Result<(), SdkError> {
    installation::fetch(lock, "Debian's index", store, reporter)?;
    let workspace = store.workspace()?;
    let repository = workspace.path().join("repository");
    let task = reporter.task("installing Debian", Unit::Items, None);
    installation::index(lock, &repository, store)?;
    let mut options = vec![
        "--skip=check/empty,check/chrooted-repo".to_owned(),
        format!("--customize-hook=tar-in {} /", quote(changes.add.as_str())),
    ];
    options.extend(
        changes
            .run
            .iter()
            .map(|program| format!("--customize-hook=chroot \"$1\" {program}")),
    );
    options.extend(
        changes
            .extract
            .iter()
            .map(|(folder, target)| format!("--customize-hook=tar-out {folder} {}", quote(target.as_str()))),
    );
    installation::mmdebstrap(lock, &repository, archive, options).output()?;
    task.finish(Outcome::Done);
    Ok(())
}
