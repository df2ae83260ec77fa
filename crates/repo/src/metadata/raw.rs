//! The XML of a repository's metadata, as it is written.
//!
//! Elements are in the order in which createrepo_c writes them. Reading looks at names without their prefix; hence the
//! two names of those that are written with one.

use serde::{Deserialize, Serialize};

/// The namespaces.
pub(crate) const COMMON: &str = "http://linux.duke.edu/metadata/common";
pub(crate) const RPM: &str = "http://linux.duke.edu/metadata/rpm";
pub(crate) const REPO: &str = "http://linux.duke.edu/metadata/repo";
pub(crate) const FILELISTS: &str = "http://linux.duke.edu/metadata/filelists";
pub(crate) const OTHER: &str = "http://linux.duke.edu/metadata/other";

/// `repomd.xml`: names all others, with their digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "repomd")]
pub struct Repomd {
    /// The namespace.
    #[serde(rename = "@xmlns", default)]
    pub namespace: String,
    /// The other namespace.
    #[serde(rename = "@xmlns:rpm", default)]
    pub rpm_namespace: String,
    /// Grows with every change.
    #[serde(default)]
    pub revision: String,
    /// The files.
    #[serde(default)]
    pub data: Vec<Data>,
}

/// A file that `repomd.xml` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// `primary`, `filelists`, `other`, `updateinfo`.
    #[serde(rename = "@type")]
    pub kind: String,
    /// Of the file as it lies there.
    pub checksum: Checksum,
    /// Of what it holds once it is decompressed.
    #[serde(rename = "open-checksum", default, skip_serializing_if = "Option::is_none")]
    pub open_checksum: Option<Checksum>,
    /// Where it is, below the repository's folder.
    pub location: Location,
    /// When it was made, in seconds since 1970.
    #[serde(default)]
    pub timestamp: u64,
    /// The bytes of the file.
    pub size: u64,
    /// The bytes of what it holds.
    #[serde(rename = "open-size", default, skip_serializing_if = "Option::is_none")]
    pub open_size: Option<u64>,
}

/// A digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// `sha256`.
    #[serde(rename = "@type")]
    pub kind: String,
    /// `YES` where it is the name by which the other files know a package.
    #[serde(rename = "@pkgid", default, skip_serializing_if = "Option::is_none")]
    pub package_id: Option<String>,
    /// In hexadecimal digits.
    #[serde(rename = "$text", default)]
    pub value: String,
}

/// A place below the repository's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Another root than the repository, which ours never have.
    #[serde(rename = "@xml:base", default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The place.
    #[serde(rename = "@href")]
    pub href: String,
}

/// `primary.xml`: what is needed to choose packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "metadata")]
pub struct Primary {
    /// The namespace.
    #[serde(rename = "@xmlns", default)]
    pub namespace: String,
    /// The other namespace.
    #[serde(rename = "@xmlns:rpm", default)]
    pub rpm_namespace: String,
    /// How many packages follow.
    #[serde(rename = "@packages")]
    pub count: usize,
    /// The packages.
    #[serde(rename = "package", default)]
    pub packages: Vec<PrimaryPackage>,
}

/// A package in `primary.xml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrimaryPackage {
    /// `rpm`.
    #[serde(rename = "@type", default)]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// Its version.
    pub version: Version,
    /// Of the RPM file.
    pub checksum: Checksum,
    /// One line about it.
    #[serde(default)]
    pub summary: String,
    /// More about it.
    #[serde(default)]
    pub description: String,
    /// Who made it.
    #[serde(default)]
    pub packager: String,
    /// Where upstream is.
    #[serde(default)]
    pub url: String,
    /// When.
    #[serde(default)]
    pub time: Time,
    /// How large.
    pub size: Size,
    /// Where.
    pub location: Location,
    /// The part about rpm.
    pub format: Format,
}

/// Epoch, version and release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The epoch.
    #[serde(rename = "@epoch", default)]
    pub epoch: String,
    /// The version.
    #[serde(rename = "@ver")]
    pub version: String,
    /// The release.
    #[serde(rename = "@rel")]
    pub release: String,
}

