//! Data model of the XML of a repository's metadata.
//!
//! Elements are in the order in which createrepo_c writes them. Deserialization sees names without their prefix; hence
//! the two names of elements that are written with one.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// XML namespace of `primary.xml`, as createrepo_c declares it.
pub const COMMON: &str = "http://linux.duke.edu/metadata/common";
/// XML namespace of what is RPM's own.
pub const RPM: &str = "http://linux.duke.edu/metadata/rpm";
/// XML namespaces of the other formats.
pub(crate) const REPO: &str = "http://linux.duke.edu/metadata/repo";
pub(crate) const FILELISTS: &str = "http://linux.duke.edu/metadata/filelists";
pub(crate) const OTHER: &str = "http://linux.duke.edu/metadata/other";

/// `repomd.xml`: list of all other files, with their digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "repomd")]
pub struct Repomd {
    /// Default namespace.
    #[serde(rename = "@xmlns", default)]
    pub namespace: String,
    /// Namespace of the prefix `rpm`.
    #[serde(rename = "@xmlns:rpm", default)]
    pub rpm_namespace: String,
    /// Revision, which grows with every change: seconds since 1970 as createrepo_c and Basalt write it.
    #[serde(default)]
    pub revision: String,
    /// Files of the metadata.
    #[serde(default)]
    pub data: Vec<Data>,
}

/// Entry of `repomd.xml` about a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// Type of the file: `primary`, `filelists`, `other`, `updateinfo`.
    #[serde(rename = "@type")]
    pub kind: String,
    /// Digest of the file as it is served.
    pub checksum: Checksum,
    /// Digest of the decompressed content.
    #[serde(rename = "open-checksum", default, skip_serializing_if = "Option::is_none")]
    pub open_checksum: Option<Checksum>,
    /// Path, relative to the repository's folder.
    pub location: Location,
    /// Time of creation, in seconds since 1970.
    #[serde(default, deserialize_with = "seconds")]
    pub timestamp: u64,
    /// Size of the file in bytes; some writers leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Size of the decompressed content in bytes.
    #[serde(rename = "open-size", default, skip_serializing_if = "Option::is_none")]
    pub open_size: Option<u64>,
}

/// Reads a time as older writers have it: with a fraction (createrepo), or negative where there was none. Both are rounded
/// to seconds since 1970.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let whole = text.trim().split('.').next().unwrap_or_default();
    let number: i64 = whole
        .parse()
        .map_err(|_| D::Error::custom(format!("`{text}` is not a time in seconds")))?;
    Ok(u64::try_from(number).unwrap_or_default())
}

/// A digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// Algorithm: `sha256`.
    #[serde(rename = "@type")]
    pub kind: String,
    /// `YES` where the digest is the id of a package in the other files.
    #[serde(rename = "@pkgid", default, skip_serializing_if = "Option::is_none")]
    pub package_id: Option<String>,
    /// Digest in hexadecimal digits.
    #[serde(rename = "$text", default)]
    pub value: String,
}

/// Location of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Base URL other than the repository's, which Basalt never writes and rejects when read.
    #[serde(rename = "@xml:base", default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Path, relative to the repository's folder.
    #[serde(rename = "@href")]
    pub href: String,
}

/// `primary.xml`: the data from which packages are chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "metadata")]
pub struct Primary {
    /// Default namespace.
    #[serde(rename = "@xmlns", default)]
    pub namespace: String,
    /// Namespace of the prefix `rpm`.
    #[serde(rename = "@xmlns:rpm", default)]
    pub rpm_namespace: String,
    /// Number of the packages that follow.
    #[serde(rename = "@packages")]
    pub count: usize,
    /// The packages.
    #[serde(rename = "package", default)]
    pub packages: Vec<PrimaryPackage>,
}

/// A package in `primary.xml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrimaryPackage {
    /// Type of the package: `rpm`.
    #[serde(rename = "@type", default)]
    pub kind: String,
    /// Name of the package.
    pub name: String,
    /// Architecture; `src` for source packages.
    pub arch: String,
    /// Epoch, version and release.
    pub version: Version,
    /// Digest of the RPM file.
    pub checksum: Checksum,
    /// Summary, one line.
    #[serde(default)]
    pub summary: String,
    /// Description, several lines.
    #[serde(default)]
    pub description: String,
    /// Packager of the RPM, from its header.
    #[serde(default)]
    pub packager: String,
    /// Home page of upstream.
    #[serde(default)]
    pub url: String,
    /// Times of the file and of the build.
    #[serde(default)]
    pub time: Time,
    /// Sizes of the file and of its content.
    pub size: Size,
    /// Path of the RPM, relative to the repository's folder.
    pub location: Location,
    /// Fields in rpm's own namespace.
    pub format: Format,
}

/// Version of a package or capability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Epoch, a number; empty means 0.
    #[serde(rename = "@epoch", default)]
    pub epoch: String,
    /// Upstream version.
    #[serde(rename = "@ver")]
    pub version: String,
    /// Release of the packaging.
    #[serde(rename = "@rel")]
    pub release: String,
}

