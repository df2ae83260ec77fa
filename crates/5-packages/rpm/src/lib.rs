//! RPM files: headers, capabilities, payloads.
//!
//! ```text
//! an RPM --read_header---> rpm's tags   their structure checked before they are used
//!        --read_package--> Package      name, version, capabilities, files: all that solving needs
//!        --read_files----> [FileEntry]  owners, modes, digests: all that composing an image needs
//!        --Payload-------> bytes        the files themselves, as a stream
//!        --unpack--------> a folder     for build roots; no privileges are needed
//!        --verify--------> ()           before an RPM is taken in
//! ```
//!
//! A payload is compared with the header while it is read: names, types, sizes, SHA-256 digests. So an RPM holds what its
//! header says, or is an error, and what reading it can cost is bounded by its header.
//!
//! Nothing here runs a program: headers are read through the `rpm` crate, payloads by a reader of our own that streams.

pub mod capability;
mod cpio;
mod declared;
mod dependency;
mod error;
mod files;
mod header;
mod package;
mod payload;
mod unpack;
mod verification;

pub use capability::{Capability, InvalidCapability, Operator, usr_merged};
pub use dependency::{Conditional, Dependency};
pub use error::RpmError;
pub use files::{FileEntry, FileKind, read_files};
pub use header::{parse_header, read_header};
pub use package::{Package, read_package};
pub use payload::{Payload, PayloadFile, read_header_blob};
pub use unpack::{UNPACK_CODE, unpack};
pub use verification::verify;
