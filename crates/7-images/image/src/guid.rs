//! GUIDs of disks, partitions and file systems. They are derived from digests, so that images are reproducible.

use std::fmt;

use basalt_digest::{Digest, Hasher};

/// GUID, with the bytes in the order of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guid(pub(crate) [u8; 16]);

impl Guid {
    /// Returns the GUID with these digits.
    pub(crate) const fn known(number: u128) -> Self {
        Self(number.to_be_bytes())
    }

    /// Derives a GUID from the key of an image, different for each purpose.
    pub(crate) fn derived(key: &Digest, purpose: &str) -> Self {
        let mut hasher = Hasher::new();
        hasher.fact("guid", purpose).fact("key", key.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finish().as_bytes()[..16]);
        // Version 8, "custom", of the usual variant.
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// Returns the GUIDs of the partitions with a root file system and with its hash tree: the two halves of the root
    /// hash, as the Discoverable Partitions Specification demands. So a kernel finds its root in either slot.
    pub(crate) fn of_root_hash(hash: &[u8; 32]) -> (Self, Self) {
        let (mut data, mut tree) = ([0; 16], [0; 16]);
        data.copy_from_slice(&hash[..16]);
        tree.copy_from_slice(&hash[16..]);
        (Self(data), Self(tree))
    }

    /// Returns the bytes in the order on a disk: the first three groups are little-endian numbers.
    pub(crate) fn on_disk(self) -> [u8; 16] {
        let mut bytes = self.0;
        bytes[..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        bytes
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// Derives four bytes from the key of an image, different for each purpose.
pub(crate) fn four_bytes(key: &Digest, purpose: &str) -> [u8; 4] {
    let bytes = Guid::derived(key, purpose).0;
    [bytes[0], bytes[1], bytes[2], bytes[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_disk_differ_as_they_should() {
        let esp = Guid::known(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);
        assert_eq!(esp.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        assert_eq!(esp.on_disk()[..8], [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11]);
        assert_eq!(esp.on_disk()[8..], esp.0[8..]);
    }
}
