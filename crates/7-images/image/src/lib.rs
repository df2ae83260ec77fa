//! Disk and container images, composed from the payloads of packages.
//!
//! ```text
//! definition + RPMs --(accounts: sysusers.d)--> who owns what
//!                   --(merge)-----------------> one tree of entries, or which two packages are at odds
//!                   --(rpmdb)-----------------> the database that scanners read
//!                   --(bom)-------------------> /usr/share/sbom/: bills of materials; inventory.json beside the image
//!   disk:      tree --(archive)--> tar --(erofs)--> root --(verity)--> hash tree, root hash
//!              kernel + stub + root hash --(uki)--> one EFI program --(esp)--> EFI system partition
//!              all of it --(disk)--> a GPT disk
//!   container: tree --(archive)--> layer --(container)--> OCI image;  images --(registry)--> a registry's storage
//!   tree:      tree --(folder)--> files
//! ```
//!
//! Nobody's privileges are needed, nothing of a package is ever run, and the same inputs give the same bytes: times
//! are [`BUILD_TIME`], identifiers follow from digests. An image is kept in the store under the digest of all that it
//! is made from.
//!
//! The text of most modules is part of the key of each image: exceptions from lints stand here, where they change no key.

#[expect(clippy::string_slice, reason = "a quote is one byte")]
mod accounts;
mod archive;
#[expect(clippy::disallowed_methods, reason = "ImageError names the path")]
mod composer;
#[expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "ImageError names the path; a writer takes at most what it is given"
)]
mod container;
mod contents;
pub mod definition;
mod definitions;
#[expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "ImageError names the path; a disk has two partitions"
)]
mod disk;
#[cfg(test)]
#[path = "../tests/compose/efi.rs"]
mod efi;
mod erofs;
mod error;
#[expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "offsets are of what was found, or checked before"
)]
mod esp;
mod facts;
#[expect(clippy::disallowed_methods, reason = "ImageError names the path")]
mod folder;
mod guid;
mod merge;
#[expect(
    clippy::indexing_slicing,
    reason = "what was found before is not more than what is found"
)]
mod payload;
#[expect(
    clippy::disallowed_methods,
    clippy::string_slice,
    reason = "ImageError names the path; digests have 64 ASCII digits"
)]
mod registry;
#[expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "slashes are one byte; there is a map for each payload"
)]
mod root;
mod rpmdb;
#[expect(clippy::indexing_slicing, reason = "the headers are checked when the stub is read")]
mod uki;
#[expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "ImageError names the path; lengths are those of blocks"
)]
mod verity;

pub use composer::Composer;
pub use contents::{Content, ContentKind, Look, contents};
pub use definitions::{definition, definitions};
pub use error::ImageError;
pub use esp::Window;
pub use facts::{ContainerFacts, DiskFacts, Facts, Image, InstalledPackage, PartitionFacts};
pub use payload::Payload;
pub use registry::registry;

pub use basalt_release::BUILD_TIME;
