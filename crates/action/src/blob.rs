//! Digest and size of a piece of content: REAPI's `Digest`.

use std::fmt;

use basalt_model::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::proto;

/// Content by its SHA-256 and its size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Blob {
    /// The SHA-256 of the content.
    pub digest: Digest,
    /// The size in bytes.
    pub size: u64,
}

impl Blob {
    /// Name of a piece of memory.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        Self {
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        }
    }

    /// REAPI's message.
    pub fn to_proto(self) -> proto::Digest {
        proto::Digest {
            hash: self.digest.to_hex(),
            // A file of more than 8 EiB is in no file system.
            size_bytes: i64::try_from(self.size).unwrap_or(i64::MAX),
        }
    }

    /// Reads REAPI's message; `None` when it is no SHA-256 or its size is negative.
    pub fn from_proto(message: &proto::Digest) -> Option<Self> {
        Some(Self {
            digest: message.hash.parse().ok()?,
            size: u64::try_from(message.size_bytes).ok()?,
        })
    }
}

impl fmt::Display for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.digest, self.size)
    }
}
