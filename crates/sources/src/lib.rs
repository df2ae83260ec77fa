//! Fetching and verifying upstream source.
//!
//! A package's `sources.toml` ([`basalt_model::source_lock`]) says what it is made from. [`SourceSet::inputs`] are the
//! inputs of its build by their digests, which needs no network; fetching brings them into the store:
//!
//! ```text
//! [[file]]   Debian's archive, or upstream's URL, or pypi    --(size, SHA-256)-->  an object
//! [[go]]     go mod download, in the SDK                     --(go.sum)---------->  a tree: the module cache
//! [[cargo]]  cargo vendor                                    --(Cargo.lock)------>  a tree: vendored crates
//! [[tree]]   files of this repository                                             a tree
//! ```
//!
//! The digest decides, not the place: a wrong byte anywhere is an error, and nothing of it is kept.

mod crates;
mod download;
mod error;
mod finding;
mod go;
mod input;
mod lock;
mod materials;
mod repository;
mod set;

pub use error::SourcesError;
pub use finding::SourceFinding;
pub use input::{Input, InputContent, Modules};
pub use lock::{Relocked, relock};
pub use materials::Material;
pub use set::{SourceSet, Tools};
