//! Size limits for reading an untrusted database.

use std::io::{self, Read};

/// Size limits for reading an untrusted database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseLimits {
    /// The largest record, in bytes.
    pub record: u64,
    /// Ratio of unpacked to packed size of an archive, at most.
    pub ratio: u64,
    /// Unpacked size in bytes that every archive may have, whatever its packed size.
    pub floor: u64,
}

impl Default for DatabaseLimits {
    fn default() -> Self {
        Self {
            record: 16 << 20,
            ratio: 200,
            floor: 64 << 20,
        }
    }
}

impl DatabaseLimits {
    /// Reads at most one byte more than a record may have. Returns `true` if that was all.
    pub(crate) fn read(self, from: &mut impl Read, into: &mut Vec<u8>) -> io::Result<bool> {
        from.take(self.record + 1).read_to_end(into)?;
        Ok(into.len() as u64 <= self.record)
    }

    /// Returns the size in bytes that an archive of `packed` bytes may unpack to.
    pub(crate) fn unpacked(self, packed: u64) -> u64 {
        self.floor.saturating_add(packed.saturating_mul(self.ratio))
    }

    pub(crate) fn too_large(self) -> String {
        format!("it is larger than {} MiB", self.record >> 20)
    }
}
