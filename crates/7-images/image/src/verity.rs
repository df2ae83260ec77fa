//! Hash trees of dm-verity, in the format of veritysetup: a superblock, then the levels from the top down.
//!
//! The kernel's driver reads only the levels; the superblock is for tools.

use camino::Utf8Path;
use fs_err::File;
use fs_err::os::unix::fs::FileExt as _;
use sha2::{Digest as _, Sha256};

use crate::ImageError;

/// Size of data blocks and of hash blocks in bytes.
pub(crate) const BLOCK: u64 = 4096;
const BLOCK_BYTES: usize = 4096;
/// Number of hashes in a block.
const FANOUT: u64 = 128;
/// Number of bytes that a thread reads at a time.
const PIECE: u64 = 256 * BLOCK;

/// Hash tree of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HashTree {
    /// Number of data blocks.
    pub(crate) data_blocks: u64,
    /// Root hash, which authenticates all data blocks.
    pub(crate) root_hash: [u8; 32],
    /// Salt that is hashed before every block.
    pub(crate) salt: [u8; 32],
    /// Superblock and levels.
    pub(crate) bytes: Vec<u8>,
}

impl HashTree {
    /// Number of the first block of the levels, after the superblock.
    pub(crate) const START: u64 = 1;

    /// Computes the hash tree of a file.
    ///
    /// # Errors
    /// When the file cannot be read, is empty, or has a size that is not a multiple of [`BLOCK`].
    pub(crate) fn of_file(path: &Utf8Path, salt: [u8; 32], uuid: [u8; 16]) -> Result<Self, ImageError> {
        let make = || {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            if size == 0 || size % BLOCK != 0 {
                return Err(std::io::Error::other("its size is not a multiple of 4096 bytes"));
            }
            Self::make(&file, size / BLOCK, salt, uuid)
        };
        make().map_err(ImageError::io("cannot make the hash tree of", path))
    }

    fn make(file: &File, data_blocks: u64, salt: [u8; 32], uuid: [u8; 16]) -> std::io::Result<Self> {
        let salted = Sha256::new_with_prefix(salt);
        let mut levels = vec![hash_file(file, data_blocks, &salted)?];
        while let Some(below) = levels.last().filter(|level| level.len() > BLOCK_BYTES) {
            levels.push(hash_level(below, &salted));
        }
        let top = levels.last().map(Vec::as_slice).unwrap_or_default();
        // A single data block is authenticated by its hash alone; there are no levels.
        let root_hash = match data_blocks {
            1 => top.first_chunk().copied().unwrap_or_default(),
            _ => hash(&salted, top),
        };
        let mut bytes = superblock(data_blocks, &salt, &uuid);
        if data_blocks > 1 {
            levels.iter().rev().for_each(|level| bytes.extend_from_slice(level));
        }
        Ok(Self {
            data_blocks,
            root_hash,
            salt,
            bytes,
        })
    }

    /// Returns the size in bytes of the tree of a file of that size.
    pub(crate) fn size_for(data_bytes: u64) -> u64 {
        let mut blocks = data_bytes.div_ceil(BLOCK);
        let mut total = Self::START;
        while blocks > 1 {
            blocks = blocks.div_ceil(FANOUT);
            total += blocks;
        }
        total * BLOCK
    }
}

fn hash(salted: &Sha256, block: &[u8]) -> [u8; 32] {
    let mut hasher = salted.clone();
    hasher.update(block);
    hasher.finalize().into()
}

/// Computes the lowest level: the hash of every data block. All processors share the work.
fn hash_file(file: &File, data_blocks: u64, salted: &Sha256) -> std::io::Result<Vec<u8>> {
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let share = data_blocks.div_ceil(threads);
    let parts = std::thread::scope(|scope| {
        let work = |first: u64| move || hash_blocks(file, first, share.min(data_blocks - first), salted);
        let workers: Vec<_> = (0..threads)
            .map(|index| index * share)
            .filter(|first| *first < data_blocks)
            .map(|first| scope.spawn(work(first)))
            .collect();
        let joined = workers.into_iter().map(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err(std::io::Error::other("a thread that made hashes died")))
        });
        joined.collect::<std::io::Result<Vec<_>>>()
    })?;
    Ok(padded(parts.concat()))
}

