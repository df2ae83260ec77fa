//! Objects: files named by the digest of their content.

use std::fs::File;
use std::io::{self, Read, Write};

use basalt_action::Blob;
use basalt_digest::{Digest, Hasher};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::OFlags;

use crate::name::Kind;
use crate::{Store, StoreError, write};

impl Store {
    /// Returns the path of the object of a digest, whether it exists or not.
    pub fn object_path(&self, digest: &Digest) -> Utf8PathBuf {
        self.root().join("objects").join(digest.to_hex())
    }

    /// Returns the path of the object, if the store has it, and records its use.
    pub fn object(&self, digest: &Digest) -> Option<Utf8PathBuf> {
        self.hit(self.object_path(digest), Utf8Path::is_file)
    }

    /// Returns the path of the object, if the store has it and its content matches its digest. A damaged object is
    /// moved to `damaged`, so that it is fetched or made again.
    ///
    /// # Errors
    /// When it cannot be read or moved.
    pub fn intact_object(&self, digest: &Digest) -> Result<Option<Utf8PathBuf>, StoreError> {
        let Some(path) = self.object(digest) else {
            return Ok(None);
        };
        if self.is_verified(digest) {
            return Ok(Some(path));
        }
        if digest_of(&path)?.0 == *digest {
            self.set_verified(digest);
            return Ok(Some(path));
        }
        let place = self.set_aside(&path)?;
        tracing::warn!(%place, "an object was damaged, and is set aside");
        Ok(None)
    }

    /// Reads an object into memory; `None` when it is missing or damaged.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_object(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(path) = self.object(digest) else {
            return Ok(None);
        };
        let bytes = fs_err::read(&path).map_err(StoreError::io("cannot read", &path))?;
        Ok((Digest::of(&bytes) == *digest).then_some(bytes))
    }

    /// Stores bytes as an object, unless the store has it, intact; its use is recorded then.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn insert_bytes(&self, bytes: &[u8]) -> Result<Blob, StoreError> {
        let blob = Blob::of(bytes);
        let is_there = |path: &Utf8Path| std::fs::read(path).is_ok_and(|known| known == bytes);
        if self.hit(self.object_path(&blob.digest), is_there).is_none() {
            self.insert(bytes)?;
        }
        Ok(blob)
    }

    /// Stores all that a reader yields as an object, and returns its digest and size in bytes.
    ///
    /// # Errors
    /// When reading or writing fails, and when interrupted; no file is left behind then.
    pub fn insert(&self, content: impl Read) -> Result<(Digest, u64), StoreError> {
        let fresh = self.new_path(Kind::File)?;
        let failed = || StoreError::io("cannot store an object in", &fresh);
        let write = || -> Result<(Digest, u64), StoreError> {
            let mut file = File::create_new(&fresh).map_err(failed())?;
            let written = copy(content, &mut file, failed)?;
            let finish = || {
                set_read_only(&file)?;
                self.stamp(&file)?;
                file.sync_all()
            };
            finish().map_err(failed())?;
            Ok(written)
        };
        let stored = write().and_then(|(digest, size)| {
            self.rename_to_entry(&fresh, &self.object_path(&digest))?;
            Ok((digest, size))
        });
        if stored.is_err() {
            drop(std::fs::remove_file(&fresh));
        }
        let stored = stored?;
        write::sync_folder(&self.root().join("objects"))?;
        Ok(stored)
    }

    /// Stores a copy of a file as an object, and returns its digest and size in bytes.
    ///
    /// # Errors
    /// When the file cannot be read, or the store cannot be written.
    pub fn insert_file(&self, path: &Utf8Path) -> Result<(Digest, u64), StoreError> {
        let file = File::open(path).map_err(StoreError::io("cannot read", path))?;
        self.insert(file)
    }

    /// Compares the content of an object with its digest.
    ///
    /// # Errors
    /// When it cannot be read, or does not match.
    pub fn verify_object(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.object_path(digest);
        let (actual, _) = digest_of(&path)?;
        if actual == *digest {
            Ok(())
        } else {
            Err(StoreError::Damaged { path, actual })
        }
    }
}

/// Returns the digest of a file, and its size in bytes.
///
/// # Errors
/// When it cannot be read or is no ordinary file, and when interrupted.
pub fn digest_of(path: &Utf8Path) -> Result<(Digest, u64), StoreError> {
    let failed = || StoreError::io("cannot read", path);
    let file = open_ordinary(path).map_err(failed())?;
    copy(file, &mut io::sink(), failed)
}

/// Opens an ordinary file, or one that a link leads to; a named pipe does not make anybody wait.
pub(crate) fn open_ordinary(path: &Utf8Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let file = options.open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is not an ordinary file")),
    }
}

/// Copies all that a reader still holds, and returns its digest and size in bytes. Ends soon after an interruption,
/// however much there is to copy.
fn copy<E: FnOnce(io::Error) -> StoreError>(
    mut from: impl Read,
    into: &mut impl Write,
    failed: impl Fn() -> E,
) -> Result<(Digest, u64), StoreError> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut size = 0;
    loop {
        basalt_process::interrupt::check()?;
        let length = match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            length => length.map_err(failed())?,
        };
        if length == 0 {
            return Ok((hasher.finish(), size));
        }
        let bytes = buffer.get(..length).unwrap_or_default();
        hasher.write_all(bytes).map_err(failed())?;
        into.write_all(bytes).map_err(failed())?;
        size += length as u64;
    }
}

pub(crate) fn set_read_only(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o444))
}