/// Times in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Time {
    /// When the file was put there.
    #[serde(rename = "@file", default)]
    pub file: u64,
    /// When the package was built.
    #[serde(rename = "@build", default)]
    pub build: u64,
}

/// Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Of the RPM.
    #[serde(rename = "@package")]
    pub package: u64,
    /// Of what is installed.
    #[serde(rename = "@installed", default)]
    pub installed: u64,
    /// Of the payload before it was compressed.
    #[serde(rename = "@archive", default)]
    pub archive: u64,
}

/// What rpm's header says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Format {
    /// The licence.
    #[serde(rename(serialize = "rpm:license", deserialize = "license"), default)]
    pub license: String,
    /// The vendor.
    #[serde(rename(serialize = "rpm:vendor", deserialize = "vendor"), default)]
    pub vendor: String,
    /// The group, which nobody uses any more.
    #[serde(rename(serialize = "rpm:group", deserialize = "group"), default)]
    pub group: String,
    /// Where it was built.
    #[serde(rename(serialize = "rpm:buildhost", deserialize = "buildhost"), default)]
    pub build_host: String,
    /// The source package.
    #[serde(rename(serialize = "rpm:sourcerpm", deserialize = "sourcerpm"), default)]
    pub source: String,
    /// Which bytes of the file its header is.
    #[serde(rename(serialize = "rpm:header-range", deserialize = "header-range"), default)]
    pub header_range: HeaderRange,
    /// What it provides.
    #[serde(
        rename(serialize = "rpm:provides", deserialize = "provides"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub provides: Entries,
    /// What it requires.
    #[serde(
        rename(serialize = "rpm:requires", deserialize = "requires"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub requires: Entries,
    /// What it cannot be installed with.
    #[serde(
        rename(serialize = "rpm:conflicts", deserialize = "conflicts"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub conflicts: Entries,
    /// What it replaces.
    #[serde(
        rename(serialize = "rpm:obsoletes", deserialize = "obsoletes"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub obsoletes: Entries,
    /// What would go well with it.
    #[serde(
        rename(serialize = "rpm:suggests", deserialize = "suggests"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub suggests: Entries,
    /// What it would go well with.
    #[serde(
        rename(serialize = "rpm:enhances", deserialize = "enhances"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub enhances: Entries,
    /// What is installed with it unless somebody objects.
    #[serde(
        rename(serialize = "rpm:recommends", deserialize = "recommends"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub recommends: Entries,
    /// What it is installed with unless somebody objects.
    #[serde(
        rename(serialize = "rpm:supplements", deserialize = "supplements"),
        default,
        skip_serializing_if = "Entries::is_empty"
    )]
    pub supplements: Entries,
    /// Those of its files that others are likely to require by path.
    #[serde(rename = "file", default)]
    pub files: Vec<File>,
}

/// From where to where the header is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HeaderRange {
    /// The first byte.
    #[serde(rename = "@start")]
    pub start: u64,
    /// The first that is not part of it.
    #[serde(rename = "@end")]
    pub end: u64,
}

/// A list of capabilities.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Entries {
    /// The capabilities.
    #[serde(rename(serialize = "rpm:entry", deserialize = "entry"), default)]
    pub entries: Vec<Entry>,
}

impl Entries {
    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A capability.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    #[serde(rename = "@name")]
    pub name: String,
    /// How its version is compared: `EQ`, `LT`, `LE`, `GT`, `GE`.
    #[serde(rename = "@flags", default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<String>,
    /// The epoch.
    #[serde(rename = "@epoch", default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// The version.
    #[serde(rename = "@ver", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The release.
    #[serde(rename = "@rel", default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// `1` where it must be there before scriptlets run.
    #[serde(rename = "@pre", default, skip_serializing_if = "Option::is_none")]
    pub pre: Option<String>,
}

/// A file of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// `dir` or `ghost`, where it is one.
    #[serde(rename = "@type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The absolute path.
    #[serde(rename = "$text", default)]
    pub path: String,
}

/// `filelists.xml`: all files of all packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "filelists")]
pub struct Filelists {
    /// The namespace.
    #[serde(rename = "@xmlns", default)]
    pub namespace: String,
    /// How many packages follow.
    #[serde(rename = "@packages")]
    pub count: usize,
    /// The packages.
    #[serde(rename = "package", default)]
    pub packages: Vec<FilelistsPackage>,
}

/// A package in `filelists.xml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilelistsPackage {
    /// The digest of the RPM.
    #[serde(rename = "@pkgid")]
    pub package_id: String,
    /// Its name.
    #[serde(rename = "@name")]
    pub name: String,
    /// Its architecture.
    #[serde(rename = "@arch")]
    pub arch: String,
    /// Its version.
    pub version: Version,
    /// Its files.
    #[serde(rename = "file", default)]
    pub files: Vec<File>,
}

