//! Trees of tools: the SDK, and those for comparisons in tests. They are made from exactly the locked packages,
//! offline.
//!
//! A tree is identified by the digest of its content, not only by that of its inputs. So it must not depend on the
//! machine that makes it: [`clean`] removes what the installation leaves of host, time and paths.

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

/// Files of packages that a tree of tools does not need.
const LEFT_OUT: &[&str] = &[
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
];
/// Source text of the modules that make a tree; part of the action's key.
const CODE: [&str; 3] = [
    include_str!("tree.rs"),
    include_str!("clean.rs"),
    include_str!("installation.rs"),
];

/// Tree of tools: the SDK, or another tree with a lock of its own.
#[derive(Debug, Clone)]
pub struct SdkTree {
    /// Folder in the store.
    pub path: Utf8PathBuf,
    /// Digest of the content: of the root's `Directory` message.
    pub root: Blob,
    /// Key of the action that made the tree.
    pub key: Blob,
}

impl SdkTree {
    /// Returns the tree of a lock if it is in the store.
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

    /// Returns a tree outside of any store, to run its tools. Its digest is that of its path, not of its content, so
    /// nothing that is made with it may be cached.
    pub fn outside(path: Utf8PathBuf) -> Self {
        let root = Blob::of(path.as_str());
        Self { key: root, root, path }
    }

    /// Returns a sandbox with the tree as its root and the usual environment variables, to run a tool of the tree.
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

/// Returns the tree of a lock; makes it if it is not in the store.
///
/// # Errors
/// When a package can no longer be fetched, and when the installation fails.
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

/// Returns the action that makes a tree; its inputs are the packages, by their digests.
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

/// Unpacks the tarball without privileges: owners are not kept, device nodes are left out. `check` is called before
/// each entry; an error ends unpacking.
fn unpack(tarball: &Utf8Path, tree: &Utf8Path, check: impl Fn() -> Result<(), ProcessError>) -> Result<(), SdkError> {
    let failed = || StoreError::io("cannot unpack", tarball);
    let file = fs_err::File::open(tarball).map_err(StoreError::io("cannot read", tarball))?;
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
            // The owner keeps all permissions, to be able to remove the tree.
            let mode = std::fs::Permissions::from_mode(mode | 0o700);
            fs_err::set_permissions(tree.as_std_path().join(path), mode)?;
        }
        fs_err::create_dir_all(tree.join("dev"))
    };
    Ok(finish().map_err(failed())?)
}

/// Unpacks one entry. Returns the path and the mode of a folder: the caller sets modes of folders last, since some
/// forbid writing.
fn unpack_entry(mut entry: tar::Entry<'_, impl Read>, tree: &Utf8Path) -> std::io::Result<Option<(PathBuf, u32)>> {
    let path = entry.path()?.into_owned();
    let kind = entry.header().entry_type();
    if path.starts_with("./dev") || path.starts_with("dev") || kind.is_block_special() || kind.is_character_special() {
        return Ok(None);
    }
    if kind.is_dir() {
        fs_err::create_dir_all(tree.as_std_path().join(&path))?;
        return Ok(Some((path, entry.header().mode()?)));
    }
    entry.unpack_in(tree)?;
    Ok(None)
}

#[cfg(test)]
mod tests;