/// Times of a package, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Time {
    /// Time at which the file was added to the repository.
    #[serde(rename = "@file", default, deserialize_with = "seconds")]
    pub file: u64,
    /// Build time.
    #[serde(rename = "@build", default, deserialize_with = "seconds")]
    pub build: u64,
}

/// Sizes of a package, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Size of the RPM file.
    #[serde(rename = "@package")]
    pub package: u64,
    /// Size of the installed files.
    #[serde(rename = "@installed", default)]
    pub installed: u64,
    /// Size of the decompressed payload.
    #[serde(rename = "@archive", default)]
    pub archive: u64,
}

/// Fields of the RPM's header that dependency solvers and user interfaces need.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Format {
    /// Licence.
    #[serde(rename(serialize = "rpm:license", deserialize = "license"), default)]
    pub license: String,
    /// Vendor.
    #[serde(rename(serialize = "rpm:vendor", deserialize = "vendor"), default)]
    pub vendor: String,
    /// Group, which is obsolete.
    #[serde(rename(serialize = "rpm:group", deserialize = "group"), default)]
    pub group: String,
    /// Name of the host of the build.
    #[serde(rename(serialize = "rpm:buildhost", deserialize = "buildhost"), default)]
    pub build_host: String,
    /// File name of the source package; empty for source packages.
    #[serde(rename(serialize = "rpm:sourcerpm", deserialize = "sourcerpm"), default)]
    pub source: String,
    /// Position of the main header in the file.
    #[serde(rename(serialize = "rpm:header-range", deserialize = "header-range"), default)]
    pub header_range: HeaderRange,
    /// Capabilities that the package provides.
    #[serde(
        rename(serialize = "rpm:provides", deserialize = "provides"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub provides: Entries,
    /// Capabilities that the package requires.
    #[serde(
        rename(serialize = "rpm:requires", deserialize = "requires"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub requires: Entries,
    /// Capabilities that the package cannot be installed with.
    #[serde(
        rename(serialize = "rpm:conflicts", deserialize = "conflicts"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub conflicts: Entries,
    /// Packages that this one replaces.
    #[serde(
        rename(serialize = "rpm:obsoletes", deserialize = "obsoletes"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub obsoletes: Entries,
    /// Capabilities that go well with the package (very weak dependency).
    #[serde(
        rename(serialize = "rpm:suggests", deserialize = "suggests"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub suggests: Entries,
    /// Capabilities with which the package goes well (reverse of `suggests`).
    #[serde(
        rename(serialize = "rpm:enhances", deserialize = "enhances"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub enhances: Entries,
    /// Capabilities that are installed with the package by default (weak dependency).
    #[serde(
        rename(serialize = "rpm:recommends", deserialize = "recommends"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub recommends: Entries,
    /// Capabilities with which the package is installed by default (reverse of `recommends`).
    #[serde(
        rename(serialize = "rpm:supplements", deserialize = "supplements"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub supplements: Entries,
    /// Files that other packages are likely to require by path.
    #[serde(rename = "file", default)]
    pub files: Vec<File>,
}

/// Range of bytes of the main header in the RPM file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HeaderRange {
    /// Offset of the first byte.
    #[serde(rename = "@start")]
    pub start: u64,
    /// Offset after the last byte.
    #[serde(rename = "@end")]
    pub end: u64,
}

/// A list of capabilities.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Entries {
    /// Capabilities in the order of the header.
    #[serde(rename(serialize = "rpm:entry", deserialize = "entry"), default)]
    pub entries: Vec<Entry>,
}

impl Entries {
    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A capability, with an optional range of versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Name of the capability, or path of a file.
    #[serde(rename = "@name")]
    pub name: String,
    /// Comparison of the version: `EQ`, `LT`, `LE`, `GT`, `GE`; none for any version.
    #[serde(rename = "@flags", default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<String>,
    /// Epoch of the version.
    #[serde(rename = "@epoch", default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// Version without epoch and release.
    #[serde(rename = "@ver", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Release of the version.
    #[serde(rename = "@rel", default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// `1` where the capability must be installed before scriptlets run.
    #[serde(rename = "@pre", default, skip_serializing_if = "Option::is_none")]
    pub pre: Option<String>,
}

/// A file of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Type: `dir` or `ghost`; none for other files.
    #[serde(rename = "@type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Absolute path.
    #[serde(rename = "$text", default)]
    pub path: String,
}

/// `filelists.xml`: all files of all packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "filelists")]
pub struct Filelists {
    /// Default namespace.
    #[serde(rename = "@xmlns", default)]
    pub namespace: String,
    /// Number of the packages that follow.
    #[serde(rename = "@packages")]
    pub count: usize,
    /// The packages.
    #[serde(rename = "package", default)]
    pub packages: Vec<FilelistsPackage>,
}

/// A package in `filelists.xml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilelistsPackage {
    /// Digest of the RPM, which is the package's id in `primary.xml`.
    #[serde(rename = "@pkgid")]
    pub package_id: String,
    /// Name of the package.
    #[serde(rename = "@name")]
    pub name: String,
    /// Architecture.
    #[serde(rename = "@arch")]
    pub arch: String,
    /// Epoch, version and release.
    pub version: Version,
    /// Files of the package.
    #[serde(rename = "file", default)]
    pub files: Vec<File>,
}

/// `other.xml`: changelogs of all packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "otherdata")]
pub struct Other {
    /// Default namespace.
    #[serde(rename = "@xmlns", default)]
    pub namespace: String,
    /// Number of the packages that follow.
    #[serde(rename = "@packages")]
    pub count: usize,
    /// The packages.
    #[serde(rename = "package", default)]
    pub packages: Vec<OtherPackage>,
}

/// A package in `other.xml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherPackage {
    /// Digest of the RPM, which is the package's id in `primary.xml`.
    #[serde(rename = "@pkgid")]
    pub package_id: String,
    /// Name of the package.
    #[serde(rename = "@name")]
    pub name: String,
    /// Architecture.
    #[serde(rename = "@arch")]
    pub arch: String,
    /// Epoch, version and release.
    pub version: Version,
    /// Changelog, the oldest entry first.
    #[serde(rename = "changelog", default)]
    pub changes: Vec<Changelog>,
}

/// An entry of a package's changelog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changelog {
    /// Author and version of the change.
    #[serde(rename = "@author", default)]
    pub author: String,
    /// Time of the change, in seconds since 1970.
    #[serde(rename = "@date", default)]
    pub date: u64,
    /// Text of the change.
    #[serde(rename = "$text", default)]
    pub text: String,
}

/// `updateinfo.xml`: advisories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "updates")]
pub struct Updateinfo {
    /// The advisories.
    #[serde(rename = "update", default)]
    pub updates: Vec<Update>,
}

/// An advisory in `updateinfo.xml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Issuer of the advisory.
    #[serde(rename = "@from", default)]
    pub from: String,
    /// State of the advisory: `final`.
    #[serde(rename = "@status", default)]
    pub status: String,
    /// Kind of the change: `security`, `bugfix`, `enhancement`.
    #[serde(rename = "@type", default)]
    pub kind: String,
    /// Version of the advisory itself.
    #[serde(rename = "@version", default)]
    pub version: String,
    /// Id of the advisory: `BASALT-2026-0001`.
    pub id: String,
    /// Title, one line.
    #[serde(default)]
    pub title: String,
    /// Severity: `Critical`, `Important`, `Moderate`, `Low`, `None`.
    #[serde(default)]
    pub severity: String,
    /// Date of issue.
    #[serde(default)]
    pub issued: Date,
    /// Description, free text.
    #[serde(default)]
    pub description: String,
    /// References to other databases.
    #[serde(default)]
    pub references: References,
    /// Packages that fix the defect.
    #[serde(default)]
    pub pkglist: PackageLists,
}

