//! Trees of tools: the SDK's, and those that tests compare with. Made from exactly the locked packages, offline.
//!
//! A tree is known by the digest of what is in it, not only of what it was made from. So nothing of the machine that makes it
//! may be in it: [`clean`] takes away what the installation leaves of host, time and place.

use std::io::Read;
use std::path::PathBuf;

use crate::sdk_lock::SdkLock;
use basalt_action::{Action, Blob, Directory, Node, OutputDirectory};
use basalt_process::{ProcessError, interrupt};
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_release::BUILD_TIME;
use basalt_sandbox::{Root, Sandbox};
use basalt_store::{Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};

use crate::{SdkError, clean, installation};

/// Files of packages that nobody reads in a tree of tools.
const LEFT_OUT: &[&str] = &[
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
];
/// Source text of what makes a tree.
const CODE: [&str; 3] = [
    include_str!("tree.rs"),
    include_str!("clean.rs"),
    include_str!("installation.rs"),
];

/// A tree of tools: those that build, or others that have a lock of their own.
#[derive(Debug, Clone)]
pub struct SdkTree {
    /// Its folder in the store.
    pub path: Utf8PathBuf,
    /// The digest of its content: of the root's `Directory` message.
    pub root: Blob,
    /// The key of the action that made it.
    pub key: Blob,
}

impl SdkTree {
    /// The tree that the lock describes, if the store has it.
    ///
    /// # Errors
    /// When the lock cannot be read.
    pub fn find(store: &Store, lock_path: &Utf8Path) -> Result<Option<Self>, SdkError> {
        let key = action(&read_lock(lock_path)?)?.key();
        let known = store.known_directory(&key)?;
        Ok(known.map(|directory| Self::of(&directory, key, store)))
    }

    fn of(directory: &OutputDirectory, key: Blob, store: &Store) -> Self {
        Self {
            key,
            path: store.directory_path(&directory.root.digest),
            root: directory.root,
        }
    }

    /// A tree outside of any store, whose tools are run; it is known by its path only, so nothing that is kept may follow
    /// from it.
    pub fn outside(path: Utf8PathBuf) -> Self {
        let root = Blob::of(path.as_str());
        Self { key: root, root, path }
    }

    /// A sandbox with the tree as its root and the usual variables, in which a tool of it can be run.
    pub fn sandbox(&self) -> Sandbox {
        Sandbox::new(Root {
            layers: vec![self.path.clone()],
            scratch: None,
        })
        .env("PATH", "/usr/bin:/usr/sbin")
        .env("HOME", "/root")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
    }
}

/// The tree that the lock describes; made if the store does not have it.
///
/// # Errors
/// When a package cannot be had any more, and when making the tree fails.
pub fn ensure(store: &Store, lock_path: &Utf8Path, reporter: &dyn Reporter) -> Result<SdkTree, SdkError> {
    if let Some(sdk) = SdkTree::find(store, lock_path)? {
        return Ok(sdk);
    }
    let lock = read_lock(lock_path)?;
    let _alone = store.lock("sdk", |_| {
        reporter.note("waiting for another basalt that makes the SDK")
    })?;
    let name = lock_path.file_name().unwrap_or_default();
    let action = action(&lock)?;
    let directory = store.made_directory(&action, |tree| make(&lock, name, tree, store, reporter))?;
    Ok(SdkTree::of(&directory, action.key(), store))
}

fn read_lock(path: &Utf8Path) -> Result<SdkLock, SdkError> {
    let text = fs_err::read_to_string(path).map_err(StoreError::io("cannot read", path))?;
    SdkLock::parse(&text).map_err(|error| SdkError::File {
        path: path.to_owned(),
        message: error.to_string(),
        remedy: "write it anew: ./basalt sdk lock",
    })
}

/// The action that makes a tree: its inputs are the packages, by their digests.
fn action(lock: &SdkLock) -> Result<Action, SdkError> {
    let mut inputs = Directory::new();
    for package in &lock.packages {
        let blob = Blob {
            digest: package.sha256,
            size: package.size,
        };
        let node = Node::File { blob, mode: 0o644 };
        inputs
            .insert(&format!("{}.deb", package.name), node)
            .map_err(|source| SdkError::Inputs { source })?;
    }
    let mut action = Action::function("install-debian-packages", &CODE, inputs);
    action.arguments.push(lock.suite.clone());
    Ok(action)
}

fn make(lock: &SdkLock, name: &str, tree: &Utf8Path, store: &Store, reporter: &dyn Reporter) -> Result<(), SdkError> {
    installation::fetch(lock, name, store, reporter)?;
    let workspace = store.workspace()?;
    let repository = workspace.path().join("repository");
    let task = reporter.task(&format!("making the tree of {name}"), Unit::Items, None);
    task.detail("index");
    installation::index(lock, &repository, store)?;
    task.detail("mmdebstrap");
    let tarball = workspace.path().join("sdk.tar");
    let skip = "--skip=check/empty,check/chrooted-repo,cleanup/reproducible".to_owned();
    let left_out = LEFT_OUT.iter().map(|path| format!("--dpkgopt=path-exclude={path}"));
    installation::mmdebstrap(lock, &repository, &tarball, std::iter::once(skip).chain(left_out))
        .env("SOURCE_DATE_EPOCH", BUILD_TIME.to_string())
        .output()?;
    task.detail("unpack");
    unpack(&tarball, tree, interrupt::check)?;
    clean::clean(tree)?;
    task.finish(Outcome::Done);
    Ok(())
}

/// Unpacks the tarball as whoever we are: owners are not kept, device nodes are left out. `check` is asked before each
/// entry.
fn unpack(tarball: &Utf8Path, tree: &Utf8Path, check: impl Fn() -> Result<(), ProcessError>) -> Result<(), SdkError> {
    let failed = || StoreError::io("cannot unpack", tarball);
    let file = std::fs::File::open(tarball).map_err(StoreError::io("cannot read", tarball))?;
    let mut archive = tar::Archive::new(std::io::BufReader::with_capacity(1 << 20, file));
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(false);
    archive.set_unpack_xattrs(false);
    archive.set_overwrite(false);
    let mut folders = Vec::new();
    for entry in archive.entries().map_err(failed())? {
        check()?;
        let folder = entry.and_then(|entry| unpack_entry(entry, tree));
        folders.extend(folder.map_err(failed())?);
    }
    let finish = || -> std::io::Result<()> {
        for (path, mode) in folders {
            use std::os::unix::fs::PermissionsExt as _;
            // Owners may do all: it is they who will remove the tree.
            let mode = std::fs::Permissions::from_mode(mode | 0o700);
            std::fs::set_permissions(tree.as_std_path().join(path), mode)?;
        }
        std::fs::create_dir_all(tree.join("dev"))
    };
    Ok(finish().map_err(failed())?)
}

/// Unpacks one entry. Returns the path and the mode of a folder: modes of folders come last, since some may not be
/// written to.
fn unpack_entry(mut entry: tar::Entry<'_, impl Read>, tree: &Utf8Path) -> std::io::Result<Option<(PathBuf, u32)>> {
    let path = entry.path()?.into_owned();
    let kind = entry.header().entry_type();
    if path.starts_with("./dev") || path.starts_with("dev") || kind.is_block_special() || kind.is_character_special() {
        return Ok(None);
    }
    if kind.is_dir() {
        std::fs::create_dir_all(tree.as_std_path().join(&path))?;
        return Ok(Some((path, entry.header().mode()?)));
    }
    entry.unpack_in(tree)?;
    Ok(None)
}

#[cfg(test)]
mod tests;
