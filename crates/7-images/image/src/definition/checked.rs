//! A definition as it can be relied on.

use std::collections::BTreeMap;
use std::fmt;

use miette::Diagnostic;
use serde::{Serialize, Serializer};
use thiserror::Error;

use super::raw::Kind;

/// Room for three kernels of 12 MiB many times over; the least with which FAT32 has clusters of 4 KiB.
const ESP_MIB: u32 = 260;
/// Twice what a node needs today.
const ROOT_MIB: u32 = 400;

/// What an image is made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageDefinition {
    /// Its name.
    pub name: String,
    /// The image that it begins with.
    pub extends: Option<String>,
    /// The packages to install, without what they require.
    pub packages: Vec<String>,
    /// What of the packages it goes without.
    pub exclude: Vec<PathPattern>,
    /// What it is, and what only that kind has.
    pub kind: ImageKind,
}

/// What an image is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum ImageKind {
    /// A disk that a machine boots from.
    Disk(DiskSettings),
    /// A container image.
    Container(ContainerSettings),
    /// A folder of files.
    Tree,
}

/// What only disks have.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DiskSettings {
    /// What the kernel is told.
    pub kernel_arguments: Vec<String>,
    pub(super) esp_mib: Option<u32>,
    pub(super) root_mib: Option<u32>,
}

/// What only containers have.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ContainerSettings {
    /// The program.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments that can be replaced.
    pub command: Option<Vec<String>>,
    /// User and group.
    pub user: Option<String>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
}

/// Something that matches paths, with all that is below them.
#[derive(Debug, Clone, PartialEq)]
pub struct PathPattern(pub(super) glob::Pattern);

/// An image cannot extend one of another kind.
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
    /// This definition on top of the one that it extends.
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
        Ok(Self {
            name: self.name,
            extends: None,
            packages: with(&base.packages, self.packages),
            exclude: with(&base.exclude, self.exclude),
            kind,
        })
    }
}

/// A list with what another one has more.
fn with<T: Clone + PartialEq>(base: &[T], own: Vec<T>) -> Vec<T> {
    let mut all = base.to_vec();
    all.extend(own.into_iter().filter(|item| !base.contains(item)));
    all
}

impl ImageKind {
    /// A word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Disk(_) => "disk",
            Self::Container(_) => "container",
            Self::Tree => "tree",
        }
    }

    /// The kind alone.
    pub fn plain(&self) -> Kind {
        match self {
            Self::Disk(_) => Kind::Disk,
            Self::Container(_) => Kind::Container,
            Self::Tree => Kind::Tree,
        }
    }
}

impl DiskSettings {
    /// The size of the EFI system partition in MiB.
    pub fn esp_mib(&self) -> u32 {
        self.esp_mib.unwrap_or(ESP_MIB)
    }

    /// The size of each root partition in MiB.
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
    /// Whether it means an absolute path, or a folder that the path is in.
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