fn hash_blocks(file: &File, first: u64, count: u64, salted: &Sha256) -> std::io::Result<Vec<u8>> {
    let mut hashes = Vec::with_capacity(usize::try_from(count * 32).unwrap_or(0));
    let mut piece = Vec::new();
    let (mut offset, end) = (first * BLOCK, (first + count) * BLOCK);
    while offset < end {
        piece.resize(usize::try_from(PIECE.min(end - offset)).unwrap_or(BLOCK_BYTES), 0);
        file.read_exact_at(&mut piece, offset)?;
        for block in piece.chunks_exact(BLOCK_BYTES) {
            hashes.extend_from_slice(&hash(salted, block));
        }
        offset += piece.len() as u64;
    }
    Ok(hashes)
}

fn hash_level(below: &[u8], salted: &Sha256) -> Vec<u8> {
    padded(
        below
            .chunks_exact(BLOCK_BYTES)
            .flat_map(|block| hash(salted, block))
            .collect(),
    )
}

/// Pads a level with zeros to whole blocks.
fn padded(mut hashes: Vec<u8>) -> Vec<u8> {
    hashes.resize(hashes.len().next_multiple_of(BLOCK_BYTES), 0);
    hashes
}

fn superblock(data_blocks: u64, salt: &[u8; 32], uuid: &[u8; 16]) -> Vec<u8> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    block.extend_from_slice(b"verity\0\0");
    // The version of the superblock, and that of the hash: salt first.
    block.extend_from_slice(&1_u32.to_le_bytes());
    block.extend_from_slice(&1_u32.to_le_bytes());
    block.extend_from_slice(uuid);
    block.extend_from_slice(b"sha256");
    block.resize(64, 0);
    block.extend_from_slice(&4096_u32.to_le_bytes());
    block.extend_from_slice(&4096_u32.to_le_bytes());
    block.extend_from_slice(&data_blocks.to_le_bytes());
    block.extend_from_slice(&32_u16.to_le_bytes());
    block.resize(88, 0);
    block.extend_from_slice(salt);
    block.resize(BLOCK_BYTES, 0);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of the bytes from 0 to 250, each of them seven times.
    fn data(blocks: usize) -> Vec<u8> {
        (0..251_u8)
            .cycle()
            .flat_map(|byte| [byte; 7])
            .take(blocks * BLOCK_BYTES)
            .collect()
    }

    fn tree(blocks: usize) -> HashTree {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8Path::from_path(folder.path()).expect("UTF-8").join("data");
        fs_err::write(&path, data(blocks)).expect("written");
        HashTree::of_file(&path, [7; 32], [9; 16]).expect("made")
    }

    #[test]
    fn sizes_are_foretold() {
        for blocks in [1, 2, 127, 128, 129, 300] {
            let size = HashTree::size_for(blocks as u64 * BLOCK);
            assert_eq!(tree(blocks).bytes.len() as u64, size, "{blocks} blocks");
        }
        // Levels of 2, and 1.
        assert_eq!(HashTree::size_for(129 * BLOCK), 4 * BLOCK);
    }

    #[test]
    fn one_block_is_vouched_for_by_its_own_hash() {
        let mut hasher = Sha256::new_with_prefix([7; 32]);
        hasher.update(data(1));
        assert_eq!(tree(1).root_hash, <[u8; 32]>::from(hasher.finalize()));
    }

    #[test]
    fn a_file_that_is_not_made_of_blocks_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8Path::from_path(folder.path()).expect("UTF-8").join("data");
        fs_err::write(&path, [0; 5000]).expect("written");
        assert!(HashTree::of_file(&path, [0; 32], [0; 16]).is_err());
    }
}
