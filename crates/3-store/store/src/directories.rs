//! Directories, named by the digest of their content as REAPI's `Directory` message describes it.
//!
//! A folder that was made in a workspace is described (names, modes, links, digests of files), its description is kept
//! as an object, and the folder is moved to `trees/<digest of the root's Directory message>`. So the digest in a
//! folder's name can be verified at any time.

use std::collections::BTreeMap;

use basalt_action::{Blob, Directory, Node, OutputDirectory};
use basalt_digest::Digest;
use camino::{Utf8Path, Utf8PathBuf};

use crate::{Store, StoreError, digest_of, write};

/// Permission bits that a description keeps.
const PERMISSIONS: u32 = 0o7777;
/// Greatest number of folders within each other. Descriptions are read and encoded recursively; what a build leaves
/// must not exhaust the stack.
const DEPTH: usize = 256;

impl Store {
    /// Returns the path of the directory of a digest, whether it exists or not.
    pub fn directory_path(&self, root: &Digest) -> Utf8PathBuf {
        self.root().join("trees").join(root.to_hex())
    }

    /// Returns the path of the directory, if the store has it, and records its use.
    pub fn directory(&self, root: &Digest) -> Option<Utf8PathBuf> {
        self.hit(self.directory_path(root), Utf8Path::is_dir)
    }

    /// Takes in a finished folder of a [workspace](crate::Workspace) by moving it. Nothing may write to it any more.
    ///
    /// # Errors
    /// When it cannot be read or moved.
    pub fn adopt_directory(&self, folder: &Utf8Path) -> Result<OutputDirectory, StoreError> {
        let described = read_directory(folder)?.merkle_tree();
        let tree = self.insert_bytes(&described.tree)?;
        let path = self.directory_path(&described.root.digest);
        let stamp = || self.stamp(&std::fs::File::open(folder)?);
        stamp().map_err(StoreError::io("cannot set the time of", folder))?;
        write::sync_file_system(folder)?;
        match self.rename_to_entry(folder, &path) {
            Ok(()) => write::sync_folder(&self.root().join("trees"))?,
            Err(error) if error.is_interrupt() => return Err(error),
            // Another process has made the same.
            Err(_) if self.directory(&described.root.digest).is_some() => {}
            // Collection may have taken it away in between.
            Err(_) => {
                self.rename_to_entry(folder, &path)?;
                write::sync_folder(&self.root().join("trees"))?;
            }
        }
        Ok(OutputDirectory {
            path: String::new(),
            tree,
            root: described.root,
        })
    }
}

/// Describes a folder, with the digests of all files. Sockets, devices and named pipes are errors.
///
/// # Errors
/// When an entry cannot be read, has a name that is not UTF-8, or is no file, folder or link; and when more than 256
/// folders are nested within each other.
pub fn read_directory(folder: &Utf8Path) -> Result<Directory, StoreError> {
    describe(folder, DEPTH)
}

fn describe(folder: &Utf8Path, depth: usize) -> Result<Directory, StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut directory = Directory::new();
    let metadata = fs_err::symlink_metadata(folder).map_err(StoreError::io("cannot read", folder))?;
    directory.set_mode(metadata.permissions().mode() & PERMISSIONS);
    for (name, entry) in sorted_entries(folder)? {
        let failed = || StoreError::io("cannot read", entry.path());
        let metadata = entry.metadata().map_err(failed())?;
        let kind = metadata.file_type();
        let node = if kind.is_dir() {
            let Some(depth) = depth.checked_sub(1) else {
                let error = format!("more than {DEPTH} folders are nested within each other");
                return Err(failed()(std::io::Error::other(error)));
            };
            Node::Directory(describe(entry.path(), depth)?)
        } else if kind.is_symlink() {
            let target = entry.path().read_link_utf8().map_err(failed())?;
            Node::Symlink {
                target: target.into_string(),
            }
        } else if kind.is_file() {
            let (digest, size) = digest_of(entry.path())?;
            Node::File {
                blob: Blob { digest, size },
                mode: metadata.permissions().mode() & PERMISSIONS,
            }
        } else {
            let error = std::io::Error::other("it is neither a file nor a folder nor a link");
            return Err(failed()(error));
        };
        let unusable = |error: basalt_action::DirectoryError| std::io::Error::other(error.to_string());
        directory.insert(&name, node).map_err(unusable).map_err(failed())?;
    }
    Ok(directory)
}

fn sorted_entries(folder: &Utf8Path) -> Result<BTreeMap<String, camino::Utf8DirEntry>, StoreError> {
    basalt_process::interrupt::check()?;
    let failed = || StoreError::io("cannot list", folder);
    let mut entries = BTreeMap::new();
    for entry in folder.read_dir_utf8().map_err(failed())? {
        let entry = entry.map_err(failed())?;
        entries.insert(entry.file_name().to_owned(), entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_are_nested_too_deep_are_an_error() {
        let guard = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(guard.path()).expect("UTF-8");
        std::fs::create_dir_all(root.join("a/".repeat(DEPTH))).expect("made");
        read_directory(root).expect("as deep as may be");
        std::fs::create_dir_all(root.join("a/".repeat(DEPTH + 1))).expect("made");
        let error = read_directory(root).expect_err("too deep");
        let StoreError::File(file) = &error else {
            panic!("{error:?}")
        };
        assert!(file.source.to_string().contains("256"), "{file:?}");
    }
}
