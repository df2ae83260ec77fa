//! What went into a package, as far as its key knows it: the ground for statements of where it comes from.

use basalt_model::digest::{Digest, Hasher};
use basalt_sources::{Material, SourceSet, Tools};
use basalt_store::{Store, StoreError};
use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::BuildError;
use crate::built::Rpm;
use crate::root::package_files;
use crate::spec::{Folder, SourcePackage};

/// Files of the repository that every build stands on: what the tools are, and how this distribution compiles.
const FOUNDATION: [&str; 2] = ["distro/sdk/sdk.lock", "distro/toolchain/toolchain.toml"];
const MACROS: &str = "distro/macros";

/// What went into a package. It follows from the same facts as the package's key, so whoever knows the key knows this,
/// whenever it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// The source package's name.
    pub name: String,
    /// Its version and release.
    pub version: String,
    /// The architecture that it was built for.
    pub arch: String,
    /// The digest of all that is named here.
    pub key: Digest,
    /// The version of the way in which the engine builds.
    pub engine: String,
    /// The version of the toolkit.
    pub toolkit: String,
    /// The digest of what every build stands on: tools, toolchain, macros.
    pub ground: Digest,
    /// The files that decide it.
    pub foundation: Vec<Material>,
    /// The files of the package's folder: spec, lock of sources, patches.
    pub folder: Vec<Material>,
    /// Its sources.
    pub sources: Vec<Material>,
    /// The RPMs that it was compiled against.
    pub sysroot: Vec<Ingredient>,
}

/// An RPM that a package was compiled against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingredient {
    /// The package's name.
    pub name: String,
    /// Its version and release, with the epoch if there is one.
    pub evr: String,
    /// Its architecture.
    pub arch: String,
    /// The name of the file.
    pub file: String,
    /// The digest of the file.
    pub sha256: Digest,
}

/// The facts about one build, in the hands of the engine.
pub(crate) struct Facts<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) package: &'a SourcePackage,
    pub(crate) arch: &'a str,
    pub(crate) engine: &'a str,
    pub(crate) key: Digest,
    pub(crate) ground: Digest,
    pub(crate) sysroot: &'a [Rpm],
    pub(crate) tools: &'a Tools,
}

impl Inputs {
    /// What is written down about the build of that key.
    pub fn of(key: &Digest, store: &Store) -> Option<Self> {
        store.result(&name(key))
    }

    /// Writes down what went into a build, unless it is known.
    pub(crate) fn remember(facts: &Facts<'_>, store: &Store) -> Result<(), BuildError> {
        let name = name(&facts.key);
        if store.has_result(&name) {
            return Ok(());
        }
        Ok(store.set_result(&name, &Self::gather(facts)?)?)
    }

    fn gather(facts: &Facts<'_>) -> Result<Self, BuildError> {
        let root = &facts.tools.root;
        let read = |path: &Utf8Path| {
            Material::of_repository(root, path).map_err(StoreError::io("cannot read", &root.join(path)))
        };
        let mut foundation = Vec::new();
        for path in FOUNDATION {
            foundation.push(read(Utf8Path::new(path))?);
        }
        let macros = Folder {
            name: "macros".to_owned(),
            path: root.join(MACROS),
        };
        for (name, _) in package_files(&macros)? {
            foundation.push(read(&Utf8Path::new(MACROS).join(name))?);
        }
        let mut folder = Vec::new();
        for (name, path) in package_files(facts.folder)? {
            let content = fs_err::read(&path).map_err(StoreError::io("cannot read", &path))?;
            folder.push(Material::named(
                format!("distro/packages/{}/{name}", facts.folder.name),
                &content,
            ));
        }
        let sysroot = facts.sysroot.iter().map(|rpm| Ingredient {
            name: rpm.package.name.clone(),
            evr: rpm.package.evr(),
            arch: rpm.package.arch.clone(),
            file: rpm.file.clone(),
            sha256: rpm.digest,
        });
        Ok(Self {
            name: facts.package.name.clone(),
            version: format!("{}-{}", facts.package.version, facts.package.release),
            arch: facts.arch.to_owned(),
            key: facts.key,
            engine: facts.engine.to_owned(),
            toolkit: env!("CARGO_PKG_VERSION").to_owned(),
            ground: facts.ground,
            foundation,
            folder,
            sources: SourceSet::load(&facts.folder.path)?.materials(facts.tools)?,
            sysroot: sysroot.collect(),
        })
    }
}

/// Under which name it is kept.
fn name(key: &Digest) -> Digest {
    let mut hasher = Hasher::new();
    hasher.fact("what went into a build", "1").fact("key", key.as_bytes());
    hasher.finish()
}
