//! Where everything that is fetched or built is kept, by the digest of what it is or of what went into it.
//!
//! ```text
//! <store>/objects/<sha256>      files, named by their content: sources, RPMs
//! <store>/trees/<16 digits>/    folders, named by the digest of what they were made from
//! <store>/results/<sha256>.json small facts, named by the digest of what they follow from
//! <store>/tmp/<pid>-<n>/        work under way; a killed process's are swept by the next one
//! <store>/locks/                who is at work
//! ```
//!
//! Everything appears whole or not at all: it is made in `tmp` and renamed into its place. Whoever uses the store holds
//! a [lease](Store::open) on it, so that collection never takes away what a build is standing on. The store is for one
//! user; it can be deleted at any time, and costs only the time to build again.

mod collection;
mod error;
mod layout;
mod lease;
mod listing;
mod lock;
mod name;
mod objects;
mod owner;
mod place;
mod remove;
mod results;
mod store;
mod trees;
mod usage;
mod workspace;
pub mod write;

pub use collection::GcStats;
pub use error::{FileError, StoreError, help_for};
pub use listing::files_below;
pub use lock::Lock;
pub use objects::digest_of;
pub use place::place;
pub use remove::remove_tree;
pub use store::Store;
pub use workspace::Workspace;
