//! The label of a file system, read from its first blocks.
//!
//! udev knows labels too, but only once it has looked at every device; the agent runs before that.

use std::ops::Range;

/// A kind of file system that a config disk can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// FAT, of any width.
    Vfat,
    /// ext4.
    Ext4,
    /// The file system of CDs.
    Iso9660,
    /// The file system of DVDs.
    Udf,
}

impl FileSystem {
    /// Name of the file system in the kernel.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vfat => "vfat",
            Self::Ext4 => "ext4",
            Self::Iso9660 => "iso9660",
            Self::Udf => "udf",
        }
    }
}

/// Place of the first volume descriptor of CDs and DVDs, and size of each.
const DESCRIPTORS: usize = 32768;
const DESCRIPTOR: usize = 2048;

/// Number of descriptors that are looked at.
const MOST_DESCRIPTORS: usize = 16;

/// Number of bytes of a device that [`read`] and [`has_udf`] have to see.
pub const NEEDED: usize = DESCRIPTORS + MOST_DESCRIPTORS * DESCRIPTOR;

/// The kind and label of the file system that begins with these bytes. Fewer than [`NEEDED`] show less.
pub fn read(start: &[u8]) -> Option<(FileSystem, String)> {
    let field = |at: usize, length: usize| start.get(at..at + length);
    let text = |bytes: &[u8]| {
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).trim_end().to_owned()
    };
    if field(32769, 5) == Some(b"CD001") {
        return Some((FileSystem::Iso9660, text(field(32808, 32)?)));
    }
    if field(1080, 2) == Some(&[0x53, 0xef]) {
        return Some((FileSystem::Ext4, text(field(1144, 16)?)));
    }
    if field(510, 2) == Some(&[0x55, 0xaa]) {
        // FAT32 has it further back than FAT12 and FAT16; both have "FAT" in the field after it.
        if field(82, 3) == Some(b"FAT") {
            return Some((FileSystem::Vfat, text(field(71, 11)?)));
        }
        if field(54, 3) == Some(b"FAT") {
            return Some((FileSystem::Vfat, text(field(43, 11)?)));
        }
    }
    None
}

/// Bytes of the root folder of the FAT file system that begins with these bytes, of one of any length its first cluster (Microsoft's
/// FAT specification, 3.1 to 3.5).
pub fn fat_root(start: &[u8]) -> Option<Range<u64>> {
    let field = |at: usize, length: usize| {
        let bytes = start.get(at..at + length)?.iter().rev();
        Some(bytes.fold(0, |number: u64, byte| (number << 8) | u64::from(*byte)))
    };
    let sector = field(11, 2)?;
    let table = match field(22, 2)? {
        0 => field(36, 4)?,
        sectors => sectors,
    };
    let after_tables = (field(14, 2)? + field(16, 1)? * table) * sector;
    match field(17, 2)? {
        // FAT32, whose clusters are counted from 2.
        0 => {
            let cluster = field(13, 1)? * sector;
            let root = after_tables + field(44, 4)?.checked_sub(2)? * cluster;
            Some(root..root + cluster)
        }
        entries => Some(after_tables..after_tables + entries * 32),
    }
}

/// Returns `true` if a device that begins with these bytes has a UDF file system, beside ISO 9660 perhaps: one of its volume
/// structure descriptors is `NSR02` or `NSR03` (ECMA-167, part 3, 9.1). The label is further back than what is read here.
pub fn has_udf(start: &[u8]) -> bool {
    let descriptors = start.get(DESCRIPTORS..).unwrap_or_default().chunks(DESCRIPTOR);
    let mut names = descriptors
        .take(MOST_DESCRIPTORS)
        .map(|descriptor| descriptor.get(1..6));
    names.any(|name| matches!(name, Some(b"NSR02" | b"NSR03")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn device(parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; NEEDED];
        for (at, part) in parts {
            bytes[*at..at + part.len()].copy_from_slice(part);
        }
        bytes
    }

    #[test]
    fn labels() {
        let label = |parts: &[(usize, &[u8])]| read(&device(parts));
        let expected = |kind| Some((kind, "BASALT-CFG".to_owned()));
        assert_eq!(
            label(&[(510, &[0x55, 0xaa]), (54, b"FAT16   "), (43, b"BASALT-CFG ")]),
            expected(FileSystem::Vfat)
        );
        assert_eq!(
            label(&[(510, &[0x55, 0xaa]), (82, b"FAT32   "), (71, b"BASALT-CFG ")]),
            expected(FileSystem::Vfat)
        );
        assert_eq!(
            label(&[(1080, &[0x53, 0xef]), (1144, b"BASALT-CFG\0")]),
            expected(FileSystem::Ext4)
        );
        assert_eq!(
            label(&[(32769, b"CD001"), (32808, b"BASALT-CFG      ")]),
            expected(FileSystem::Iso9660)
        );
        assert_eq!(label(&[(510, &[0x55, 0xaa])]), None);
        assert_eq!(label(&[]), None);
    }

    #[test]
    fn the_root_folder_of_fat_is_found() {
        // Sectors of 512 bytes, one in front of two tables of 8; 512 entries.
        let fat16 = device(&[(11, &[0, 2, 4, 1, 0, 2, 0, 2]), (22, &[8, 0])]);
        assert_eq!(fat_root(&fat16), Some(8704..25088));
        // Clusters of 8 sectors, 32 sectors in front of two tables of 1000; the root is cluster 3.
        let fat32 = device(&[
            (11, &[0, 2, 8, 32, 0, 2, 0, 0]),
            (36, &[0xe8, 3, 0, 0]),
            (44, &[3, 0, 0, 0]),
        ]);
        assert_eq!(fat_root(&fat32), Some(1_044_480..1_048_576));
        assert_eq!(fat_root(&[0; 16]), None);
    }

    #[test]
    fn udf_is_known_by_its_descriptors() {
        let begin: (usize, &[u8]) = (32769, b"BEA01");
        assert!(has_udf(&device(&[begin, (34817, b"NSR02"), (36865, b"TEA01")])));
        // Beside ISO 9660.
        let bridge = device(&[
            (32769, b"CD001"),
            (34817, b"CD001"),
            (36865, b"BEA01"),
            (38913, b"NSR03"),
        ]);
        assert!(has_udf(&bridge));
        assert!(!has_udf(&device(&[(32769, b"CD001")])));
        assert!(!has_udf(&device(&[begin])));
        assert!(!has_udf(b"NSR02"));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
            let _ = read(&bytes);
            let _ = fat_root(&bytes);
            let _ = has_udf(&bytes);
            let _ = has_udf(&[&vec![0; DESCRIPTORS][..], &bytes].concat());
        }
    }
}
