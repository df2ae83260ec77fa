//! All components of a package or an image.

use serde::{Deserialize, Serialize};

use crate::{Component, Kind};

/// What an inventory is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// The name of the image, or of the source package.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The architecture.
    pub arch: String,
    /// Whether it is an image.
    pub image: bool,
}

/// Everything that is inside a package or an image, each thing once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// What it is about.
    pub subject: Subject,
    /// The components: packages first, each kind sorted by name and version.
    pub components: Vec<Component>,
    /// How they belong together, sorted.
    pub relations: Vec<Relation>,
}

/// How two components belong together, each named by its package URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Relation {
    /// The one.
    pub from: String,
    /// How.
    pub kind: RelationKind,
    /// The other.
    pub to: String,
}

/// A way in which two components belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelationKind {
    /// A program of the first, which is a package, has the second linked into it.
    Contains,
    /// The first requires the second when it runs; both are packages.
    DependsOn,
}

impl Inventory {
    /// The components of one kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Component> {
        self.components.iter().filter(move |component| component.kind == kind)
    }

    /// The component of that package URL.
    pub fn component(&self, purl: &str) -> Option<&Component> {
        self.components.iter().find(|component| component.purl == purl)
    }
}
