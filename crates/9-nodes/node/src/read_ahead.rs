//! Reading ahead: programs come into the page cache before they start, while the machine waits for something else.

use std::io;
use std::path::Path;

use rustix::fs::{Advice, fadvise};

use crate::apply::below;

/// Has the kernel read a file whole. It goes on reading when this has returned.
///
/// A program that is mapped and not read yet is read piece by piece, in the order in which its pages are first used; so the kernel
/// verifies and decompresses one piece at a time, and the program waits for each.
///
/// # Errors
/// When the file cannot be opened.
pub fn read_ahead(root: &Path, path: &str) -> io::Result<()> {
    let file = fs_err::File::open(below(root, path))?;
    Ok(fadvise(&file, 0, None, Advice::WillNeed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_ahead_and_one_that_is_missing_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        fs_err::write(root.path().join("program"), [0; 8192]).unwrap();
        read_ahead(root.path(), "/program").unwrap();
        assert_eq!(
            read_ahead(root.path(), "/none").unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
