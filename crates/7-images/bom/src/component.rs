//! A component: the smallest thing that has a name, a version and a licence of its own.

use basalt_digest::Digest;
use serde::{Deserialize, Serialize};

/// Type of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentKind {
    /// A binary package of this distribution, an RPM.
    Package,
    /// A module that is linked into a Go program. Go's standard library is the module `stdlib`.
    GoModule,
    /// A crate that is linked into a Rust program.
    Crate,
}

/// Component of a package or an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// Type of the component.
    pub kind: ComponentKind,
    /// The name of the package, the path of the Go module, the name of the crate.
    pub name: String,
    /// Version: of a package `1.3.1-1.bs1` (with an epoch in front, if there is one), of a module `v1.2.3`, of Go's
    /// standard library `1.27.1`, of a crate `1.2.3`.
    pub version: String,
    /// The package URL, which is also its identity in an [`Inventory`](crate::Inventory).
    pub purl: String,
    /// The CPE 2.3 name, of a package whose upstream is known by one in the NVD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpe: Option<String>,
    /// The licence, an SPDX expression; none when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// The SHA-256 of the RPM, or of the crate's archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Hash of a Go module as in `go.sum`: `h1:` and base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go_sum: Option<String>,
    /// The programs that it is linked into, sorted; empty for a package.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inside: Vec<PackagedFile>,
    /// Sources of a package; `None` for linked modules and crates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// A file of a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackagedFile {
    /// The binary package.
    pub package: String,
    /// The absolute path of the file.
    pub file: String,
}

/// Source package that a binary package is built from, and its upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The source package: its folder below `distro/packages`.
    pub package: String,
    /// Name of the upstream project in vulnerability databases: `linux` for `kernel`.
    pub upstream: String,
    /// Upstream's version, without our release.
    pub version: String,
    /// Source files that were downloaded for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceFile>,
}

/// Source file from upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceFile {
    /// File name.
    pub file: String,
    /// Upstream's release.
    pub url: String,
    /// The SHA-256 of what is built.
    pub digest: Digest,
    /// `true` if these bytes are a distribution's repack of the file at `url`.
    #[serde(default)]
    pub repack: bool,
}