/// `other.xml`: what changed in packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "otherdata")]
pub struct Other {
    /// The namespace.
    #[serde(rename = "@xmlns", default)]
    pub namespace: String,
    /// How many packages follow.
    #[serde(rename = "@packages")]
    pub count: usize,
    /// The packages.
    #[serde(rename = "package", default)]
    pub packages: Vec<OtherPackage>,
}

/// A package in `other.xml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherPackage {
    /// The digest of the RPM.
    #[serde(rename = "@pkgid")]
    pub package_id: String,
    /// Its name.
    #[serde(rename = "@name")]
    pub name: String,
    /// Its architecture.
    #[serde(rename = "@arch")]
    pub arch: String,
    /// Its version.
    pub version: Version,
    /// What changed, the oldest first.
    #[serde(rename = "changelog", default)]
    pub changes: Vec<Changelog>,
}

/// An entry of a package's changelog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changelog {
    /// Who, and in which version.
    #[serde(rename = "@author", default)]
    pub author: String,
    /// When, in seconds since 1970.
    #[serde(rename = "@date", default)]
    pub date: u64,
    /// What.
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
    /// Who says so.
    #[serde(rename = "@from", default)]
    pub from: String,
    /// `final`.
    #[serde(rename = "@status", default)]
    pub status: String,
    /// `security`, `bugfix`, `enhancement`.
    #[serde(rename = "@type", default)]
    pub kind: String,
    /// Of the advisory itself.
    #[serde(rename = "@version", default)]
    pub version: String,
    /// Its name.
    pub id: String,
    /// In a line.
    #[serde(default)]
    pub title: String,
    /// `Critical`, `Important`, `Moderate`, `Low`, `None`.
    #[serde(default)]
    pub severity: String,
    /// When it was written.
    #[serde(default)]
    pub issued: Date,
    /// More about it.
    #[serde(default)]
    pub description: String,
    /// Where others write about it.
    #[serde(default)]
    pub references: References,
    /// What mends it.
    #[serde(default)]
    pub pkglist: PackageLists,
}

/// A date: `2026-11-25`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Date {
    /// The date.
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

/// A reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Where.
    #[serde(rename = "@href")]
    pub href: String,
    /// What it is called there.
    #[serde(rename = "@id", default)]
    pub id: String,
    /// In words.
    #[serde(rename = "@title", default)]
    pub title: String,
    /// `cve`, `bugzilla`, `self`, `other`.
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
    /// A short name.
    #[serde(rename = "@short", default)]
    pub short: String,
    /// A name.
    #[serde(default)]
    pub name: String,
    /// The packages.
    #[serde(rename = "package", default)]
    pub packages: Vec<FixedPackage>,
}

/// A package that mends something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedPackage {
    /// Its name.
    #[serde(rename = "@name")]
    pub name: String,
    /// Its version.
    #[serde(rename = "@version")]
    pub version: String,
    /// Its release.
    #[serde(rename = "@release")]
    pub release: String,
    /// Its epoch.
    #[serde(rename = "@epoch", default)]
    pub epoch: String,
    /// Its architecture.
    #[serde(rename = "@arch")]
    pub arch: String,
    /// The usual name of its file.
    #[serde(default)]
    pub filename: String,
}
