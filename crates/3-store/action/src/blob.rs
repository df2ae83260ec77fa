//! Digest and size of a piece of content: REAPI's `Digest`.

use std::fmt;
use std::io::{self, Read};

use basalt_digest::Digest;
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

/// A REAPI `Digest` message that names no SHA-256 blob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{hash}/{size}` is not the digest of a blob: SHA-256 and a size of 0 or more are expected")]
pub struct InvalidBlob {
    /// `Digest.hash` as received, shortened to 80 characters.
    hash: String,
    /// `Digest.size_bytes` as received.
    size: i64,
}

impl Blob {
    /// The empty blob, which every cache has without being asked (REAPI, `Digest`).
    pub fn empty() -> Self {
        Self::of([])
    }

    /// Name of a piece of memory.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        Self {
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        }
    }

    /// Name of all that a reader still holds.
    ///
    /// # Errors
    /// When the reader fails.
    pub fn of_reader(reader: impl Read) -> io::Result<Self> {
        let (digest, size) = Digest::of_reader(reader)?;
        Ok(Self { digest, size })
    }

    /// REAPI's message.
    pub fn to_proto(self) -> proto::Digest {
        proto::Digest {
            hash: self.digest.to_hex(),
            // A file of more than 8 EiB is in no file system.
            size_bytes: i64::try_from(self.size).unwrap_or(i64::MAX),
        }
    }
}

impl TryFrom<&proto::Digest> for Blob {
    type Error = InvalidBlob;

    fn try_from(message: &proto::Digest) -> Result<Self, InvalidBlob> {
        let invalid = || InvalidBlob {
            hash: message.hash.chars().filter(|c| !c.is_control()).take(80).collect(),
            size: message.size_bytes,
        };
        let lower = message.hash.len() == 64 && !message.hash.bytes().any(|digit| digit.is_ascii_uppercase());
        let digest = message.hash.parse().ok().filter(|_| lower).ok_or_else(invalid)?;
        let size = u64::try_from(message.size_bytes).map_err(|_| invalid())?;
        Ok(Self { digest, size })
    }
}

impl fmt::Display for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.digest, self.size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn malformed_digests_are_refused() {
        let hash = "0".repeat(64);
        for (hash, size_bytes) in [
            (hash.clone(), -1),
            ("A".repeat(64), 1),
            ("0".repeat(40), 1),
            (format!("sha256:{hash}"), 1),
            (String::new(), 0),
        ] {
            let message = proto::Digest { hash, size_bytes };
            assert!(Blob::try_from(&message).is_err(), "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn a_blob_survives_the_message(content: Vec<u8>) {
            let blob = Blob::of(&content);
            prop_assert_eq!(Blob::try_from(&blob.to_proto()), Ok(blob));
        }
    }
}
