//! What a repository says of its packages: the files below `repodata/`, as createrepo_c makes them and dnf, zypper and
//! tdnf read them.
//!
//! ```text
//! RPM + where it will lie --describe--> Described     what primary, filelists and other say of it
//! [Described] + [Advisory] + a time --write--> Metadata   repomd.xml and the files that it names, by their digests
//! folder --read--> Index                              all of it verified by its digests and looked through
//! ```
//!
//! The same packages, advisories and time give the same bytes. There is no specification of the format but what its
//! programs do; `raw` mirrors it. What is read may come from anybody, so reading
//! believes nothing: sizes are limited, digests compared, places kept inside of the repository.
//!
//! The XML is written and read by `quick-xml` through serde, not by the crate `rpmrepo_metadata`: that one ends the
//! process on some damaged files, and links compressors in C that nobody needs here.

mod describe;
mod error;
pub mod raw;
mod read;
mod write;

pub use describe::{Described, Placed, describe};
pub use error::MetadataError;
pub use read::{
    Index, IndexedPackage, parse_filelists, parse_other, parse_primary, parse_repomd, parse_updateinfo, read,
};
pub use write::{Metadata, MetadataFile, write};

/// The folder of a repository that the metadata is in.
pub const FOLDER: &str = "repodata";
/// The file that names all others.
pub const REPOMD: &str = "repomd.xml";
