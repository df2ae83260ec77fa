//! Ordered trees, and the lookup of files in them.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{ContentError, ContentFile, ContentFolder};

/// Name of the distribution's own tree in a checkout.
const OWN: &str = "distro";

/// Folder with content of a distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentTree {
    /// Name in messages and provenance statements: the path from the root of the checkout.
    pub name: String,
    /// Path of the folder.
    pub root: Utf8PathBuf,
}

/// Place of a file or folder in a content tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentPath {
    /// Path in the file system.
    pub path: Utf8PathBuf,
    /// Path for messages and provenance statements, the same in every checkout: `distro/kspp.toml`.
    pub name: Utf8PathBuf,
}

/// Content of a distribution: one tree, or several in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributionContent {
    /// The distribution's own tree.
    own: ContentTree,
    /// Trees that add to it, in order.
    added: Vec<ContentTree>,
}

impl ContentPath {
    /// Returns the last part of the name, without its folders.
    pub fn file_name(&self) -> &str {
        self.name.file_name().unwrap_or_default()
    }

    /// Returns the place of a file or folder below this one.
    pub fn join(&self, name: &str) -> Self {
        Self {
            path: self.path.join(name),
            name: self.name.join(name),
        }
    }
}

impl ContentTree {
    fn at(&self, relative: &str) -> ContentPath {
        ContentPath {
            path: self.root.join(relative),
            name: Utf8Path::new(&self.name).join(relative),
        }
    }
}

impl DistributionContent {
    /// Returns the content of a checkout: its folder `distro`.
    pub fn of_checkout(root: &Utf8Path) -> Self {
        Self::new(ContentTree {
            name: OWN.to_owned(),
            root: root.join(OWN),
        })
    }

    /// Returns `true` for the root of a checkout, which has a folder of packages.
    pub fn is_checkout(root: &Utf8Path) -> bool {
        Self::of_checkout(root)
            .own
            .at(ContentFolder::Packages.path())
            .path
            .is_dir()
    }

    /// Returns content of one tree.
    pub const fn new(own: ContentTree) -> Self {
        Self { own, added: Vec::new() }
    }

    /// Adds a tree after the others.
    #[must_use]
    pub fn with(mut self, tree: ContentTree) -> Self {
        self.added.push(tree);
        self
    }

    fn trees(&self) -> impl DoubleEndedIterator<Item = &ContentTree> {
        std::iter::once(&self.own).chain(&self.added)
    }

    /// Returns the place of a file: that of the last tree which has it. Where none has it, the place is in the
    /// distribution's own tree, and reading it fails there.
    pub fn file(&self, file: ContentFile) -> ContentPath {
        let places = self.trees().rev().map(|tree| tree.at(file.path()));
        let mut existing = places.filter(|place| place.path.is_file());
        existing.next().unwrap_or_else(|| self.own.at(file.path()))
    }

    /// Returns the places of a folder, one in each tree that has it, in order.
    pub fn folders(&self, folder: ContentFolder) -> Vec<ContentPath> {
        let added = self.added.iter().map(|tree| tree.at(folder.path()));
        let mut places = vec![self.own.at(folder.path())];
        places.extend(added.filter(|place| place.path.is_dir()));
        places
    }

    /// Returns the folder in the distribution's own tree, where new files of a kind are written.
    pub fn own_folder(&self, folder: ContentFolder) -> ContentPath {
        self.own.at(folder.path())
    }

    /// Lists the entries of a folder in all trees, by name. Hidden ones, where editors keep locks and copies, are left
    /// out.
    ///
    /// # Errors
    /// When a folder cannot be listed, or when two trees have an entry of one name.
    pub fn entries(&self, folder: ContentFolder) -> Result<Vec<ContentPath>, ContentError> {
        let mut entries: BTreeMap<String, ContentPath> = BTreeMap::new();
        for place in self.folders(folder) {
            let failed = |source| ContentError::Folder {
                path: place.path.clone(),
                source,
            };
            let listed = match place.path.read_dir_utf8() {
                Err(error) if error.kind() == ErrorKind::NotFound && folder.is_optional() => continue,
                listed => listed.map_err(failed)?,
            };
            for entry in listed {
                let name = entry.map_err(failed)?.file_name().to_owned();
                if name.starts_with('.') {
                    continue;
                }
                let entry = place.join(&name);
                if let Some(earlier) = entries.get(&name) {
                    return Err(ContentError::Duplicate {
                        earlier: earlier.name.clone(),
                        later: entry.name,
                    });
                }
                entries.insert(name, entry);
            }
        }
        Ok(entries.into_values().collect())
    }

