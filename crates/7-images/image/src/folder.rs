//! Trees as files in a folder, which belong to the user who composes them.

use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::{OpenOptionsExt as _, symlink};

use crate::root::{Entry, Root, Sink};
use crate::{ImageError, ImagePackage};

/// Writes the whole tree into an empty folder.
pub(crate) fn write(root: &Root, payloads: &[ImagePackage<'_>], into: &Utf8Path) -> Result<(), ImageError> {
    fs_err::create_dir_all(into).map_err(ImageError::io("cannot create", into))?;
    root.hand_over(payloads, &mut Folder(into.to_owned()))
}

struct Folder(Utf8PathBuf);

impl Folder {
    fn place(&self, path: &str) -> Utf8PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}

impl Sink for Folder {
    fn directory(&mut self, path: &str, entry: &Entry) -> Result<(), ImageError> {
        let place = self.place(path);
        // Accessible to its owner, whatever its mode: it has to be filled, and to be removed later.
        let mode = std::fs::Permissions::from_mode(entry.mode & 0o777 | 0o700);
        fs_err::create_dir(&place)
            .and_then(|()| fs_err::set_permissions(&place, mode))
            .map_err(ImageError::io("cannot create", &place))
    }

    fn symlink(&mut self, path: &str, _: &Entry, target: &str) -> Result<(), ImageError> {
        let place = self.place(path);
        symlink(target, &place).map_err(ImageError::io("cannot create", &place))
    }

    fn file(&mut self, path: &str, entry: &Entry, _: u64, content: &mut dyn Read) -> Result<(), ImageError> {
        let place = self.place(path);
        let mut options = fs_err::OpenOptions::new();
        let mut write = || {
            let mut file = options.write(true).create_new(true).mode(0o600).open(&place)?;
            std::io::copy(content, &mut file)?;
            file.set_permissions(std::fs::Permissions::from_mode(entry.mode & 0o777))
        };
        write().map_err(ImageError::io("cannot write", &place))
    }

    fn hard_link(&mut self, path: &str, _: &Entry, first: &str) -> Result<(), ImageError> {
        let place = self.place(path);
        fs_err::hard_link(self.place(first), &place).map_err(ImageError::io("cannot create", &place))
    }
}
