//! The shared cache: a folder or a server of Bazel's Remote Execution API v2, verified and signed.

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

pub use backend::{ActionCache, Backend, ContentAddressableStorage, Source};
pub use blob::Blob;
pub use cache::{Cache, Hit, Pushed, Settings, Upload};
pub use error::CacheError;
pub use folder::{Folder, Keep};
pub use grpc::Remote;
pub use key::{KeyError, PublicKey, SecretKey, TrustedKeys};
pub use location::{Location, LocationError, Mode};
pub use retry::Limits;
pub use statistics::Statistics;
