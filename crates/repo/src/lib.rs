//! RPM headers and payloads, dependency solving for image compositions, and the metadata of repositories.
//!
//! ```text
//! an RPM --read_header---> rpm's tags   their structure checked before they are used
//!        --read_package--> Package      name, version, capabilities, files: all that solving needs
//!        --read_files----> [FileEntry]  owners, modes, digests: all that composing an image needs
//!        --Payload-------> bytes        the files themselves, as a stream
//!        --unpack--------> a folder     for build roots; no privileges are needed
//!        --describe------> PackageEntries   in a repository (metadata: repomd, primary, filelists, other, updateinfo)
//! [Package] --PackageIndex--> providers of capabilities; requests --solve--> [&Package]
//! ```
//!
//! Nothing here runs a program: headers are read through the `rpm` crate, payloads by a reader of our own that streams.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unreachable,
    reason = "RepoError names the path; positions are those that the index gave, or checked before"
)]

pub mod advisory;
mod capability;
mod contradiction;
mod cpio;
mod error;
mod explain;
mod files;
mod header;
mod index;
pub mod metadata;
mod package;
mod payload;
mod solve;
mod unpack;

pub use capability::{Capability, Operator, usr_merged};
pub use error::RepoError;
pub use explain::{Missing, SolveError};
pub use files::{FileEntry, FileKind, read_files};
pub use header::{parse_header, read_header};
pub use index::PackageIndex;
pub use package::{Package, read_package};
pub use payload::{Payload, PayloadFile, read_header_blob};
pub use unpack::{UNPACK_CODE, unpack};