    /// Lists the files of a folder with an extension, by their names without it.
    ///
    /// # Errors
    /// As [`Self::entries`].
    pub fn files(&self, folder: ContentFolder, extension: &str) -> Result<BTreeMap<String, ContentPath>, ContentError> {
        let entries = self.entries(folder)?.into_iter();
        Ok(entries
            .filter(|entry| entry.name.extension() == Some(extension))
            .map(|entry| (entry.name.file_stem().unwrap_or_default().to_owned(), entry))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two trees, with the files named, relative to both.
    fn content(own: &[&str], team: &[&str]) -> (tempfile::TempDir, DistributionContent) {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let write = |tree: &str, files: &[&str]| {
            for file in files {
                let path = root.join(tree).join(file);
                fs_err::create_dir_all(path.parent().expect("a folder")).expect("created");
                fs_err::write(path, "").expect("written");
            }
        };
        write("distro", own);
        write("team", team);
        let team = ContentTree {
            name: "team".to_owned(),
            root: root.join("team"),
        };
        let content = DistributionContent::of_checkout(root).with(team);
        (folder, content)
    }

    fn names(places: &[ContentPath]) -> Vec<&str> {
        places.iter().map(|place| place.name.as_str()).collect()
    }

    #[test]
    fn a_later_tree_adds_entries() {
        let own = [
            "packages/zlib/zlib.spec",
            "packages/resources.toml",
            "packages/.#resources.toml",
        ];
        let (_folder, content) = content(&own, &["packages/agent/agent.spec"]);
        let entries = content.entries(ContentFolder::Packages).expect("listed");
        assert_eq!(
            names(&entries),
            [
                "team/packages/agent",
                "distro/packages/resources.toml",
                "distro/packages/zlib"
            ]
        );
        assert!(entries.iter().all(|entry| entry.path.exists()));
    }

    #[test]
    fn a_later_tree_has_files_in_place_of_an_earlier_one() {
        let (_folder, content) = content(&["kspp.toml", "makers.toml"], &["kspp.toml"]);
        assert_eq!(content.file(ContentFile::KernelHardening).name, "team/kspp.toml");
        assert_eq!(content.file(ContentFile::Compilers).name, "distro/makers.toml");
        assert_eq!(content.file(ContentFile::Upstreams).name, "distro/upstreams.toml");
    }

    #[test]
    fn an_entry_of_two_trees_is_an_error() {
        let (_folder, content) = content(&["images/node.yaml"], &["images/node.yaml"]);
        let error = content.files(ContentFolder::Images, "yaml").expect_err("refused");
        assert_eq!(
            error.to_string(),
            "`team/images/node.yaml` has the name of `distro/images/node.yaml`"
        );
    }

    #[test]
    fn files_of_one_extension_are_listed_by_name() {
        let (_folder, content) = content(&["images/node.yaml", "images/notes.txt"], &["images/edge.yaml"]);
        let files = content.files(ContentFolder::Images, "yaml").expect("listed");
        assert_eq!(files.keys().collect::<Vec<_>>(), ["edge", "node"]);
    }

    #[test]
    fn only_optional_folders_may_be_missing() {
        let (_folder, content) = content(&["kspp.toml"], &[]);
        assert!(content.entries(ContentFolder::Vex).expect("none").is_empty());
        let error = content.entries(ContentFolder::Images).expect_err("missing");
        assert!(matches!(error, ContentError::Folder { .. }), "{error}");
        // The cause is the error's source, and is not said twice.
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(!error.to_string().contains(&cause), "{error}");
    }
}
