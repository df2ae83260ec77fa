//! The shared cache: a folder or a server of Bazel's Remote Execution API v2 (REAPI), verified and signed.
//!
//! A build asks for the result of an action by the digest of its `Action` message, and reads the blobs that the result
//! names. Whoever has run an action pushes both. Everything is in REAPI's terms, so that a cache can be a folder on a
//! network file system as well as NativeLink, Buildbarn, BuildBuddy, bazel-remote or BuildGrid.
//!
//! ```text
//! reading   Action's digest ─▶ Cache::action_result ─▶ ActionCache of each location ─▶ signature::verify ─▶ Hit | None
//!           Hit's blobs     ─▶ Cache::fetch, bytes  ─▶ CAS of each location         ─▶ blob::Verifier    ─▶ content | None
//! writing   result + store  ─▶ Cache::push ─▶ closure (which blobs) ─▶ missing ─▶ write ─▶ signature::sign ─▶ ActionCache
//!
//! Location ("grpcs://host/instance?mode=read") ─▶ Folder  cas/<2 digits>/<sha256>.zst, ac/<2 digits>/<sha256>
//!                                              └▶ Remote  Capabilities, ActionCache, CAS, ByteStream over gRPC
//! ```
//!
//! **Correctness comes from verification alone.** A blob is what its SHA-256 says; it is hashed while it is read, and no
//! byte beyond its size is taken. A result is what a trusted key has signed for exactly this action ([`signature`]). All
//! else that a cache says (that a blob is there, how long a stream is, what it can do) is a hint, and a wrong hint costs a
//! miss. So reading by [`Cache`] has no errors: what goes wrong is counted, warned of once, and the action is run.
//!
//! **Time and memory are bounded.** Calls have deadlines, streams a least rate, answers a greatest size, tries a greatest
//! number ([`CallLimits`]); a location that fails goes off for the rest of the run (`breaker`). Ctrl-C ends every wait.
//!
//! The caller's own faults are errors: text that names no location, a key file that others can read, a store that is
//! damaged while it is pushed. `docs/build/cache.md` says what a cache promises, for reviewers.

pub mod backend;
pub mod blob;
mod breaker;
pub mod cache;
pub mod canonical;
pub mod closure;
mod error;
pub mod folder;
pub mod grpc;
pub mod key;
pub mod location;
mod retry;
pub mod signature;
pub mod statistics;
mod transfer;

pub use backend::{ActionCache, Backend, BlobSource, ContentAddressableStorage};
pub use basalt_action::Blob;
pub use cache::{Cache, Hit, Pushed, Settings, Upload};
pub use error::CacheError;
pub use folder::{Folder, RetentionPolicy};
pub use grpc::Remote;
pub use key::{KeyFileError, PublicKey, SecretKey, TrustedKeys};
pub use location::{Location, LocationError, Mode};
pub use retry::CallLimits;
pub use statistics::CacheStatistics;
