//! Disk and container images, composed from the payloads of packages.
//!
//! ```text
//! definition + RPMs --(accounts: sysusers.d)--> users and groups
//!                   --(merge)-----------------> one tree of entries, or a conflict of two packages
//!                   --(rpmdb)-----------------> the database that scanners read
//!                   --(bom)-------------------> /usr/share/sbom/: bills of materials; inventory.json beside the image
//!   disk:      tree --(archive)--> tar --(erofs)--> root --(verity)--> hash tree, root hash
//!              kernel + stub + root hash --(uki)--> one EFI program --(esp)--> EFI system partition
//!              all of it --(disk)--> a GPT disk
//!   container: tree --(archive)--> layer --(container)--> OCI image;  images --(registry)--> a registry's storage
//!   tree:      tree --(folder)--> files
//! ```
//!
//! No privileges are needed, no code of a package is run, and the same inputs give the same bytes: times are
//! [`BUILD_TIME`], identifiers are derived from digests. An image is kept in the store under the digest of all its
//! inputs.

mod accounts;
mod archive;
mod composer;
mod container;
mod contents;
pub mod definition;
mod definitions;
mod disk;
#[cfg(test)]
#[path = "../tests/compose/efi.rs"]
mod efi;
mod erofs;
mod error;
mod esp;
mod facts;
mod folder;
mod guid;
mod merge;
mod payload;
mod registry;
mod root;
mod rpmdb;
mod uki;
mod verity;

pub use composer::Composer;
pub use contents::{Content, ContentKind, Look, contents};
pub use definitions::{definition, definitions};
pub use error::ImageError;
pub use esp::Window;
pub use facts::{ContainerFacts, DiskFacts, Facts, Image, InstalledPackage, PartitionFacts};
pub use payload::ImagePackage;
pub use registry::registry;

pub use basalt_release::BUILD_TIME;
