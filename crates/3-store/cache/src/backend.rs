//! Traits of a back end: the two services of a REAPI cache, `ContentAddressableStorage` and `ActionCache`.

use std::io::{Read, Seek, Write};

use bazel_remote_apis::build::bazel::remote::execution::v2::ActionResult;

use crate::error::CacheError;
use basalt_action::Blob;

/// Content of a blob to upload. Seekable, so that an interrupted upload resumes at the offset that the server has
/// committed.
pub trait BlobSource: Read + Seek {}

impl<T: Read + Seek> BlobSource for T {}

/// Size of a blob that is held in memory, at most, in bytes: `Directory` and `Tree` messages, logs.
pub const MAX_IN_MEMORY: u64 = 64 << 20;

/// Content of each blob that was asked for, or why it cannot be had.
pub type Outcomes = Vec<(Blob, Result<Vec<u8>, CacheError>)>;

/// Blobs by digest. All calls may block, and end within the time limits of the back end.
pub trait ContentAddressableStorage: Send + Sync {
    /// Returns those of `blobs` that the back end does not have (`FindMissingBlobs`).
    ///
    /// # Errors
    /// An error of the back end, when it cannot answer.
    fn missing(&self, blobs: &[Blob]) -> Result<Vec<Blob>, CacheError>;

    /// Returns those of `blobs` that a push has to write: the missing ones and, where the back end can tell by reading
    /// its own files, those that are damaged. Servers watch over their content themselves.
    ///
    /// # Errors
    /// As [`Self::missing`].
    fn missing_or_damaged(&self, blobs: &[Blob]) -> Result<Vec<Blob>, CacheError> {
        self.missing(blobs)
    }

    /// Reads a blob. At most its size is written into `into`; after an error, what was written is worth nothing.
    ///
    /// # Errors
    /// [`CacheError::Missing`], [`CacheError::Wrong`] for content with another digest, and others.
    fn read(&self, blob: &Blob, into: &mut dyn Write) -> Result<(), CacheError>;

    /// Writes a blob; does nothing where it is there already.
    ///
    /// # Errors
    /// [`CacheError::SourceChanged`] when `from` is not the blob, and others.
    fn write(&self, blob: &Blob, from: &mut dyn BlobSource) -> Result<(), CacheError>;

    /// Reads several small blobs, in as few round trips as there can be (`BatchReadBlobs`), each with its own outcome.
    ///
    /// # Errors
    /// When the back end fails as a whole.
    fn read_small(&self, blobs: &[Blob]) -> Result<Outcomes, CacheError> {
        Ok(blobs.iter().map(|blob| (*blob, read_bytes(self, blob))).collect())
    }

    /// Writes several small blobs (`BatchUpdateBlobs`).
    ///
    /// # Errors
    /// When one of them cannot be written.
    fn write_small(&self, blobs: &[(Blob, Vec<u8>)]) -> Result<(), CacheError> {
        blobs
            .iter()
            .try_for_each(|(blob, content)| self.write(blob, &mut std::io::Cursor::new(content)))
    }
}

/// Results of actions, by the digest of the `Action`.
pub trait ActionCache: Send + Sync {
    /// The result that is kept for an action (`GetActionResult`), as it stands: unverified.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn action_result(&self, action: &Blob) -> Result<Option<ActionResult>, CacheError>;

    /// Keeps a result (`UpdateActionResult`), in place of the one that was there.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put_action_result(&self, action: &Blob, result: &ActionResult) -> Result<(), CacheError>;
}

/// Back end of one location: a folder or a server.
pub trait Backend: ContentAddressableStorage + ActionCache {}

impl<T: ContentAddressableStorage + ActionCache> Backend for T {}

/// Reads a blob into memory.
///
/// # Errors
/// As [`ContentAddressableStorage::read`]; a blob over [`MAX_IN_MEMORY`] counts as missing.
pub fn read_bytes<C: ContentAddressableStorage + ?Sized>(cas: &C, blob: &Blob) -> Result<Vec<u8>, CacheError> {
    if blob.size > MAX_IN_MEMORY {
        let (cache, blob) = ("(in memory)".to_owned(), *blob);
        return Err(CacheError::Missing { cache, blob });
    }
    let mut content = Vec::new();
    cas.read(blob, &mut content)?;
    Ok(content)
}
