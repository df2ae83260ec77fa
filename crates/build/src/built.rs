//! Results of building a package.

use basalt_action::{ActionResult, Blob, Execution, OutputFile};
use basalt_model::digest::Digest;
use basalt_repo::Package;
use basalt_store::{Store, StoreError};
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::BuildError;
use crate::fingerprint::{METADATA, OUTPUT};

/// A package that is built.
#[derive(Debug, Clone)]
pub struct Built {
    /// The source package's name.
    pub name: String,
    /// The key: the digest of the action that built it.
    pub key: Digest,
    /// The RPMs, by name.
    pub rpms: Vec<Rpm>,
    /// Seconds that the build took, wherever it was.
    pub seconds: u64,
    /// Seconds of processor time that it took.
    pub cpu_seconds: f64,
}

/// An RPM that a build made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rpm {
    /// Its header, as far as solving and listing need it.
    pub package: Package,
    /// The usual name of the file.
    pub file: String,
    /// The digest of the file, which is its name in the store.
    pub digest: Digest,
    /// The size of the file in bytes.
    pub size: u64,
}

impl Rpm {
    /// Name of the file's content.
    pub fn blob(&self) -> Blob {
        Blob {
            digest: self.digest,
            size: self.size,
        }
    }

    /// Brings the file into the store, from the shared cache if it is not there. False when neither has it.
    ///
    /// # Errors
    /// When the store cannot be written, and when interrupted.
    pub(crate) fn obtain(&self, store: &Store) -> Result<bool, StoreError> {
        Ok(store.object(&self.digest).is_some() || store.obtain(&self.blob())?.is_some())
    }

    /// Path of the file in the store.
    pub fn path(&self, store: &Store) -> Utf8PathBuf {
        store.object_path(&self.digest)
    }
}

impl Built {
    /// The result of a build that was made before: what the RPMs are, by their metadata. The content of the RPMs may be
    /// neither in the store nor in the shared cache, since keys need their digests only.
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
        let bytes = fs_err::read(&path).map_err(StoreError::io("cannot read", &path))?;
        let Ok(rpms) = serde_json::from_slice::<Vec<Rpm>>(&bytes) else {
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

    /// The result as it is kept, with the metadata of the RPMs in an object of its own.
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
