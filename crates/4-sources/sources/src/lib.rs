//! Fetching and verifying upstream source.
//!
//! A package's `sources.toml` ([`crate::source_lock`]) says what it is made from. [`SourceSet::of_snapshot`] reads it
//! with the locks that it names, once; [`SourceSet::inputs`] are the inputs of a build by their digests, which needs no network;
//! fetching brings them into the store:
//!
//! ```text
//! [[file]]   Debian's archive, or upstream's URL, or pypi    --(size, SHA-256)-->  an object
//! [[go]]     go mod download, in the SDK                     --(go.sum)---------->  a tree: the module cache
//! [[cargo]]  archives of crates, by cargo's configuration    --(Cargo.lock)------>  objects --> a tree: NAME-VERSION/
//! [[tree]]   files of this repository                        --(SHA-256)--------->  a tree
//! ```
//!
//! The digest decides, not the place: a wrong byte anywhere is an error, and nothing of it is kept. [`download`] is how
//! files come over the network, with limits of size and time; nothing that comes is run, and archives are unpacked by
//! [`basalt_archive`].

mod cargo_lock;
mod crates;
pub mod download;
mod error;
mod file;
mod finding;
mod go;
mod input;
mod lock;
mod materials;
mod pypi;
mod repository;
mod set;
pub mod source_lock;

pub use cargo_lock::{CrateFile, crate_files};
pub use crates::CargoSource;
pub use error::{SourceMismatch, SourcesError};
pub use finding::SourceFinding;
pub use go::GoSource;
pub use input::{Input, InputContent, Modules};
pub use lock::{Relocked, relock};
pub use materials::Material;
pub use set::{SourceSet, Tools};
