//! Materials of a build, by name and digest, for provenance statements.

use basalt_digest::Digest;
use basalt_sources::{Material, Tools};
use serde::{Deserialize, Serialize};

use crate::BuildError;
use crate::build_base::BuildBase;
use crate::built::BuiltRpm;
use crate::package::DistributionPackage;
use crate::plan::ResolvedBuild;

/// Materials of a package's build, from the same data as the package's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildMaterials {
    /// Name of the source package.
    pub name: String,
    /// Version and release.
    pub version: String,
    /// Architecture that the package was built for.
    pub arch: String,
    /// Key: the digest of the action.
    pub key: Digest,
    /// Version of basalt.
    pub toolkit: String,
    /// Layers below every build root, by name, with the digests of their contents.
    pub base: Vec<(String, Digest)>,
    /// Files of the repository that the layers are made from.
    pub foundation: Vec<Material>,
    /// Files of the package's folder: spec, lock of sources, patches.
    pub folder: Vec<Material>,
    /// Upstream sources.
    pub sources: Vec<Material>,
    /// RPMs in the build root.
    pub sysroot: Vec<UsedRpm>,
}

/// An RPM in the build root of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedRpm {
    /// Name of the package.
    pub name: String,
    /// Version and release, with the epoch if there is one.
    pub evr: String,
    /// Architecture.
    pub arch: String,
    /// File name.
    pub file: String,
    /// SHA-256 digest of the file.
    pub sha256: Digest,
}

impl BuildMaterials {
    /// Collects the materials of a build.
    ///
    /// # Errors
    /// When files of the repository that are sources of the package cannot be read.
    pub(crate) fn of(
        build: &ResolvedBuild,
        package: &DistributionPackage,
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
    fn of(rpm: &BuiltRpm) -> Self {
        Self {
            name: rpm.package.name.clone(),
            evr: rpm.package.evr(),
            arch: rpm.package.arch.clone(),
            file: rpm.file.clone(),
            sha256: rpm.digest,
        }
    }
}
