//! Pool of signed RPMs, named by their digests.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use basalt_digest::Digest;
use basalt_store::{FileError, write};
use camino::{Utf8Path, Utf8PathBuf};

use crate::{Repository, SnapshotError};

impl Repository {
    /// Returns the path of the signed RPM of a digest.
    pub(crate) fn pool_path(&self, digest: &Digest) -> Utf8PathBuf {
        self.folder().join("pool").join(format!("{digest}.rpm"))
    }

    fn signed_path(&self, built: &Digest, key: &str) -> Utf8PathBuf {
        self.folder().join("signed").join(format!("{built}.{key}"))
    }

    /// Returns the digest of the signed RPM that a key made of a built RPM, if that one is in the pool.
    pub(crate) fn signed(&self, built: &Digest, key: &str) -> Option<Digest> {
        let text = fs_err::read_to_string(self.signed_path(built, key)).ok()?;
        let digest = text.trim().parse().ok()?;
        self.pool_path(&digest).is_file().then_some(digest)
    }

    /// Signs a built RPM, puts the result into the pool, and returns its digest. `signature` signs bytes: the header,
    /// which holds the digests of everything else.
    pub(crate) fn sign_into_pool(
        &self,
        rpm: &Utf8Path,
        built: &Digest,
        key: &str,
        signature: impl FnOnce(&[u8]) -> Result<Vec<u8>, SnapshotError>,
    ) -> Result<Digest, SnapshotError> {
        // The structure of the header is checked before the whole RPM is parsed.
        basalt_rpm::read_header(rpm)?;
        let mut package = rpm::Package::open(rpm).map_err(SnapshotError::rpm(rpm))?;
        // The header is signed; it vouches for the payload by a digest, which has to be right.
        package.verify_digests().map_err(SnapshotError::rpm(rpm))?;
        let header = package.header_bytes().map_err(SnapshotError::rpm(rpm))?;
        let signature = signature(&header)?;
        package.apply_signature(signature).map_err(SnapshotError::rpm(rpm))?;
        let mut bytes = Vec::with_capacity(package.payload.len() + 2 * header.len());
        package.write(&mut bytes).map_err(SnapshotError::rpm(rpm))?;
        let digest = Digest::of(&bytes);
        write::with_mode(&self.pool_path(&digest), &bytes, 0o444)?;
        write::atomically(&self.signed_path(built, key), format!("{digest}\n"))?;
        Ok(digest)
    }

    /// Removes RPMs that are in no snapshot (their link count is 1); returns their number, and their size in bytes.
    pub(crate) fn sweep_pool(&self) -> Result<(usize, u64), SnapshotError> {
        let mut swept = (0, 0);
        for path in list(&self.folder().join("pool"))? {
            let metadata = fs_err::symlink_metadata(&path).map_err(FileError::new("cannot read", &path))?;
            if metadata.nlink() == 1 {
                fs_err::remove_file(&path).map_err(FileError::new("cannot remove", &path))?;
                swept.0 += 1;
                swept.1 += metadata.len();
            }
        }
        for path in list(&self.folder().join("signed"))? {
            let digest = fs_err::read_to_string(&path)
                .ok()
                .and_then(|text| text.trim().parse().ok());
            if !digest.is_some_and(|digest: Digest| self.pool_path(&digest).is_file()) {
                fs_err::remove_file(&path).map_err(FileError::new("cannot remove", &path))?;
            }
        }
        Ok(swept)
    }
}

/// Lists the paths in a folder, sorted; none when the folder does not exist.
pub(crate) fn list(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, SnapshotError> {
    let mut paths = Vec::new();
    if folder.is_dir() {
        let failed = || FileError::new("cannot list", folder);
        for entry in folder.read_dir_utf8().map_err(failed())? {
            paths.push(entry.map_err(failed())?.into_path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Sets the mode of a file or folder, without write permission for published content.
pub(crate) fn protect(path: &Utf8Path, mode: u32) -> Result<(), FileError> {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(FileError::new("cannot change the permissions of", path))
}
