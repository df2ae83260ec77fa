//! Definitions of images after all checks.

use std::collections::BTreeMap;
use std::fmt;

use miette::Diagnostic;
use serde::{Serialize, Serializer};
use thiserror::Error;

use super::raw::Kind;

/// Default size of the EFI system partition in MiB: far more than three kernels of 12 MiB, and the minimum for FAT32
/// with clusters of 4 KiB.
const ESP_MIB: u32 = 260;
/// Default size of a root partition in MiB: twice the size of a node's root file system today.
const ROOT_MIB: u32 = 400;

/// Definition of an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageDefinition {
    /// Name of the image.
    pub name: String,
    /// Name of the image that this one extends; `None` once the two are merged.
    pub extends: Option<String>,
    /// Names of the packages to install, without their requirements.
    pub packages: Vec<String>,
    /// Packages that a variant has in addition, by the name of the variant. No part of an image, and of its key.
    #[serde(skip)]
    pub variants: BTreeMap<String, Vec<String>>,
    /// `true` for a variant of the image of a definition.
    #[serde(skip)]
    pub is_variant: bool,
    /// Patterns of the packages' paths that are left out of the image.
    pub exclude: Vec<PathPattern>,
    /// Kind of the image, with the settings of that kind.
    pub kind: ImageKind,
}

/// Kind of an image, with its settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum ImageKind {
    /// Disk that a machine boots from.
    Disk(DiskSettings),
    /// Container image.
    Container(ContainerSettings),
    /// Folder of files.
    Tree,
}

/// Settings that only disks have.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DiskSettings {
    /// Arguments that the composer appends to the kernel command line.
    pub kernel_arguments: Vec<String>,
    pub(super) esp_mib: Option<u32>,
    pub(super) root_mib: Option<u32>,
}

/// Settings that only container images have.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ContainerSettings {
    /// Program to run, with its first arguments (`Entrypoint` of OCI).
    pub entrypoint: Option<Vec<String>>,
    /// Default arguments, replaced by those given at run time (`Cmd` of OCI).
    pub command: Option<Vec<String>>,
    /// UID, or UID and GID: `65532:65532` (`User` of OCI).
    pub user: Option<String>,
    /// Environment variables by name.
    pub environment: BTreeMap<String, String>,
}

/// Glob pattern of absolute paths; everything below a matching path matches as well.
#[derive(Debug, Clone, PartialEq)]
pub struct PathPattern(pub(super) glob::Pattern);

/// Error of an image that extends one of another kind.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[error("the image `{name}` is a {kind} and cannot extend `{base}`, which is a {base_kind}")]
#[diagnostic(
    code(image::extends),
    help("take `extends` out of distro/images/{name}.yaml, or name another image there")
)]
pub struct KindMismatch {
    name: String,
    kind: &'static str,
    base: String,
    base_kind: &'static str,
}

impl ImageDefinition {
    /// Merges this definition with the one that it extends: packages, patterns, kernel arguments and environment
    /// variables are added to those of `base`, other settings replace them.
    ///
    /// # Errors
    /// When the two are of different kinds.
    pub fn extending(self, base: &Self) -> Result<Self, KindMismatch> {
        let kind = match (self.kind, &base.kind) {
            (ImageKind::Disk(own), ImageKind::Disk(base)) => ImageKind::Disk(own.over(base)),
            (ImageKind::Container(own), ImageKind::Container(base)) => ImageKind::Container(own.over(base)),
            (ImageKind::Tree, ImageKind::Tree) => ImageKind::Tree,
            (own, other) => {
                return Err(KindMismatch {
                    name: self.name,
                    kind: own.name(),
                    base: base.name.clone(),
                    base_kind: other.name(),
                });
            }
        };
        let mut variants = base.variants.clone();
        variants.extend(self.variants);
        Ok(Self {
            name: self.name,
            extends: None,
            packages: with(&base.packages, self.packages),
            variants,
            is_variant: false,
            exclude: with(&base.exclude, self.exclude),
            kind,
        })
    }

    /// Returns the variants of this image, which has to be complete with what it extends.
    pub fn variants(&self) -> impl Iterator<Item = Self> {
        self.variants.iter().map(|(variant, packages)| Self {
            name: format!("{}-{variant}", self.name),
            packages: with(&self.packages, packages.clone()),
            variants: BTreeMap::new(),
            is_variant: true,
            ..self.clone()
        })
    }
}

/// Returns `base`, followed by the items of `own` that it does not have.
fn with<T: Clone + PartialEq>(base: &[T], own: Vec<T>) -> Vec<T> {
    let mut all = base.to_vec();
    all.extend(own.into_iter().filter(|item| !base.contains(item)));
    all
}

impl ImageKind {
    /// Returns the name of the kind: `disk`, `container` or `tree`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Disk(_) => "disk",
            Self::Container(_) => "container",
            Self::Tree => "tree",
        }
    }

    /// Returns the kind without its settings.
    pub fn plain(&self) -> Kind {
        match self {
            Self::Disk(_) => Kind::Disk,
            Self::Container(_) => Kind::Container,
            Self::Tree => Kind::Tree,
        }
    }
}

impl DiskSettings {
    /// Returns the size of the EFI system partition in MiB.
    pub fn esp_mib(&self) -> u32 {
        self.esp_mib.unwrap_or(ESP_MIB)
    }

    /// Returns the size of each root partition in MiB.
    pub fn root_mib(&self) -> u32 {
        self.root_mib.unwrap_or(ROOT_MIB)
    }

    fn over(self, base: &Self) -> Self {
        Self {
            kernel_arguments: with(&base.kernel_arguments, self.kernel_arguments),
            esp_mib: self.esp_mib.or(base.esp_mib),
            root_mib: self.root_mib.or(base.root_mib),
        }
    }
}

impl ContainerSettings {
    fn over(self, base: &Self) -> Self {
        let mut environment = base.environment.clone();
        environment.extend(self.environment);
        Self {
            entrypoint: self.entrypoint.or_else(|| base.entrypoint.clone()),
            command: self.command.or_else(|| base.command.clone()),
            user: self.user.or_else(|| base.user.clone()),
            environment,
        }
    }
}

impl PathPattern {
    /// Returns `true` if the pattern matches an absolute path or one of the folders above it.
    pub fn covers(&self, path: &str) -> bool {
        const OPTIONS: glob::MatchOptions = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: false,
        };
        let folders = path.match_indices('/').filter_map(|(slash, _)| path.get(..slash));
        let folders = folders.filter(|folder| !folder.is_empty());
        folders.chain([path]).any(|path| self.0.matches_with(path, OPTIONS))
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Serialize for PathPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}
