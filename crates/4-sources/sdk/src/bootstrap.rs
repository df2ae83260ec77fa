//! A Debian system as an archive, from the newest packages of its suites: what Basalt is compared with.
//!
//! The tree of build tools is made from a lock, so that it is the same everywhere. A comparison is to be made with what
//! Debian is today; so here the packages are resolved each time, and whoever calls keeps the list.

use crate::sdk_lock::{SdkDefinition, SdkLock};
use basalt_process::{quote, tool};
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_store::Store;
use camino::Utf8Path;

use crate::apt::{Index, PrivateApt};
use crate::{SdkError, installation, resolve};

/// What is to become of a system before it is packed.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    /// An archive whose files are put into it, owners and all.
    pub add: &'a Utf8Path,
    /// Folders of it that are to be packed by themselves, too, and into which archives.
    pub extract: &'a [(&'a str, &'a Utf8Path)],
    /// Programs of it to run once everything is there.
    pub run: &'a [&'a str],
}

/// The packages that a definition comes to today.
///
/// # Errors
/// When the archive cannot be reached or cannot fulfil what is wanted.
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

/// Installs the packages of a lock into an empty system and packs it, with owners and modes, into `archive`. The
/// packages' own scripts run, as in any Debian installation.
///
/// # Errors
/// When a package cannot be fetched, and when installing fails.
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
