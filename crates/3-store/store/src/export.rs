//! Export of results with all content that they refer to, for filling a shared cache from this store.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Cursor, Read, Seek};

use basalt_action::{ActionResult, Blob, Directory, Node};
use camino::{Utf8Path, Utf8PathBuf};

use crate::{Store, StoreError};

/// Content that can be read from any position.
pub trait ExportedContent: Read + Seek {}

impl<T: Read + Seek> ExportedContent for T {}

/// Content of every blob that a result refers to.
#[derive(Debug, Default)]
pub struct Exported {
    /// Files of the store: objects, and files in directories.
    files: HashMap<Blob, Utf8PathBuf>,
    /// Messages.
    bytes: HashMap<Blob, Vec<u8>>,
}

impl Exported {
    /// Opens the content of a blob.
    ///
    /// # Errors
    /// When the blob is not part of the export, or cannot be read.
    pub fn open(&self, blob: &Blob) -> io::Result<Box<dyn ExportedContent>> {
        if let Some(bytes) = self.bytes.get(blob) {
            return Ok(Box::new(Cursor::new(bytes.clone())));
        }
        match self.files.get(blob) {
            Some(path) => Ok(Box::new(std::fs::File::open(path)?)),
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{blob} is not exported"),
            )),
        }
    }
}

impl Store {
    /// Returns the keys of the actions whose results this process looked up successfully, or kept.
    pub fn used_actions(&self) -> BTreeSet<Blob> {
        self.used().clone()
    }

    /// Returns the program or function and the arguments of an action that was run here; none when its messages are not
    /// kept.
    pub fn action_arguments(&self, key: &Blob) -> Option<Vec<String>> {
        basalt_action::Action::arguments_of(key, |blob| self.read_object(&blob.digest).ok().flatten())
    }

    /// Collects the content of all blobs that a result refers to; none when one of them is not in the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn export(&self, result: &ActionResult) -> Result<Option<Exported>, StoreError> {
        let mut exported = Exported::default();
        for blob in result.blobs() {
            let Some(path) = self.intact_object(&blob.digest)? else {
                return Ok(None);
            };
            exported.files.insert(blob, path);
        }
        for output in &result.directories {
            let Some(folder) = self.directory(&output.root.digest) else {
                return Ok(None);
            };
            let Some(tree) = self.read_object(&output.tree.digest)? else {
                return Ok(None);
            };
            let Ok(directory) = Directory::from_tree(&tree) else {
                return Ok(None);
            };
            exported.bytes.extend(directory.merkle_tree().messages);
            files_of(&directory, &folder, &mut exported.files);
        }
        Ok(Some(exported))
    }
}

fn files_of(directory: &Directory, folder: &Utf8Path, files: &mut HashMap<Blob, Utf8PathBuf>) {
    for (name, node) in directory.entries() {
        match node {
            Node::File { blob, .. } => {
                files.insert(*blob, folder.join(name));
            }
            Node::Directory(below) => files_of(below, &folder.join(name), files),
            Node::Symlink { .. } | Node::Tree(_) => {}
        }
    }
}
