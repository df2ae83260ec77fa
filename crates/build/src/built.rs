//! What building a package brings.

use basalt_model::digest::Digest;
use basalt_repo::Package;
use basalt_store::Store;
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// A package that is built: what is kept of it, under the digest of all that went into it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Built {
    /// The source package's name.
    pub name: String,
    /// The digest of all that went into it.
    pub key: Digest,
    /// The RPMs, by name.
    pub rpms: Vec<Rpm>,
    /// How long it took, in seconds.
    pub seconds: u64,
}

/// An RPM in the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rpm {
    /// What its header says.
    pub package: Package,
    /// The usual name of the file.
    pub file: String,
    /// The digest of the file, which is its name in the store.
    pub digest: Digest,
    /// The size of the file in bytes.
    pub size: u64,
}

impl Rpm {
    /// Where the file is.
    pub fn path(&self, store: &Store) -> Utf8PathBuf {
        store.object_path(&self.digest)
    }

    /// The key of the tree that its payload makes when unpacked.
    pub fn tree_key(&self) -> Digest {
        let mut hasher = basalt_model::digest::Hasher::new();
        hasher.fact("payload of rpm", self.digest.as_bytes());
        hasher.finish()
    }
}

impl Built {
    /// Whether everything that it lists is still in the store.
    pub(crate) fn is_whole(&self, store: &Store) -> bool {
        self.rpms.iter().all(|rpm| store.object(&rpm.digest).is_some())
    }
}
