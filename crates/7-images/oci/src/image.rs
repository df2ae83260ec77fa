//! Images that were read and checked.

use basalt_digest::Digest;
use camino::Utf8PathBuf;

use crate::ImageReference;

/// Image for one platform, whose files are what its documents say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerImage {
    /// Names of the image, where its archive has some.
    pub names: Vec<ImageReference>,
    /// Manifest.
    pub manifest: Manifest,
    /// Configuration and layers, each once.
    pub blobs: Vec<ImageBlob>,
}

/// Manifest of an image, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Content.
    pub bytes: Vec<u8>,
    /// Media type: OCI's, or docker's schema 2.
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
}

/// File of an image, named by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageBlob {
    /// Digest of the content.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
    /// Path of the file.
    pub path: Utf8PathBuf,
}

impl ContainerImage {
    /// Size of all blobs, in bytes.
    pub fn size(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size).sum()
    }
}
