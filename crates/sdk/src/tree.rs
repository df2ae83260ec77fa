//! Trees of tools: the SDK's, and those that tests compare with. Made from exactly the locked packages, offline.

use basalt_model::digest::{Digest, Hasher};
use basalt_model::sdk_lock::SdkLock;
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_sandbox::{Root, Sandbox};
use basalt_store::{Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};

use crate::{SdkError, installation};

/// Changes when trees are made differently from the same packages.
const RECIPE: &str = "1";
/// What is never read in a tree of tools.
const LEFT_OUT: &[&str] = &[
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
];

/// A tree of tools: those that build, or others that have a lock of their own.
#[derive(Debug, Clone)]
pub struct SdkTree {
    /// Its folder in the store.
    pub path: Utf8PathBuf,
    /// The digest of what it is made from.
    pub digest: Digest,
}

impl SdkTree {
    /// The tree that the lock describes, if the store has it.
    ///
    /// # Errors
    /// When the lock cannot be read.
    pub fn find(store: &Store, lock_path: &Utf8Path) -> Result<Option<Self>, SdkError> {
        let text = fs_err::read_to_string(lock_path).map_err(StoreError::io("cannot read", lock_path))?;
        let digest = digest(&text);
        Ok(store.tree(&digest).map(|path| Self { path, digest }))
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
    let text = fs_err::read_to_string(lock_path).map_err(StoreError::io("cannot read", lock_path))?;
    let digest = digest(&text);
    let lock = SdkLock::parse(&text).map_err(|error| SdkError::File {
        path: lock_path.to_owned(),
        message: error.to_string(),
        remedy: "write it anew: ./basalt sdk lock",
    })?;
    let _alone = store.lock("sdk", |_| {
        reporter.note("waiting for another basalt that makes the SDK")
    })?;
    let name = lock_path.file_name().unwrap_or_default();
    let path = store.tree_or_make(&digest, |tree| make(&lock, name, tree, store, reporter))?;
    Ok(SdkTree { path, digest })
}

/// The digest of what a tree is made from.
fn digest(lock: &str) -> Digest {
    let mut hasher = Hasher::new();
    hasher.fact("sdk recipe", RECIPE).fact("lock", lock);
    hasher.finish()
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
        .env("SOURCE_DATE_EPOCH", "1760000000")
        .output()?;
    task.detail("unpack");
    unpack(&tarball, tree)?;
    task.finish(Outcome::Done);
    Ok(())
}

/// Unpacks the tarball as whoever we are: owners are not kept, device nodes are left out.
fn unpack(tarball: &Utf8Path, tree: &Utf8Path) -> Result<(), StoreError> {
    let file = std::fs::File::open(tarball).map_err(StoreError::io("cannot read", tarball))?;
    let mut archive = tar::Archive::new(std::io::BufReader::with_capacity(1 << 20, file));
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(false);
    archive.set_unpack_xattrs(false);
    archive.set_overwrite(false);
    let unpack = || -> std::io::Result<()> {
        let mut folders = Vec::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            let kind = entry.header().entry_type();
            if path.starts_with("./dev")
                || path.starts_with("dev")
                || kind.is_block_special()
                || kind.is_character_special()
            {
                continue;
            }
            if kind.is_dir() {
                // Modes of folders come last: some may not be written to.
                folders.push((path.clone(), entry.header().mode()?));
                std::fs::create_dir_all(tree.as_std_path().join(&path))?;
                continue;
            }
            entry.unpack_in(tree)?;
        }
        for (path, mode) in folders {
            use std::os::unix::fs::PermissionsExt as _;
            // Owners may do all: it is they who will remove the tree.
            let mode = std::fs::Permissions::from_mode(mode | 0o700);
            std::fs::set_permissions(tree.as_std_path().join(path), mode)?;
        }
        std::fs::create_dir_all(tree.join("dev"))
    };
    let mut unpack = unpack;
    unpack().map_err(StoreError::io("cannot unpack", tarball))
}
