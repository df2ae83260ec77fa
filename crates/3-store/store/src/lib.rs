//! Content-addressed store of everything that is fetched or built, named by the digest of its content or of its inputs.
//!
//! ```text
//! <store>/basalt-store          marker: this folder is a store, and its format
//! <store>/objects/<sha256>      files, named by their content: sources, RPMs
//! <store>/trees/<sha256>/       folders, named by the digest of their root's REAPI `Directory` message
//! <store>/actions/<sha256>      results of actions, named by the digest of the `Action` message
//! <store>/results/<sha256>.json small JSON files, named by the digest of their inputs
//! <store>/damaged/<sha256>      objects that verification set aside
//! <store>/tmp/work-<lease>-<n>/ temporary files; the next process removes a killed one's
//! <store>/locks/lease-<lease>   leases of the processes that use the store
//! <store>/logs/<name>.log       output of builds and tests
//! ```
//!
//! Every entry appears whole or not at all, also after a loss of power: it is made in `tmp`, written out to the disk,
//! and renamed to its final path. [`Store::open`] takes a lease, which ends with the process; every lookup records the
//! use of its entry; and [collection](Store::collect) spares what is used under any lease, so that it may run at any
//! time. Processes of several containers or machines may share a store, as long as its file system has locks that hold
//! between them. The store can be deleted at any time, at the cost of building again. docs/build/store.md states the
//! guarantees.

#![expect(
    clippy::disallowed_methods,
    reason = "std::fs: StoreError names the path, and the numbers of errors tell what fs_err's errors do not"
)]

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
mod usage;
mod verification;
mod workspace;
pub mod write;

pub use collection::{GcEntry, GcPlan, GcPolicy, GcStats};
pub use directories::read_directory;
pub use error::{FileError, StoreError, help_for};
pub use export::{Exported, ExportedContent};
pub use listing::files_below;
pub use lock::Lock;
pub use objects::digest_of;
pub use place::place;
pub use remove::remove_tree;
pub use shared::SharedCache;
pub use snapshot::{FolderSnapshot, FolderSnapshotError, SnapshotFile, write_file};
pub use store::Store;
pub use verification::DamagedObject;
pub use workspace::Workspace;
