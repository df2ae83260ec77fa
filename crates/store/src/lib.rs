//! Where everything that is fetched or built is kept, by the digest of what it is or of what went into it.
//!
//! ```text
//! <store>/objects/<sha256>      files, named by their content: sources, RPMs
//! <store>/trees/<sha256>/       folders, named by the digest of their root's REAPI `Directory` message
//! <store>/actions/<sha256>      results of actions, named by the digest of the `Action` message
//! <store>/results/<sha256>.json small facts, named by the digest of what they follow from
//! <store>/tmp/<pid>-<n>/        work under way; a killed process's are swept by the next one
//! <store>/locks/                who is at work
//! ```
//!
//! Everything appears whole or not at all: it is made in `tmp` and renamed into its place. Whoever uses the store holds
//! a [lease](Store::open) on it, so that collection never takes away what a build is standing on. The store is for one
//! user; it can be deleted at any time, and costs only the time to build again.

mod actions;
mod directories;
mod error;
mod listing;
mod lock;
mod objects;
mod remove;
mod results;
mod room;
mod snapshot;
mod trees;
pub mod write;

pub use directories::read_directory;
pub use error::{StoreError, remedy};
pub use listing::files_below;
pub use lock::Lock;
pub use objects::digest_of;
pub use remove::remove_tree;
pub use room::{Collected, Store, Workspace, place};
pub use snapshot::{Snapshot, SnapshotError, SnapshotFile, write_file};
