//! Backup superblocks of ext4, by which `fsck.ext4` makes a file system of what is left when the first superblock is gone.
//!
//! `mkfs.ext4` erases the first superblock when it begins and writes all of them when it ends. Cut off in between, it would leave
//! the backups of the file system before: what was to be erased would come back, with holes. So they go first.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::has_magic;

/// Bytes of a superblock.
const LENGTH: usize = 1024;

/// Erases the backup superblocks on a device, and writes that through. What cannot be read is left: `fsck.ext4` cannot read it
/// either.
///
/// # Errors
/// When the device does not take writes.
pub fn erase(device: &File) -> io::Result<()> {
    let size = rustix::fs::seek(device, rustix::fs::SeekFrom::End(0))?;
    for place in places(size) {
        let mut block = [0_u8; LENGTH];
        if device.read_exact_at(&mut block, place).is_ok() && has_magic(&block) {
            device.write_all_at(&[0; LENGTH], place)?;
        }
    }
    device.sync_all()
}

/// Places of backup superblocks on a device of a size, for every size of blocks: the beginnings of the groups 1 and of the powers
/// of 3, 5 and 7 (feature `sparse_super`). A group has as many blocks as a block has bits.
fn places(size: u64) -> Vec<u64> {
    let mut found = Vec::new();
    for shift in 10..=16 {
        let block: u64 = 1 << shift;
        let group = block * 8 * block;
        // With blocks of 1 KiB, the boot block is one of its own, before the first group.
        let first = if block == 1024 { block } else { 0 };
        for base in [1, 3, 5, 7_u64] {
            let numbers = std::iter::successors(Some(base), |number| {
                let next = number.checked_mul(base)?;
                (next > *number).then_some(next)
            });
            let places = numbers.map_while(|number| number.checked_mul(group)?.checked_add(first));
            found.extend(places.take_while(|place| place.saturating_add(LENGTH as u64) <= size));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_each_size_of_blocks() {
        const GROUP: u64 = 128 << 20;
        let of_a_gibibyte = places(1 << 30);
        for group in [1, 3, 5, 7] {
            assert!(of_a_gibibyte.contains(&(group * GROUP)), "{group}");
        }
        assert!(!of_a_gibibyte.contains(&(9 * GROUP)));
        assert!(places(2 << 30).contains(&(9 * GROUP)));
        // Blocks of 1 KiB: block 8193.
        assert!(of_a_gibibyte.contains(&(8193 * 1024)));
        // None is the first superblock, and none is beyond the end.
        assert!(
            of_a_gibibyte
                .iter()
                .all(|place| *place > 2048 && place + 1024 <= 1 << 30)
        );
        assert!(places(0).is_empty() && places(1 << 20).is_empty());
        // The largest device ends, too.
        assert!(places(u64::MAX).len() < 1000);
    }

    #[test]
    fn superblocks_alone_are_erased() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let device = file.as_file();
        device.set_len(512 << 20).unwrap();
        let (backup, data) = (128 << 20, 384 << 20);
        let mut superblock = [7_u8; LENGTH];
        superblock[0x38..0x3a].copy_from_slice(&[0x53, 0xef]);
        for place in [1024, backup] {
            device.write_all_at(&superblock, place).unwrap();
        }
        device.write_all_at(&[7; LENGTH], data).unwrap();
        erase(device).unwrap();
        let read = |place| {
            let mut block = [0_u8; LENGTH];
            device.read_exact_at(&mut block, place).unwrap();
            block
        };
        assert_eq!(read(backup), [0_u8; LENGTH]);
        assert_eq!(read(data), [7_u8; LENGTH]);
        // Until the new one is there, the first one says what was asked for.
        assert_eq!(read(1024), superblock);
    }
}
