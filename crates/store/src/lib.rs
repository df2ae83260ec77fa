//! Where everything that is fetched or built is kept, by the digest of what it is or of what went into it.
//!
//! ```text
//! <store>/basalt-store          marker: this folder is a store, and its format
//! <store>/objects/<sha256>      files, named by their content: sources, RPMs
//! <store>/trees/<sha256>/       folders, named by the digest of their root's REAPI `Directory` message
//! <store>/actions/<sha256>      results of actions, named by the digest of the `Action` message
//! <store>/results/<sha256>.json small facts, named by the digest of what they follow from
//! <store>/damaged/<sha256>      objects that verification set aside
//! <store>/tmp/work-<lease>-<n>/ work under way; a killed process's is swept by the next one
//! <store>/locks/lease-<lease>   who is at work, and since when
//! <store>/logs/<name>.log       what builds and tests wrote
//! ```
//!
//! Everything appears whole or not at all, also after a loss of power: it is made in `tmp`, written out to the disk, and
//! renamed into its place. [`Store::open`] takes a lease, which ends with the process; asking for an entry records its use;
//! and [collection](Store::collect) leaves alone what is used under any lease, so that it may run at any time. Processes of
//! several containers or machines may share a store, as long as its file system has locks that hold between them. The store
//! can be deleted at any time, and costs only the time to build again. docs/build/store.md says what is promised.

mod actions;
mod collection;
mod directories;
mod error;
mod export;
mod layout;
mod lease;
mod listing;
mod lock;
mod mounts;
mod name;
mod objects;
mod owner;
mod place;
mod remove;
mod results;
mod shared;
mod snapshot;
mod store;
mod trees;
mod usage;
mod verification;
mod workspace;
pub mod write;

pub use collection::{GcEntry, GcPlan, GcPolicy, GcStats};
pub use directories::read_directory;
pub use error::{FileError, StoreError, help_for};
pub use export::{Content, Exported};
pub use listing::files_below;
pub use lock::Lock;
pub use objects::digest_of;
pub use place::place;
pub use remove::remove_tree;
pub use shared::SharedCache;
pub use snapshot::{Snapshot, SnapshotError, SnapshotFile, write_file};
pub use store::Store;
pub use verification::DamagedObject;
pub use workspace::Workspace;
