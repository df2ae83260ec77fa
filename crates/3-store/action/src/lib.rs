//! Actions, directories and results in the terms of the Remote Execution API v2 (REAPI).
//!
//! An [`Action`] is all that decides what a command makes: arguments, environment, input root, outputs, limits, platform.
//! Its key is the SHA-256 of the `Action` message in the canonical encoding of
//! [REAPI](https://github.com/bazelbuild/remote-apis/blob/main/build/bazel/remote/execution/v2/remote_execution.proto),
//! as every build cache of the field computes it. What it made is an [`ActionResult`].
//!
//! ```text
//! files (digest, mode) ──▶ Directory (Merkle tree) ──▶ digest of the root Directory ─┐
//! arguments, environment, outputs ──▶ Command ──▶ digest of the Command ─────────────┼──▶ Action ──▶ key
//! limits, platform ──────────────────────────────────────────────────────────────────┘
//! key ──(action cache)──▶ ActionResult ──▶ digests of output files and output directories
//! ```
//!
//! Nothing here reads files or runs programs: the store takes folders in and gives them back, the engine runs commands.

mod action;
mod blob;
mod directory;
mod result;

pub use action::{Action, ActionLimits, Encoded};
pub use blob::{Blob, InvalidBlob};
pub use directory::{Directory, DirectoryError, MerkleTree, Node};
pub use result::{ActionResult, Execution, MalformedResult, OutputDirectory, OutputFile};

/// The messages of the protocol, for those that speak it.
pub use bazel_remote_apis::build::bazel::remote::execution::v2 as proto;
