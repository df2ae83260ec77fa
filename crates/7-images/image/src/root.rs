//! The files of an image as one tree, and how they are handed on.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use crate::definition::PathPattern;
use basalt_process::interrupt;

use crate::{ImageError, Payload};

/// Who an entry is from that is from no package.
pub(crate) const COMPOSER: &str = "the composer";

/// All entries of an image, by their real absolute path. Folders come before what is in them.
#[derive(Debug, Default)]
pub(crate) struct Root {
    pub(crate) entries: BTreeMap<String, Entry>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) what: What,
    /// The permissions, with set-user-ID and the like.
    pub(crate) mode: u32,
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// The name of the package that it is from.
    pub(crate) package: String,
}

impl Entry {
    /// A folder that no package declares.
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

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Directory,
    Symlink(String),
    /// Content that is in the payload of a package: its position in the list, and the path that it has there.
    Packaged {
        payload: usize,
        path: String,
        digest: String,
        size: u64,
    },
    /// Content that was made for this image.
    Made(Vec<u8>),
}

/// Who takes the files of an image.
pub(crate) trait Sink {
    fn directory(&mut self, path: &str, entry: &Entry) -> Result<(), ImageError>;
    fn symlink(&mut self, path: &str, entry: &Entry, target: &str) -> Result<(), ImageError>;
    fn file(&mut self, path: &str, entry: &Entry, size: u64, content: &mut dyn Read) -> Result<(), ImageError>;
    /// Another name of a file that was handed over before.
    fn hard_link(&mut self, path: &str, entry: &Entry, first: &str) -> Result<(), ImageError>;
}

impl Root {
    /// Takes out what patterns cover.
    pub(crate) fn exclude(&mut self, patterns: &[PathPattern]) {
        self.entries
            .retain(|path, _| !patterns.iter().any(|pattern| pattern.covers(path)));
    }

    /// Adds a file that was made for this image.
    pub(crate) fn add_made(&mut self, path: &str, content: Vec<u8>) -> Result<(), ImageError> {
        let above = path.match_indices('/').filter_map(|(slash, _)| path.get(..slash));
        let mut above = above.filter_map(|folder| self.entries.get_key_value(folder));
        if let Some((folder, other)) = above.find(|(_, entry)| entry.what != What::Directory) {
            return Err(ImageError::Place {
                package: other.package.clone(),
                path: folder.clone(),
                why: format!("the composer makes `{path}`, for which it must be a folder"),
                remedy: "make it a folder",
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
                remedy: "take it out of `%files` of the package",
            }),
        }
    }

    /// Adds the folders above a path that no package declares.
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

    /// How many bytes the files have.
    pub(crate) fn content_bytes(&self) -> u64 {
        let size = |entry: &Entry| match &entry.what {
            What::Packaged { size, .. } => *size,
            What::Made(content) => content.len() as u64,
            What::Directory | What::Symlink(_) => 0,
        };
        self.entries.values().map(size).sum()
    }

    /// Hands everything over, in an order that only the content decides: what has no payload first, folders before what
    /// is in them, and then package by package in the order of its payload.
    pub(crate) fn hand_over(&self, payloads: &[Payload<'_>], sink: &mut dyn Sink) -> Result<(), ImageError> {
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
                    remedy: "the RPM is damaged: build the package again",
                });
            }
        }
        Ok(())
    }
}

fn hand_over_files(
    payload: &Payload<'_>,
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
        sink.file(first, entry, file.size, &mut files)?;
        for (path, entry) in others {
            sink.hard_link(path, entry, first)?;
        }
    }
    Ok(())
}
