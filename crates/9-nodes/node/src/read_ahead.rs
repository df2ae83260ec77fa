//! Reading ahead: the largest programs of a node come into the page cache before they start, while processors and disk have
//! nothing else to do.

use std::io;
use std::num::NonZeroU64;
use std::path::Path;

use fs_err::File;
use fs_err::os::unix::fs::FileExt as _;
use rustix::fs::{Advice, fadvise};

use crate::apply::below;
use crate::paths;

/// Programs in the order in which a boot starts them. containerd asks its shim at its start what it can do, and that asks runc.
pub const PROGRAMS: [&str; 4] = [paths::CONTAINERD, paths::CONTAINERD_SHIM, paths::RUNC, paths::KUBELET];

/// Bytes that the kernel is asked for at a time. For one question it reads no more than its read-ahead for files, or than the
/// largest request of the disk if that is more (`force_page_cache_ra` in mm/readahead.c): 128 KiB unless it was told otherwise.
const PIECE: u64 = 128 << 10;

/// Reads all of these programs; returns what went wrong with single ones, which are read when they start, or tell more then.
pub fn read_programs(root: &Path) -> Vec<io::Error> {
    PROGRAMS
        .iter()
        .filter_map(|program| read_ahead(root, program).err())
        .collect()
}

/// Has the kernel read a file whole, and returns when it has.
///
/// A program that is mapped and not read yet is read piece by piece, in the order in which its pages are first used; so the kernel
/// verifies and decompresses one piece at a time, and the program waits for each. Here, the next piece is asked for before the
/// last one is waited for; never more, so that others do not stand behind a whole program at the disk.
///
/// # Errors
/// When the file cannot be read.
pub fn read_ahead(root: &Path, path: &str) -> io::Result<()> {
    let file = File::open(below(root, path))?;
    let size = file.metadata()?.len();
    let (mut begin, mut last) = (0, None);
    while begin < size {
        fadvise(&file, begin, NonZeroU64::new(PIECE), Advice::WillNeed)?;
        wait(&file, last)?;
        begin = begin.saturating_add(PIECE);
        last = Some(begin.min(size) - 1);
    }
    wait(&file, last)
}

/// Waits until a byte is there.
fn wait(file: &File, byte: Option<u64>) -> io::Result<()> {
    match byte {
        Some(byte) => file.read_at(&mut [0], byte).map(drop),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_every_size_are_read() {
        let root = tempfile::tempdir().unwrap();
        let piece = usize::try_from(PIECE).unwrap();
        for size in [0, 1, piece - 1, piece, piece + 1, 3 * piece] {
            fs_err::write(root.path().join("program"), vec![0; size]).unwrap();
            read_ahead(root.path(), "/program").unwrap();
        }
    }

    #[test]
    fn a_file_that_is_missing_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let errors = read_programs(root.path());
        assert_eq!(errors.len(), PROGRAMS.len());
        assert!(errors.iter().all(|error| error.kind() == io::ErrorKind::NotFound));
    }
}
