//! Results of building packages.

use std::collections::BTreeMap;
use std::sync::Arc;

use basalt_action::{ActionResult, Blob, Execution, OutputFile};
use basalt_digest::Digest;
use basalt_rpm::Package;
use basalt_store::{FileError, Store, StoreError};
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::BuildError;
use crate::fingerprint::{METADATA, OUTPUT};
use crate::graph::PackageId;

/// Results by package.
pub type BuiltPackages = BTreeMap<PackageId, Arc<Built>>;

/// Result of a package's build.
#[derive(Debug, Clone)]
pub struct Built {
    /// Name of the source package.
    pub name: String,
    /// Key: the digest of the action that built it.
    pub key: Digest,
    /// RPMs, by name.
    pub rpms: Vec<BuiltRpm>,
    /// Duration of the build in seconds, on whatever machine it ran.
    pub seconds: u64,
    /// Processor time of the build, in seconds.
    pub cpu_seconds: f64,
}

/// RPM that a build made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuiltRpm {
    /// Metadata from its header, as far as solving and listing need them.
    pub package: Package,
    /// File name: `<name>-<version>-<release>.<arch>.rpm`.
    pub file: String,
    /// SHA-256 digest of the file, which is its name in the store.
    pub digest: Digest,
    /// Size of the file in bytes.
    pub size: u64,
}

impl BuiltRpm {
    /// Returns the digest and size of the file.
    pub fn blob(&self) -> Blob {
        Blob {
            digest: self.digest,
            size: self.size,
        }
    }

    /// Brings the file into the store, from the shared cache if it is missing or damaged. Its content is compared with
    /// its digest, once in each process. Returns `false` when neither has it.
    ///
    /// # Errors
    /// When the store cannot be read or written, and when interrupted.
    pub(crate) fn obtain(&self, store: &Store) -> Result<bool, StoreError> {
        Ok(store.obtain(&self.blob())?.is_some())
    }

    /// Returns the path of the file in the store. [`Engine::provide`](crate::Engine::provide) makes sure that it is
    /// there and intact.
    pub fn path(&self, store: &Store) -> Utf8PathBuf {
        store.object_path(&self.digest)
    }
}

impl Built {
    /// Looks up the result of an earlier build, with the metadata of its RPMs. The content of the RPMs may be neither
    /// in the store nor in the shared cache, since keys need their digests only.
    pub(crate) fn recall(name: &str, key: &Blob, store: &Store) -> Result<Option<Self>, BuildError> {
        let Some(result) = store.action_result(key) else {
            return Ok(None);
        };
        let Some(metadata) = result.file(METADATA) else {
            return Ok(None);
        };
        let Some(path) = store.obtain(&metadata.blob)? else {
            return Ok(None);
        };
        let bytes = fs_err::read(&path).map_err(FileError::new("cannot read", &path))?;
        let Ok(rpms) = serde_json::from_slice::<Vec<BuiltRpm>>(&bytes) else {
            return Ok(None);
        };
        Ok(Some(Self {
            name: name.to_owned(),
            key: key.digest,
            rpms,
            seconds: result.execution.seconds(),
            cpu_seconds: result.execution.cpu_seconds,
        }))
    }

    /// Encodes the result for the store, with the metadata of the RPMs in an object of its own.
    pub(crate) fn to_result(&self, execution: Execution, store: &Store) -> Result<ActionResult, BuildError> {
        let metadata = serde_json::to_vec(&self.rpms).map_err(BuildError::metadata)?;
        let metadata = OutputFile {
            path: METADATA.to_owned(),
            blob: store.insert_bytes(&metadata)?,
            is_executable: false,
        };
        let rpms = self.rpms.iter().map(|rpm| OutputFile {
            path: format!("{OUTPUT}/{}", rpm.file),
            blob: rpm.blob(),
            is_executable: false,
        });
        Ok(ActionResult {
            files: rpms.chain([metadata]).collect(),
            execution,
            ..ActionResult::default()
        })
    }
}
