//! Verification: the content of every object and every directory is compared with its digest, every action result with
//! its checksum.

use std::io::{self, Read as _};

use basalt_digest::Digest;
use basalt_process::interrupt;
use basalt_progress::{Outcome, Reporter, Unit};
use camino::{Utf8Path, Utf8PathBuf};

use crate::actions::read_checked;
use crate::layout::{DAMAGED, ENTRY_FOLDERS};
use crate::objects::open_ordinary;
use crate::workspace::rename_folder_or_file;
use crate::{Store, StoreError, digest_of, read_directory, write};

/// Object or directory whose content does not match its digest, action result that does not match its checksum, or
/// either of them that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedObject {
    /// Digest in its name; of an action result, that of the action.
    pub digest: Digest,
    /// Description of the difference.
    pub why: String,
    /// Current path: in `damaged`, so that the entry is fetched or built again; the old path in a store that can only
    /// be read.
    pub path: Utf8PathBuf,
}

impl Store {
    /// Compares the content of every object and every directory with its digest, and every action result with its
    /// checksum, and moves the damaged ones to `damaged`, so that they are fetched or built again.
    ///
    /// # Errors
    /// When the store cannot be listed, when a damaged entry cannot be moved, and when interrupted.
    pub fn verify(&self, reporter: &dyn Reporter) -> Result<Vec<DamagedObject>, StoreError> {
        let mut damaged = self.verify_entries("objects", reporter, damage)?;
        damaged.extend(self.verify_entries("trees", reporter, directory_damage)?);
        damaged.extend(self.verify_entries("actions", reporter, |path, _| Ok(result_damage(path)))?);
        Ok(damaged)
    }

    fn verify_entries(
        &self,
        folder: &str,
        reporter: &dyn Reporter,
        damage: impl Fn(&Utf8Path, &Digest) -> Result<Option<String>, StoreError>,
    ) -> Result<Vec<DamagedObject>, StoreError> {
        let Some(kind) = ENTRY_FOLDERS.iter().find(|known| known.name == folder) else {
            return Ok(Vec::new());
        };
        let paths = self.entries(kind.name, kind.is_entry)?;
        let task = reporter.task(&format!("verifying {folder}"), Unit::Items, Some(paths.len() as u64));
        let mut damaged = Vec::new();
        for path in paths {
            interrupt::check()?;
            // Folders of earlier versions, with shorter names, are not named by their content.
            let digest = path.file_name().and_then(|name| name.parse::<Digest>().ok());
            if let Some(digest) = digest
                && let Some(why) = damage(&path, &digest)?
            {
                let path = self.set_aside(&path)?;
                damaged.push(DamagedObject { digest, why, path });
            }
            task.advance(1);
        }
        task.finish(Outcome::Done);
        Ok(damaged)
    }

    /// Moves an entry to `damaged`, and returns its new path; in a store that can only be read, the old one. An entry
    /// of the same name that was damaged earlier gives way.
    pub(crate) fn set_aside(&self, path: &Utf8Path) -> Result<Utf8PathBuf, StoreError> {
        if self.is_read_only() {
            return Ok(path.to_owned());
        }
        let name = path.file_name().unwrap_or_default();
        if let Ok(digest) = name.parse::<Digest>() {
            self.set_unverified(&digest);
        }
        let place = self.root().join(DAMAGED).join(name);
        self.discard(&place)?;
        match rename_folder_or_file(path, &place) {
            // Another process has found the damage at the same time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(place),
            moved => moved.map_err(StoreError::io("cannot set aside", path))?,
        }
        path.parent().map_or(Ok(()), write::sync_folder)?;
        Ok(place)
    }
}

/// Returns the reason why a folder is not the directory of a digest.
fn directory_damage(path: &Utf8Path, digest: &Digest) -> Result<Option<String>, StoreError> {
    match read_directory(path) {
        Ok(directory) => {
            let actual = directory.blob().digest;
            Ok((actual != *digest).then(|| format!("what is in it has the digest {actual}")))
        }
        Err(StoreError::File(error)) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(StoreError::File(error)) => Ok(Some(format!("it cannot be read: {}", error.source))),
        Err(error) => Err(error),
    }
}

/// Returns the reason why a file is not the result of an action. A file that was removed meanwhile is no damage.
fn result_damage(path: &Utf8Path) -> Option<String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        open_ordinary(path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => read_checked(&bytes).err(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(format!("it cannot be read: {error}")),
    }
}

/// Returns the reason why a file is not the object of a digest. A file that was removed meanwhile is no damage.
fn damage(path: &Utf8Path, digest: &Digest) -> Result<Option<String>, StoreError> {
    match digest_of(path) {
        Ok((actual, _)) if actual == *digest => Ok(None),
        Ok((actual, size)) => Ok(Some(format!("its {size} bytes have the digest {actual}"))),
        Err(StoreError::File(error)) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(StoreError::File(error)) => Ok(Some(format!("it cannot be read: {}", error.source))),
        Err(error) => Err(error),
    }
}
