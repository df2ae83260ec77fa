//! Layers below every build root: build tools, toolchain, macros.

use std::sync::{Arc, Mutex, PoisonError};

use basalt_action::{Blob, Node};
use basalt_content::{ContentFile, ContentFolder, ContentPath, DistributionContent};
use basalt_progress::Reporter;
use basalt_release::Arch;
use basalt_sandbox::{Root, Sandbox};
use basalt_sdk::{SdkTree, Toolchain};
use basalt_store::{FileError, FolderSnapshot, FolderSnapshotError, Store};
use camino::{Utf8Path, Utf8PathBuf};

use crate::BuildError;
use crate::environment::BuildEnvironment;

/// Layers below every build root, stacked upon each other.
#[derive(Debug, Clone)]
pub struct BuildBase {
    /// Layers, the uppermost first.
    pub layers: Vec<Layer>,
    /// Architecture that packages are built for.
    pub arch: Arch,
    /// Number of processes that a build may run at once.
    pub jobs: usize,
    /// Files of the repository that the layers are made from, by their paths, for provenance statements.
    pub materials: Vec<(String, Blob)>,
    content: DistributionContent,
    /// Lock held by the thread that makes layers.
    making: Arc<Mutex<()>>,
}

/// Folder of the store that is a layer of a build root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Name of the layer: `sdk`, `toolchain`, `macros`.
    pub name: String,
    /// Digest of its content.
    pub root: Blob,
    /// Path in the store.
    pub path: Utf8PathBuf,
}

impl Layer {
    /// Returns the layer of the SDK's build tools.
    pub fn of_sdk(sdk: &SdkTree) -> Self {
        Self {
            name: "sdk".to_owned(),
            root: sdk.root,
            path: sdk.path.clone(),
        }
    }

    /// Returns the layer of the toolchain.
    pub fn of_toolchain(toolchain: &Toolchain) -> Self {
        Self {
            name: "toolchain".to_owned(),
            root: toolchain.root,
            path: toolchain.path.clone(),
        }
    }

    /// Makes the layer of the distribution's RPM macros, below `etc/rpm`, where rpm looks for them.
    ///
    /// # Errors
    /// When the macros cannot be read or stored.
    pub fn of_macros(macros: &Utf8Path, store: &Store) -> Result<(Self, FolderSnapshot), BuildError> {
        let snapshot = FolderSnapshot::take(macros)?;
        let mut placed = FolderSnapshot::default();
        placed.extend_below("etc/rpm", snapshot.clone());
        let root = placed.directory().map_err(BuildError::input("macros"))?.blob();
        let path = match store.directory(&root.digest) {
            Some(path) => path,
            None => {
                let workspace = store.workspace()?;
                let folder = workspace.path().join("macros");
                fs_err::create_dir(&folder).map_err(FileError::new("cannot create", &folder))?;
                placed.write_to(&folder, 0o022)?;
                let adopted = store.adopt_directory(&folder)?;
                store.directory_path(&adopted.root.digest)
            }
        };
        let name = "macros".to_owned();
        Ok((Self { name, root, path }, snapshot))
    }
}

impl BuildBase {
    /// Makes the layers of a distribution: its macros, the toolchain, the SDK. In a store of [digests
    /// only](Store::digests_only), the toolchain may be known by its digest; [`Self::materialize`] makes it then.
    ///
    /// # Errors
    /// When files of the content cannot be read, or when the toolchain cannot be made.
    pub fn make(content: &DistributionContent, sdk: &SdkTree, arch: Arch, store: &Store) -> Result<Self, BuildError> {
        let toolchain = basalt_sdk::toolchain(store, sdk, &content.file(ContentFile::Toolchain).path, arch)?;
        let folder = content.own_folder(ContentFolder::Macros);
        let (macros, files) = Layer::of_macros(&folder.path, store)?;
        let mut materials = Vec::new();
        for file in [ContentFile::SdkLock, ContentFile::Toolchain] {
            let ContentPath { path, name } = content.file(file);
            let bytes = fs_err::read(&path).map_err(FileError::new("cannot read", &path))?;
            materials.push((name.into_string(), Blob::of(bytes)));
        }
        let files = files.files();
        materials.extend(files.map(|(name, file)| (folder.join(name).name.into_string(), file.blob)));
        let layers = vec![macros, Layer::of_toolchain(&toolchain), Layer::of_sdk(sdk)];
        Ok(Self {
            materials,
            ..Self::of_layers(content.clone(), layers, arch)
        })
    }

