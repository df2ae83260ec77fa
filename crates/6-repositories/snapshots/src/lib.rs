//! Repositories as immutable, named snapshots: published, listed, checked, served, pruned.
//!
//! ```text
//! RPMs --(signed, once per key)--> pool
//! pool + advisories --(metadata, signed)--> work/ --rename--> snapshots/<name>/ --symlink--> current
//! ```
//!
//! A repository is a folder below the user's data folder:
//!
//! ```text
//! <repositories>/<name>/pool/<sha256>.rpm       signed RPMs, by their digest
//!                       signed/<sha256>.<key>   digest of the signed RPM in the pool, by built RPM and key
//!                       snapshots/<name>/       the folder that clients see; its RPMs are hard links into the pool
//!                       current                 a link to one of the snapshots
//!                       draft/                  a snapshot that needs signatures made elsewhere
//!                       work/                   temporary files; the next process removes those of a killed one
//! ```
//!
//! A snapshot appears whole or not at all, and never changes afterwards: any web server can serve it, and `current` is
//! switched from one to the next atomically. The built RPMs in the store stay as they are: signing makes another file.

mod check;
mod draft;
mod error;
mod names;
mod pool;
mod publish;
mod repository;
mod serve;
mod snapshot;

pub use check::{Fault, SnapshotCheck};
pub use draft::{Draft, ImportOutcome, SigningRound};
pub use error::SnapshotError;
pub use publish::{PublishPlan, Published, UnsignedRpm};
pub use repository::Repository;
pub use serve::{RepositoryServer, ServedSnapshot};
pub use snapshot::{Snapshot, SnapshotPackage};
