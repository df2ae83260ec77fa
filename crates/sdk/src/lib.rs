//! The tree of build tools, and the toolchain that is made from it.
//!
//! ```text
//! sdk.toml --(resolve, by the machine's apt)--> sdk.lock: every package, with its digest
//! sdk.lock --(archive: fetch, verify)--> packages in the store
//!          --(tree: mmdebstrap, offline)--> the SDK: one tree, named by the lock
//! SDK + toolchain.toml --(toolchain: copy)--> /opt/<triple>: a compiler that sees the sysroot only
//! ```
//!
//! [`extracted`] unpacks a few locked packages beside it, for what only needs their files.
//! [`SdkTree::sandbox`] runs any tool of the tree.

mod apt;
pub mod archive;
mod bootstrap;
mod error;
mod extracted;
mod releases;
mod resolve;
mod toolchain;
mod tree;

pub use bootstrap::{Changes, bootstrap, resolve_today};
pub use error::SdkError;
pub use extracted::extracted;
pub use releases::source_versions;
pub use resolve::{Change, lock, lock_named};
pub use toolchain::{Toolchain, toolchain};
pub use tree::{SdkTree, ensure};
