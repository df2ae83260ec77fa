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

pub mod advisory;
mod capability;
mod cpio;
mod dependency;
mod error;
mod file_index;
mod files;
mod header;
mod index;
pub mod metadata;
mod package;
mod payload;
mod solve;
mod unpack;

pub use capability::{Capability, InvalidCapability, Operator, compare_provided, usr_merged};
pub use dependency::{Conditional, Dependency};
pub use error::RepoError;
pub use files::{FileEntry, FileKind, read_files};
pub use header::{parse_header, read_header};
pub use index::PackageIndex;
pub use package::{Package, read_package};
pub use payload::{Payload, PayloadFile, read_header_blob};
pub use solve::{Missing, SolveError};
pub use unpack::{UNPACK_CODE, unpack};
