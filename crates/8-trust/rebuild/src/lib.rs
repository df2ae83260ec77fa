//! Builds packages and images again, elsewhere, and compares them bit for bit: what a rebuilder does.
//!
//! ```text
//! a package in the store ──(Variations: another folder, clock, host, user, umask, ...)──▶ built again
//!     first and second RPM ──(compare: header, file, member, section, line)──▶ [Difference]
//! an image in the store ──(another store, umask, order of packages)──▶ composed again
//!     first and second ──(compare: partition, file, layer)──▶ [Difference]
//! ──▶ Checked: a Verdict, remembered under the digest of what was built and of the conditions
//! ```
//!
//! What a build sees is fixed anyhow: its folder, its host name, its time (SOURCE_DATE_EPOCH). Varied on purpose, these
//! show what would break if they were not; and the second build comes later, with other process ids, addresses and timing,
//! which nothing fixes.

mod clock;
pub mod compare;
mod error;
mod image;
mod package;
mod variations;
mod verdict;

pub use compare::Difference;
pub use error::RebuildError;
pub use image::ImageRebuilder;
pub use package::PackageRebuilder;
pub use variations::{Variations, Varied};
pub use verdict::{Checked, ProductKind, Verdict};
