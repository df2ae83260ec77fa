//! Comparison of a payload with the header of its RPM. Errors are clauses that follow "the payload cannot be used:".

use std::collections::HashMap;
use std::io::{self, Write as _};

use basalt_digest::{Digest, Hasher};

use crate::{FileEntry, FileKind};

/// Files that a header declares and that the payload has not had yet.
#[derive(Debug)]
pub(crate) struct DeclaredFiles(HashMap<String, FileKind>);

impl DeclaredFiles {
    /// Files of a header. `%ghost` files are in no payload.
    ///
    /// # Errors
    /// When the header has one path twice.
    pub(crate) fn new(entries: Vec<FileEntry>) -> Result<Self, String> {
        let mut files = HashMap::with_capacity(entries.len());
        for entry in entries.into_iter().filter(|entry| !entry.ghost) {
            if files.insert(entry.path.clone(), entry.kind).is_some() {
                return Err(format!("its header has `{}` twice", entry.path));
            }
        }
        Ok(Self(files))
    }

    /// Takes out the file of a path that comes in the payload.
    ///
    /// # Errors
    /// When the header does not have it, or the payload had it before.
    pub(crate) fn take(&mut self, path: &str) -> Result<FileKind, String> {
        self.0
            .remove(path)
            .ok_or_else(|| format!("`{path}` is not in its header, or is in the payload twice"))
    }

    /// Returns the path of a file that has not come.
    pub(crate) fn missing(&self) -> Option<&str> {
        self.0.keys().map(String::as_str).min()
    }
}

/// Data of one file on its way out of the payload.
#[derive(Debug)]
pub(crate) struct ExpectedContent {
    path: String,
    left: u64,
    hasher: Hasher,
    digest: Digest,
}

impl ExpectedContent {
    /// Content of a file of `size` bytes, as its header declares it; none for a folder.
    ///
    /// # Errors
    /// When the header declares another size, or no SHA-256 digest.
    pub(crate) fn new(path: &str, declared: &FileKind, size: u64) -> Result<Option<Self>, String> {
        let (expected, digest) = match declared {
            FileKind::Regular { digest, size } => {
                let digest = digest.parse();
                let none = |_| format!("its header has no SHA-256 digest of `{path}`");
                (*size, digest.map_err(none)?)
            }
            FileKind::Symlink(target) => (target.len() as u64, Digest::of(target)),
            FileKind::Directory | FileKind::Special => (0, Digest::of([])),
        };
        if size != expected {
            return Err(format!(
                "`{path}` has {size} bytes, and {expected} according to its header"
            ));
        }
        let content = Self {
            path: path.to_owned(),
            left: size,
            hasher: Hasher::new(),
            digest,
        };
        match size {
            0 => content.finish().map(|()| None),
            _ => Ok(Some(content)),
        }
    }

    /// Takes note of data that was read.
    pub(crate) fn update(&mut self, data: &[u8]) -> io::Result<()> {
        self.left = self.left.saturating_sub(data.len() as u64);
        self.hasher.write_all(data)
    }

    /// Returns `true` once all data was read.
    pub(crate) fn is_complete(&self) -> bool {
        self.left == 0
    }

    /// Compares the digest of all data with the declared one.
    ///
    /// # Errors
    /// When they differ.
    pub(crate) fn finish(self) -> Result<(), String> {
        let actual = self.hasher.finish();
        match actual == self.digest {
            true => Ok(()),
            false => Err(format!(
                "the content of `{}` has the digest {actual}, and {} according to its header",
                self.path, self.digest
            )),
        }
    }
}
