//! Tree of the build tools (SDK), and the toolchain that is made from it.
//!
//! ```text
//! sdk.toml --(resolve, by the machine's apt)--> sdk.lock: every package, with its digest
//! sdk.lock --(archive: fetch, verify)--> packages in the store
//!          --(tree: mmdebstrap, offline)--> the SDK: one tree, named by the lock
//! SDK + toolchain.toml --(toolchain: copy)--> /opt/<triple>: a compiler that sees the sysroot only
//! ```
//!
//! [`SdkTree::sandbox`] runs any tool of the tree.
//!
//! Besides the SDK there are other trees of the same kind, which are made only when they are needed: `reference` holds
//! tools of other projects for comparisons in tests. They have definitions and locks of their own, so that changing
//! them does not change any build.

mod apt;
pub mod archive;
mod bootstrap;
mod clean;
mod error;
mod installation;
mod mirror;
mod releases;
mod resolve;
pub mod sdk_lock;
mod toolchain;
mod tree;

pub use apt::KEYRING as DEBIAN_KEYRING;
pub use bootstrap::{Changes, bootstrap, resolve_today};
pub use error::SdkError;
pub use installation::{NAMESPACE_OF_ROOT, NAMESPACE_OF_USER};
pub use releases::source_versions;
pub use resolve::{Change, lock};
pub use toolchain::{Toolchain, toolchain};
pub use tree::{SdkTree, ensure};