    /// Returns a base of layers whose digests are known, the uppermost first, without materials; [`Self::materialize`]
    /// makes them from the files of the content.
    pub fn of_layers(content: DistributionContent, layers: Vec<Layer>, arch: Arch) -> Self {
        Self {
            layers,
            arch,
            jobs: basalt_schedule::cores(),
            materials: Vec::new(),
            content,
            making: Arc::default(),
        }
    }

    /// Makes the layers that are known by digest only, and records the use of all of them, so that no collection
    /// removes a layer while something runs on it. Nothing can be run in a build root before that.
    ///
    /// # Errors
    /// When a layer cannot be made, or has another digest than expected.
    pub fn materialize(&self, store: &Store, reporter: &dyn Reporter) -> Result<(), BuildError> {
        let _alone = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        // The use of every layer is recorded, also when one is missing.
        let missing = self
            .layers
            .iter()
            .filter(|layer| store.directory(&layer.root.digest).is_none());
        if missing.count() == 0 {
            return Ok(());
        }
        let sdk = basalt_sdk::ensure(store, &self.content.file(ContentFile::SdkLock).path, reporter)?;
        let toolchain = basalt_sdk::toolchain(store, &sdk, &self.content.file(ContentFile::Toolchain).path, self.arch)?;
        for made in [Layer::of_sdk(&sdk), Layer::of_toolchain(&toolchain)] {
            if !self.layers.contains(&made) {
                return Err(BuildError::OtherBase { layer: made.name });
            }
        }
        Ok(())
    }

    /// Returns the layers as inputs of an action, numbered by their position in the stack.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (String, Node)> {
        let layers = self.layers.iter().enumerate();
        layers.map(|(place, layer)| (format!("layers/base-{place}-{}", layer.name), Node::Tree(layer.root)))
    }

    /// Returns a sandbox on these layers, with the layers of `upper` above them, the uppermost first.
    pub(crate) fn sandbox(
        &self,
        upper: &[Utf8PathBuf],
        environment: &BuildEnvironment,
        scratch: Option<Utf8PathBuf>,
    ) -> Sandbox {
        let base = self.layers.iter().map(|layer| layer.path.clone());
        let mut sandbox = Sandbox::new(Root {
            layers: upper.iter().cloned().chain(base).collect(),
            scratch,
        })
        .hostname(&environment.host_name)
        .user(environment.user)
        .umask(environment.umask)
        .current_dir(&environment.directory);
        if let Some(number) = environment.processor {
            sandbox = sandbox.processor(number);
        }
        let variables = environment.action_variables(self.arch).into_iter();
        for (name, value) in variables.chain(environment.machine_variables()) {
            sandbox = sandbox.env(name, value);
        }
        sandbox
    }
}

impl BuildError {
    /// For `map_err`: inputs of an action whose paths collide.
    pub(crate) fn input(what: &str) -> impl FnOnce(basalt_action::DirectoryError) -> Self {
        let what = what.to_owned();
        move |source| Self::Inputs { what, source }
    }
}

impl From<FolderSnapshotError> for BuildError {
    fn from(error: FolderSnapshotError) -> Self {
        match error {
            FolderSnapshotError::Store(error) => error.into(),
            error => Self::Snapshot(Box::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use basalt_progress::Silent;

    use super::*;

    #[test]
    fn layers_that_are_there_are_marked_as_used() {
        let guard = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(guard.path()).expect("UTF-8");
        let store = Store::open(&root.join("store")).expect("opens");
        let macros = root.join("macros");
        fs_err::create_dir(&macros).expect("made");
        fs_err::write(macros.join("macros.basalt"), "%x 1\n").expect("written");
        let (layer, _) = Layer::of_macros(&macros, &store).expect("made");
        let long_ago = SystemTime::now() - Duration::from_secs(20 * 24 * 60 * 60);
        let folder = fs_err::File::open(&layer.path).expect("there");
        folder.set_modified(long_ago).expect("set");
        let base = BuildBase::of_layers(
            DistributionContent::of_checkout(root),
            vec![layer.clone()],
            Arch::X86_64,
        );
        base.materialize(&store, &Silent).expect("everything is there");
        let used = layer
            .path
            .metadata()
            .and_then(|found| found.modified())
            .expect("a time");
        let age = SystemTime::now().duration_since(used).unwrap_or_default();
        assert!(age < Duration::from_secs(60 * 60), "{age:?}");
    }
}
