//! Sources as inputs of an action, known from the lock before anything is fetched.

use basalt_action::{Action, Blob, Node, OutputDirectory};
use basalt_progress::Reporter;
use basalt_store::{FolderSnapshot, Store};
use camino::{Utf8Path, Utf8PathBuf};

use crate::crates::CargoSource;
use crate::download::Downloader;
use crate::go::GoSource;
use crate::{SourceSet, SourcesError, Tools, file, repository};

/// A source of a package.
#[derive(Debug)]
pub struct Input<'s> {
    /// Name by which the spec knows the source.
    pub name: String,
    /// Content of the source.
    pub content: InputContent<'s>,
}

/// Content of a source.
#[derive(Debug)]
pub enum InputContent<'s> {
    /// A file that is downloaded; its digest is in the lock.
    File {
        /// SHA-256 and size in bytes.
        blob: Blob,
    },
    /// A folder of modules or crates; an action makes it.
    Modules(Modules<'s>),
    /// Files of this repository, as they were when they were read.
    Repository(FolderSnapshot),
}

/// Go modules or crates that an action brings.
#[derive(Debug)]
pub struct Modules<'s> {
    set: &'s SourceSet,
    kind: ModulesKind<'s>,
    /// The action that makes the folder.
    pub action: Action,
}

#[derive(Debug, Clone, Copy)]
enum ModulesKind<'s> {
    Go(&'s GoSource),
    Crates(&'s CargoSource),
}

impl Modules<'_> {
    /// The folder that the action made before. That its content is in the store is not asked.
    pub fn known(&self, store: &Store) -> Option<OutputDirectory> {
        let result = store.action_result(&self.action.key())?;
        result.directory().cloned()
    }

    /// The folder, whose content is in the store afterwards.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub fn fetch(
        &self,
        store: &Store,
        tools: &Tools,
        reporter: &dyn Reporter,
    ) -> Result<OutputDirectory, SourcesError> {
        store.made_directory(&self.action, |folder| match self.kind {
            ModulesKind::Go(modules) => modules.fill(folder, self.set.package(), store, tools, reporter),
            ModulesKind::Crates(crates) => {
                // A damaged archive is set aside, and fetched like one that is missing.
                for file in crates.files() {
                    store.intact_object(&file.sha256)?;
                }
                crates.fetch_archives(self.set, store, reporter)?;
                crates.fill(folder, store)
            }
        })
    }
}

impl SourceSet {
    /// Everything that the lock names. Files of the repository are read; nothing is fetched.
    ///
    /// # Errors
    /// When the lock names files of the repository that are not there or cannot be inputs.
    pub fn inputs(&self, tools: &Tools) -> Result<Vec<Input<'_>>, SourcesError> {
        let mut inputs = Vec::new();
        for file in &self.lock().files {
            let blob = Blob {
                digest: file.sha256,
                size: file.size,
            };
            inputs.push(Input {
                name: file.file.clone(),
                content: InputContent::File { blob },
            });
        }
        let mut add = |name: &str, kind, action| {
            inputs.push(Input {
                name: name.to_owned(),
                content: InputContent::Modules(Modules {
                    set: self,
                    kind,
                    action,
                }),
            });
        };
        for modules in self.go() {
            add("gomodcache", ModulesKind::Go(modules), modules.action(self, tools)?);
        }
        for crates in self.cargo() {
            add("vendor", ModulesKind::Crates(crates), crates.action(self)?);
        }
        for tree in &self.lock().trees {
            inputs.push(Input {
                name: tree.name.clone(),
                content: InputContent::Repository(repository::snapshot(self, tree, tools)?),
            });
        }
        Ok(inputs)
    }

    /// A downloaded file in the store, fetched if need be.
    ///
    /// # Errors
    /// When the lock has no file of that name, and when it cannot be had.
    pub fn fetch_file(&self, name: &str, store: &Store, reporter: &dyn Reporter) -> Result<Utf8PathBuf, SourcesError> {
        let file = self.lock().files.iter().find(|file| file.file == name);
        let file = file.ok_or_else(|| SourcesError::NoSuchFile {
            lock: self.lock_path(),
            path: Utf8Path::new(name).to_owned(),
        })?;
        file::fetch(self, file, store, &Downloader::default(), reporter)
    }

    /// Puts files into the input root of an action that fetches.
    pub(crate) fn action_inputs(
        &self,
        files: impl IntoIterator<Item = (&'static str, Node)>,
    ) -> Result<basalt_action::Directory, SourcesError> {
        let mut inputs = basalt_action::Directory::new();
        for (name, node) in files {
            inputs.insert(name, node).map_err(|source| SourcesError::Inputs {
                package: self.package().to_owned(),
                source,
            })?;
        }
        Ok(inputs)
    }
}

/// A file of an input root, from its content.
pub(crate) fn file_node(content: &[u8]) -> Node {
    Node::File {
        blob: Blob::of(content),
        mode: 0o644,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use basalt_digest::Digest;
    use basalt_progress::Silent;
    use basalt_sdk::SdkTree;

    use super::*;

    /// There is no Cargo.toml, so that cargo fails as soon as it is asked for a crate.
    #[test]
    fn a_damaged_crate_is_fetched_again() {
        let guard = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(guard.path()).expect("UTF-8");
        let folder = root.join("x");
        fs_err::create_dir(&folder).expect("made");
        let digest = Digest::of("archive");
        let lock = format!(
            "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\
             source = \"registry+https://registry.example/index\"\nchecksum = \"{digest}\"\n"
        );
        fs_err::write(folder.join("Cargo.lock"), lock).expect("written");
        fs_err::write(folder.join("sources.toml"), "[[cargo]]\nlock = \"Cargo.lock\"\n").expect("written");
        let store = Store::open(&root.join("store")).expect("opens");
        store.insert(&b"archive"[..]).expect("stored");
        let path = store.object_path(&digest);
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("opened up");
        fs_err::write(&path, "archivf").expect("damaged");
        let set = SourceSet::load(&folder).expect("loads");
        let tools = Tools::new(root, &SdkTree::outside(root.to_owned()));
        let mut inputs = set.inputs(&tools).expect("listed");
        let Some(InputContent::Modules(modules)) = inputs.pop().map(|input| input.content) else {
            panic!("there are crates")
        };
        let error = modules
            .fetch(&store, &tools, &Silent)
            .expect_err("cargo has no manifest");
        assert!(matches!(error, SourcesError::Modules { .. }), "{error:?}");
        assert!(store.object(&digest).is_none());
    }
}
