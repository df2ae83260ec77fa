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
