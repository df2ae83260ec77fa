//! Repositories as immutable, named snapshots: published, listed, checked, served, pruned.
//!
//! ```text
//! RPMs --(signed, once per key)--> pool
//! pool + advisories --(metadata, signed)--> work/ --rename--> snapshots/<name>/ --symlink--> current
//! ```
//!
//! A repository is a folder of the user's data:
//!
//! ```text
//! <repositories>/<name>/pool/<sha256>.rpm       signed RPMs, by their digest
//!                       signed/<sha256>.<key>   which file of the pool a built RPM became when that key signed it
//!                       snapshots/<name>/       what clients see; its RPMs are hard links into the pool
//!                       current                 a link to one of the snapshots
//!                       draft/                  what waits for signatures that are made elsewhere
//!                       work/                   under way; whatever a killed process left there is swept by the next
//! ```
//!
//! A snapshot appears whole or not at all, and never changes afterwards: any web server can serve it, and `current` goes
//! from one to the next in one step. The built RPMs in the store stay as they are: a signature makes another file.

mod check;
mod draft;
mod error;
mod names;
mod pool;
mod publish;
mod repository;
mod serve;
mod snapshot;

pub use check::{Checked, Fault};
pub use draft::{Awaited, Draft, Stage};
pub use error::SnapshotError;
pub use publish::{Built, Plan, Published};
pub use repository::Repository;
pub use serve::{Server, Target};
pub use snapshot::{Snapshot, SnapshotPackage};
