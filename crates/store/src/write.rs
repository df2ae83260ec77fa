//! Files that are written whole or not at all.

use std::io::Write as _;

use camino::Utf8Path;

use crate::StoreError;

/// Puts `bytes` into the file `path`, in one step: a reader sees the old content or the new, never a part.
///
/// # Errors
/// When the file's folder cannot be written to.
pub fn atomically(path: &Utf8Path, bytes: impl AsRef<[u8]>) -> Result<(), StoreError> {
    with_mode(path, bytes, 0o644)
}

/// The same, for a file whose mode matters.
///
/// # Errors
/// When the file's folder cannot be written to.
pub fn with_mode(path: &Utf8Path, bytes: impl AsRef<[u8]>, mode: u32) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_str().is_empty())
        .unwrap_or(Utf8Path::new("."));
    fs_err::create_dir_all(folder).map_err(StoreError::io("cannot create the folder", folder))?;
    let write = || {
        let mut file = tempfile::Builder::new()
            .prefix(".")
            .permissions(std::fs::Permissions::from_mode(mode))
            .tempfile_in(folder)?;
        file.write_all(bytes.as_ref())?;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(StoreError::io("cannot write", path))
}

/// The same as [`atomically`], and on the disk when it returns: also after a power cut, it is whole or the old one.
///
/// # Errors
/// When the file's folder cannot be written to.
pub fn durably(path: &Utf8Path, bytes: impl AsRef<[u8]>) -> Result<(), StoreError> {
    atomically(path, bytes)?;
    let sync = || std::fs::File::open(path)?.sync_all();
    sync().map_err(StoreError::io("cannot sync", path))?;
    sync_folder_of(path)
}

/// Has the entry of a file or folder on the disk when it returns.
pub(crate) fn sync_folder_of(path: &Utf8Path) -> Result<(), StoreError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let sync = || std::fs::File::open(folder)?.sync_all();
    sync().map_err(StoreError::io("cannot sync", folder))
}

/// Has everything of the file system that a folder is on on the disk when it returns: of many files, that is quicker than
/// one after the other.
pub(crate) fn sync_file_system(folder: &Utf8Path) -> Result<(), StoreError> {
    let sync = || Ok(rustix::fs::syncfs(std::fs::File::open(folder)?)?);
    sync().map_err(StoreError::io("cannot sync", folder))
}
