//! Sources of objects: manifests, a cluster.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ManifestObject, PreflightError};

mod cluster;
mod connection;
mod defect;
mod files;

pub use cluster::ClusterSource;
#[cfg(test)]
pub(crate) use cluster::KINDS;
pub use connection::ApiConnection;
pub use files::FileSource;

/// File or kind of objects that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnreadSource {
    /// Path of the file, or name of the kind.
    pub source: String,
    /// Cause, and what helps.
    pub reason: String,
}

/// Source of objects.
pub trait ObjectSource {
    /// Reads all objects. What can be read is returned beside what cannot.
    ///
    /// # Errors
    /// When nothing can be read.
    fn read(&mut self) -> Result<(Vec<ManifestObject>, Vec<UnreadSource>), PreflightError>;
}
