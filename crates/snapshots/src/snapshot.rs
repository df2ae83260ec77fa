//! A published snapshot, and what is known about it: `snapshot.json` in its folder.

use basalt_model::digest::Digest;
use basalt_signing::Moment;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::SnapshotError;

/// The file with what is known.
pub(crate) const FILE: &str = "snapshot.json";
/// The file with the public keys.
pub(crate) const KEYS: &str = "RPM-GPG-KEY-basalt";
/// The folder of the RPMs.
pub(crate) const PACKAGES: &str = "packages";
/// The signature of `repomd.xml`.
pub(crate) const SIGNATURE: &str = "repomd.xml.asc";

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// When it was published.
    pub made: Moment,
    /// The revision in its index, which grows from snapshot to snapshot.
    pub revision: u64,
    /// The fingerprint of the key that signed it.
    pub key: String,
    /// The digest of all that it was made from, besides the time.
    pub content: Digest,
    /// How many advisories it has.
    pub advisories: usize,
    /// Its packages, by name.
    pub packages: Vec<SnapshotPackage>,
    /// Its folder.
    #[serde(skip)]
    pub folder: Utf8PathBuf,
}

/// A package of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPackage {
    /// The name of its file.
    pub file: String,
    /// The digest of the signed RPM.
    pub digest: Digest,
    /// The digest of the RPM as it was built, which the store and images know.
    pub built: Digest,
    /// The size of the signed RPM in bytes.
    pub size: u64,
}

impl Snapshot {
    /// Reads the snapshot in a folder.
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

    /// The bytes of all its RPMs.
    pub fn bytes(&self) -> u64 {
        self.packages.iter().map(|package| package.size).sum()
    }

    /// The file with the public keys that its signatures are verified with.
    pub fn keys(&self) -> Utf8PathBuf {
        self.folder.join(KEYS)
    }
}

/// Where the RPM of that file name lies below a snapshot's folder. Not all in one folder: some clients list it.
pub(crate) fn href(file: &str) -> String {
    let first = file.chars().next().unwrap_or('_').to_ascii_lowercase();
    format!("{PACKAGES}/{first}/{file}")
}
