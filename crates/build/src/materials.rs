//! Materials of a build, by name and digest: for statements of where a package comes from.

use basalt_model::digest::Digest;
use basalt_sources::{Material, Tools};
use serde::{Deserialize, Serialize};

use crate::BuildError;
use crate::build_base::BuildBase;
use crate::built::Rpm;
use crate::package::Package;
use crate::plan::ResolvedBuild;

/// Everything that went into a package. It follows from the same facts as the package's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildMaterials {
    /// The source package's name.
    pub name: String,
    /// Its version and release.
    pub version: String,
    /// The architecture that it was built for.
    pub arch: String,
    /// The key: the digest of the action.
    pub key: Digest,
    /// The version of the toolkit.
    pub toolkit: String,
    /// The folders that every build begins with, by name: digests of their contents.
    pub base: Vec<(String, Digest)>,
    /// The files of the repository that these are made from.
    pub foundation: Vec<Material>,
    /// The files of the package's folder: spec, lock of sources, patches.
    pub folder: Vec<Material>,
    /// Its sources.
    pub sources: Vec<Material>,
    /// The RPMs that it was built with.
    pub sysroot: Vec<UsedRpm>,
}

/// An RPM that a package was built with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedRpm {
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

impl BuildMaterials {
    /// The materials of a build.
    ///
    /// # Errors
    /// When files of the repository that its sources name cannot be read.
    pub(crate) fn of(
        build: &ResolvedBuild,
        package: &Package,
        base: &BuildBase,
        tools: &Tools,
    ) -> Result<Self, BuildError> {
        let material = |name: String, sha256: Digest| Material {
            name,
            url: None,
            repack_of: None,
            sha256,
        };
        let folder = package.files.files().map(|(name, file)| {
            let name = format!("distro/packages/{}/{name}", package.name());
            material(name, file.blob.digest)
        });
        let foundation = base.materials.iter();
        let foundation = foundation.map(|(name, blob)| material(name.clone(), blob.digest));
        let layers = base.layers.iter().map(|layer| (layer.name.clone(), layer.root.digest));
        Ok(Self {
            name: package.name().to_owned(),
            version: format!("{}-{}", package.spec.version, package.spec.release),
            arch: base.arch.name().to_owned(),
            key: build.key(),
            toolkit: env!("CARGO_PKG_VERSION").to_owned(),
            base: layers.collect(),
            foundation: foundation.collect(),
            folder: folder.collect(),
            sources: package.sources.materials(tools)?,
            sysroot: build
                .tools
                .iter()
                .chain(&build.sysroot)
                .map(|rpm| UsedRpm::of(rpm))
                .collect(),
        })
    }
}

impl UsedRpm {
    fn of(rpm: &Rpm) -> Self {
        Self {
            name: rpm.package.name.clone(),
            evr: rpm.package.evr(),
            arch: rpm.package.arch.clone(),
            file: rpm.file.clone(),
            sha256: rpm.digest,
        }
    }
}
