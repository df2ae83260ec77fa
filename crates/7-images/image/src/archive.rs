//! Tar archives of an image's tree: the input of mkfs.erofs, and the layer of a container image.

use std::io::{Read, Write};

use tar::{Builder, EntryType, Header};

use crate::root::{Entry, Root, Sink};
use crate::{BUILD_TIME, ImageError, ImagePackage};

/// Writes the whole tree as a tar archive.
pub(crate) fn write(root: &Root, payloads: &[ImagePackage<'_>], to: impl Write) -> Result<(), ImageError> {
    let mut archive = Archive(Builder::new(to));
    // Without this entry, mkfs.erofs makes the root folder writable for everybody.
    archive.directory("./", &Entry::folder())?;
    root.hand_over(payloads, &mut archive)?;
    archive.0.into_inner().and_then(|mut to| to.flush()).map_err(failed)
}

struct Archive<W: Write>(Builder<W>);

impl<W: Write> Sink for Archive<W> {
    fn directory(&mut self, path: &str, entry: &Entry) -> Result<(), ImageError> {
        let path = format!("{}/", inside(path).trim_end_matches('/'));
        let mut header = header(entry, EntryType::Directory, 0);
        self.0.append_data(&mut header, path, std::io::empty()).map_err(failed)
    }

    fn symlink(&mut self, path: &str, entry: &Entry, target: &str) -> Result<(), ImageError> {
        let mut header = header(entry, EntryType::Symlink, 0);
        self.0.append_link(&mut header, inside(path), target).map_err(failed)
    }

    fn file(&mut self, path: &str, entry: &Entry, size: u64, content: &mut dyn Read) -> Result<(), ImageError> {
        let mut header = header(entry, EntryType::Regular, size);
        self.0.append_data(&mut header, inside(path), content).map_err(failed)
    }

    fn hard_link(&mut self, path: &str, entry: &Entry, first: &str) -> Result<(), ImageError> {
        let mut header = header(entry, EntryType::Link, 0);
        self.0
            .append_link(&mut header, inside(path), inside(first))
            .map_err(failed)
    }
}

/// Returns a path as archives have it: relative to the root, without a leading slash.
fn inside(path: &str) -> &str {
    path.trim_start_matches('/')
}

fn header(entry: &Entry, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(entry.mode);
    header.set_uid(u64::from(entry.user));
    header.set_gid(u64::from(entry.group));
    header.set_mtime(BUILD_TIME);
    header.set_size(size);
    header
}

fn failed(error: std::io::Error) -> ImageError {
    ImageError::io("cannot write the archive of", "the image")(error)
}