/// An element that holds a date.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Date {
    /// Date, `YYYY-MM-DD`: `2026-11-25`.
    #[serde(rename = "@date")]
    pub date: String,
}

/// A list of references.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct References {
    /// The references.
    #[serde(rename = "reference", default)]
    pub references: Vec<Reference>,
}

/// A reference to another database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Address of the entry.
    #[serde(rename = "@href")]
    pub href: String,
    /// Id in that database.
    #[serde(rename = "@id", default)]
    pub id: String,
    /// Title of the entry.
    #[serde(rename = "@title", default)]
    pub title: String,
    /// Type of the reference: `cve`, `bugzilla`, `self`, `other`.
    #[serde(rename = "@type", default)]
    pub kind: String,
}

/// Lists of packages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PackageLists {
    /// The lists.
    #[serde(rename = "collection", default)]
    pub collections: Vec<Collection>,
}

/// A list of packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// Short name of the collection.
    #[serde(rename = "@short", default)]
    pub short: String,
    /// Name of the collection.
    #[serde(default)]
    pub name: String,
    /// The packages.
    #[serde(rename = "package", default)]
    pub packages: Vec<FixedPackage>,
}

/// A package that fixes the defect, with its first fixed version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedPackage {
    /// Name of the package.
    #[serde(rename = "@name")]
    pub name: String,
    /// Version without epoch and release.
    #[serde(rename = "@version")]
    pub version: String,
    /// Release of the packaging.
    #[serde(rename = "@release")]
    pub release: String,
    /// Epoch, a number.
    #[serde(rename = "@epoch", default)]
    pub epoch: String,
    /// Architecture.
    #[serde(rename = "@arch")]
    pub arch: String,
    /// File name of the RPM, `<name>-<version>-<release>.<arch>.rpm`.
    #[serde(default)]
    pub filename: String,
}
