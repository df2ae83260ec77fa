//! Metadata of RPM repositories: the files below `repodata/`, as createrepo_c writes them and dnf, zypper and tdnf read
//! them.
//!
//! ```text
//! RPM + RpmLocation --describe--> PackageEntries      its entries in primary, filelists and other
//! folder of RPMs --scan--> [PackageEntries]           the same, with the digests of the files; each is read once
//! [PackageEntries] + [Advisory] + a time --write--> Metadata   repomd.xml, and the files that it names by digest
//! folder --read--> Index                              verified by digests, and checked
//! ```
//!
//! The same packages, advisories and time give the same bytes, whatever the number of workers. The format has no
//! specification but the behaviour of the programs that use it; `raw` mirrors it. Metadata are read from untrusted
//! sources, so reading limits sizes, compares digests and keeps paths inside of the repository.
//!
//! The XML is written and read by `quick-xml` through serde, not by the crate `rpmrepo_metadata`: that one ends the
//! process on some damaged files, and links compressors in C that nobody needs here.

mod describe;
mod error;
mod largest_first;
mod lists;
pub mod raw;
mod read;
mod scan;
mod write;

pub use describe::{PackageEntries, RpmLocation, describe};
pub use error::MetadataError;
pub use read::{
    Index, IndexedPackage, parse_filelists, parse_other, parse_primary, parse_repomd, parse_updateinfo, read,
};
pub use scan::{RpmFile, list_rpms, scan};
pub use write::{Metadata, MetadataFile, write, write_on};

/// Folder of the metadata, relative to the repository's.
pub const FOLDER: &str = "repodata";
/// Name of the file that lists all others.
pub const REPOMD: &str = "repomd.xml";
