//! Statistics of a folder cache, and verification of its content against digests and signatures.

use std::time::SystemTime;

use basalt_digest::Hasher;

use super::collect::{Kind, Stored};
use super::{Folder, file};
use crate::error::CacheError;
use crate::key::TrustedKeys;
use crate::signature::{self, SignatureVerdict};
use crate::transfer::{CopyError, copy};

/// Statistics of a folder cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FolderStatus {
    /// Number of blobs.
    pub blobs: u64,
    /// Number of results.
    pub results: u64,
    /// Bytes of both on the disk, compressed.
    pub bytes: u64,
    /// The last use of what was used longest ago.
    pub oldest: Option<SystemTime>,
}

/// Result of verifying a folder cache. Damaged files are removed where the location may be written to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verification {
    /// Blobs that are what they are called.
    pub blobs: u64,
    /// Blobs that are not.
    pub damaged: u64,
    /// Results with a signature of a trusted key.
    pub trusted: u64,
    /// Results without one.
    pub untrusted: u64,
}

impl Folder {
    /// Counts what is there.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn status(&self) -> Result<FolderStatus, CacheError> {
        let mut status = FolderStatus::default();
        for stored in self.scan()? {
            match stored.kind {
                Kind::Blob => status.blobs += 1,
                Kind::Result => status.results += 1,
            }
            status.bytes += stored.entry.bytes;
            status.oldest = status.oldest.into_iter().chain([stored.entry.used]).min();
        }
        Ok(status)
    }

    /// Reads everything and compares it with its name and its signature.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn verify(&self, trusted: &TrustedKeys) -> Result<Verification, CacheError> {
        let mut found = Verification::default();
        for stored in self.scan()? {
            match stored.kind {
                Kind::Blob => match self.is_sound(&stored)? {
                    true => found.blobs += 1,
                    false => found.damaged += 1,
                },
                Kind::Result => match self.is_trusted(&stored, trusted)? {
                    true => found.trusted += 1,
                    false => found.untrusted += 1,
                },
            }
        }
        Ok(found)
    }

    fn is_sound(&self, stored: &Stored) -> Result<bool, CacheError> {
        let opened = match file::open(&stored.path) {
            Ok(opened) => opened,
            Err(error) if file::is_absent(&error) => return Ok(true),
            Err(error) => return Err(CacheError::io("cannot read", &stored.path)(error)),
        };
        let mut recorded = file::Recorded::new(&opened);
        let mut hasher = Hasher::new();
        let copied = file::decoder(&mut recorded).map_or_else(
            |error| Err(CopyError::Read(error)),
            |mut decoder| copy(&mut decoder, &mut hasher),
        );
        match (copied, recorded.error()) {
            (Err(CopyError::Interrupted(error)), _) => return Err(error.into()),
            (_, Some(error)) => return Err(CacheError::io("cannot read", &stored.path)(error)),
            (Ok(()), None) if hasher.finish() == stored.digest => return Ok(true),
            _ => {}
        }
        self.discard(&stored.path);
        Ok(false)
    }

    fn is_trusted(&self, stored: &Stored, trusted: &TrustedKeys) -> Result<bool, CacheError> {
        match self.load_result(&stored.path) {
            Ok(Some((result, _))) => {
                let verdict = signature::verify(&stored.digest, &result, trusted);
                Ok(matches!(verdict, SignatureVerdict::Trusted(..)))
            }
            Ok(None) => Ok(true),
            Err(CacheError::Protocol { .. }) => {
                self.discard(&stored.path);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
