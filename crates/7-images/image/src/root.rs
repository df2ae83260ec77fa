//! Entries of an image as one tree, and their transfer to archives, folders and callbacks.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use crate::definition::PathPattern;
use basalt_process::interrupt;

use crate::{ImageError, ImagePackage};

/// Package name of entries that are from no package.
pub(crate) const COMPOSER: &str = "the composer";

/// All entries of an image, by resolved absolute path. Folders come before the entries in them.
#[derive(Debug, Default)]
pub(crate) struct Root {
    pub(crate) entries: BTreeMap<String, Entry>,
}

/// Entry of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) what: What,
    /// Permissions, with the set-user-ID, set-group-ID and sticky bits.
    pub(crate) mode: u32,
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// Name of the package that contains the entry, or [`COMPOSER`].
    pub(crate) package: String,
}

impl Entry {
    /// Returns a folder that no package declares.
    pub(crate) fn folder() -> Self {
        Self {
            what: What::Directory,
            mode: 0o755,
            user: 0,
            group: 0,
            package: COMPOSER.to_owned(),
        }
    }
}

/// Type and content of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Directory,
    Symlink(String),
    /// Content in the payload of a package: index of the package, path in its header, SHA-256 digest in hexadecimal
    /// digits, and size in bytes.
    Packaged {
        payload: usize,
        path: String,
        digest: String,
        size: u64,
    },
    /// Content that the composer made.
    Made(Vec<u8>),
}

/// Receiver of the entries of an image.
pub(crate) trait Sink {
    fn directory(&mut self, path: &str, entry: &Entry) -> Result<(), ImageError>;
    fn symlink(&mut self, path: &str, entry: &Entry, target: &str) -> Result<(), ImageError>;
    fn file(&mut self, path: &str, entry: &Entry, size: u64, content: &mut dyn Read) -> Result<(), ImageError>;
    /// Receives a hard link to the file `first`, which was received before.
    fn hard_link(&mut self, path: &str, entry: &Entry, first: &str) -> Result<(), ImageError>;
}

impl Root {
    /// Removes the entries that patterns match.
    pub(crate) fn exclude(&mut self, patterns: &[PathPattern]) {
        self.entries
            .retain(|path, _| !patterns.iter().any(|pattern| pattern.covers(path)));
    }

    /// Adds a file that the composer made.
    ///
    /// # Errors
    /// When a package has an entry at its path, or one that is no folder above it.
    pub(crate) fn add_made(&mut self, path: &str, content: Vec<u8>) -> Result<(), ImageError> {
        let above = path.match_indices('/').filter_map(|(slash, _)| path.get(..slash));
        let mut above = above.filter_map(|folder| self.entries.get_key_value(folder));
        if let Some((folder, other)) = above.find(|(_, entry)| entry.what != What::Directory) {
            return Err(ImageError::Place {
                package: other.package.clone(),
                path: folder.clone(),
                why: format!("the composer makes `{path}`, for which it must be a folder"),
                help: "make it a folder",
            });
        }
        let entry = Entry {
            what: What::Made(content),
            mode: 0o644,
            user: 0,
            group: 0,
            package: COMPOSER.to_owned(),
        };
        match self.entries.insert(path.to_owned(), entry) {
            None => {
                self.add_parents(path);
                Ok(())
            }
            Some(other) => Err(ImageError::Place {
                package: other.package,
                path: path.to_owned(),
                why: "the composer makes that file itself".to_owned(),
                help: "take it out of `%files` of the package",
            }),
        }
    }

    /// Replaces the content of a package's file, which stays the package's; does nothing if there is none at its path.
    pub(crate) fn replace(&mut self, path: &str, content: &[u8]) {
        if let Some(entry) = self.entries.get_mut(path) {
            entry.what = What::Made(content.to_vec());
        }
    }

    /// Adds the missing folders above a path.
    pub(crate) fn add_parents(&mut self, path: &str) {
        let above = path.match_indices('/').filter_map(|(slash, _)| path.get(..slash));
        for folder in above.filter(|folder| !folder.is_empty()) {
            self.entries.entry(folder.to_owned()).or_insert_with(|| Entry {
                what: What::Directory,
                mode: 0o755,
                user: 0,
                group: 0,
                package: COMPOSER.to_owned(),
            });
        }
    }

    /// Returns the total size of the files in bytes.
    pub(crate) fn content_bytes(&self) -> u64 {
        let size = |entry: &Entry| match &entry.what {
            What::Packaged { size, .. } => *size,
            What::Made(content) => content.len() as u64,
            What::Directory | What::Symlink(_) => 0,
        };
        self.entries.values().map(size).sum()
    }

    /// Transfers all entries to a sink, in an order that depends only on the content: entries without a payload first,
    /// folders before the entries in them, then the files package by package in the order of the payload.
    pub(crate) fn hand_over(&self, payloads: &[ImagePackage<'_>], sink: &mut dyn Sink) -> Result<(), ImageError> {
        let mut packaged: HashMap<usize, HashMap<&str, (&str, &Entry)>> = HashMap::new();
        for (path, entry) in &self.entries {
            match &entry.what {
                What::Directory => sink.directory(path, entry)?,
                What::Symlink(target) => sink.symlink(path, entry, target)?,
                What::Made(content) => sink.file(path, entry, content.len() as u64, &mut content.as_slice())?,
                What::Packaged {
                    payload, path: inside, ..
                } => {
                    packaged.entry(*payload).or_default().insert(inside, (path, entry));
                }
            }
        }
        for (index, payload) in payloads.iter().enumerate() {
            let mut wanted = packaged.remove(&index).unwrap_or_default();
            if !wanted.is_empty() {
                hand_over_files(payload, &mut wanted, sink)?;
            }
            if let Some(path) = wanted.keys().min() {
                return Err(ImageError::Place {
                    package: payload.package.name.clone(),
                    path: (*path).to_owned(),
                    why: "its header has it, its payload has not".to_owned(),
                    help: "the RPM is damaged: build the package again",
                });
            }
        }
        Ok(())
    }
}

/// Reader of a file that records its error: a sink takes it for one of its own.
struct Content<'a> {
    from: &'a mut dyn Read,
    error: Option<String>,
}

impl<'a> Content<'a> {
    fn new(from: &'a mut dyn Read) -> Self {
        Self { from, error: None }
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.from.read(buffer).inspect_err(|error| {
            if error.kind() != std::io::ErrorKind::Interrupted {
                self.error = Some(error.to_string());
            }
        })
    }
}

/// Hands over the files of a package, whose content is compared with the digests of its header on the way.
fn hand_over_files(
    payload: &ImagePackage<'_>,
    wanted: &mut HashMap<&str, (&str, &Entry)>,
    sink: &mut dyn Sink,
) -> Result<(), ImageError> {
    let mut files = basalt_rpm::Payload::open(payload.path)?;
    while let Some(file) = files.next()? {
        interrupt::check()?;
        if !file.is_regular() {
            continue;
        }
        let mut names = file.paths.iter().filter_map(|path| wanted.remove(path.as_str()));
        let Some((first, entry)) = names.next() else { continue };
        let others: Vec<_> = names.collect();
        let mut content = Content::new(&mut files);
        let written = sink.file(first, entry, file.size, &mut content);
        if let Some(why) = content.error {
            interrupt::check()?;
            return Err(ImageError::PackageContent {
                package: payload.package.name.clone(),
                path: file.paths.first().cloned().unwrap_or_default(),
                why,
            });
        }
        written?;
        for (path, entry) in others {
            sink.hard_link(path, entry, first)?;
        }
    }
    Ok(())
}
