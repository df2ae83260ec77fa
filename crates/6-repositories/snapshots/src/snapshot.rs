//! A published snapshot and its description: `snapshot.json` in its folder.

use basalt_digest::Digest;
use basalt_signing::Timestamp;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::SnapshotError;

/// Name of the description's file.
pub(crate) const FILE: &str = "snapshot.json";
/// Name of the file of public keys.
pub(crate) const KEYS: &str = "RPM-GPG-KEY-basalt";
/// Name of the folder of RPMs.
pub(crate) const PACKAGES: &str = "packages";
/// Name of the detached signature of `repomd.xml`.
pub(crate) const SIGNATURE: &str = "repomd.xml.asc";

/// A published snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Name, which is also its folder's.
    pub name: String,
    /// Time of publishing.
    pub made: Timestamp,
    /// Revision in `repomd.xml`, which grows from snapshot to snapshot.
    pub revision: u64,
    /// Fingerprint of the key that signed it.
    pub key: String,
    /// Digest of everything that it was made from, without the time.
    pub content: Digest,
    /// Number of advisories.
    pub advisories: usize,
    /// Packages of the snapshot.
    pub packages: Vec<SnapshotPackage>,
    /// Path of the folder.
    #[serde(skip)]
    pub folder: Utf8PathBuf,
}

/// A package of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPackage {
    /// File name of the RPM.
    pub file: String,
    /// SHA-256 digest of the signed RPM.
    pub digest: Digest,
    /// SHA-256 digest of the built RPM before signing, which the store and images know.
    pub built: Digest,
    /// Size of the signed RPM in bytes.
    pub size: u64,
}

impl Snapshot {
    /// Reads the description of the snapshot in a folder.
    pub(crate) fn open(folder: &Utf8Path) -> Result<Self, SnapshotError> {
        let path = folder.join(FILE);
        let damaged = |why: String| SnapshotError::Damaged {
            path: path.clone(),
            why,
            help: "remove that snapshot's folder, and publish again",
        };
        let text = fs_err::read(&path).map_err(|error| damaged(error.to_string()))?;
        let snapshot: Self = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        Ok(Self {
            folder: folder.to_owned(),
            ..snapshot
        })
    }

    /// Returns the size of all its RPMs, in bytes.
    pub fn bytes(&self) -> u64 {
        self.packages.iter().map(|package| package.size).sum()
    }

    /// Returns the path of the public keys that verify its signatures.
    pub fn keys(&self) -> Utf8PathBuf {
        self.folder.join(KEYS)
    }
}

/// Returns the path of an RPM relative to the snapshot's folder, by its file name. RPMs are spread over folders by
/// their first letter: some clients list folders.
pub(crate) fn href(file: &str) -> String {
    let first = file.chars().next().unwrap_or('_').to_ascii_lowercase();
    format!("{PACKAGES}/{first}/{file}")
}
