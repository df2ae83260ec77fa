//! Signed RPMs, by their digest.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use basalt_model::digest::Digest;
use basalt_store::{StoreError, write};
use camino::{Utf8Path, Utf8PathBuf};

use crate::{Repository, SnapshotError};

impl Repository {
    /// Where the signed RPM of that digest is.
    pub(crate) fn pool_path(&self, digest: &Digest) -> Utf8PathBuf {
        self.folder().join("pool").join(format!("{digest}.rpm"))
    }

    fn signed_path(&self, built: &Digest, key: &str) -> Utf8PathBuf {
        self.folder().join("signed").join(format!("{built}.{key}"))
    }

    /// The file of the pool that a built RPM became when that key signed it, if it did.
    pub(crate) fn signed(&self, built: &Digest, key: &str) -> Option<Digest> {
        let text = fs_err::read_to_string(self.signed_path(built, key)).ok()?;
        let digest = text.trim().parse().ok()?;
        self.pool_path(&digest).is_file().then_some(digest)
    }

    /// Signs a built RPM into the pool. `signature` makes the signature of the bytes that are to be signed: the header,
    /// which holds the digests of everything else.
    pub(crate) fn sign_into_pool(
        &self,
        rpm: &Utf8Path,
        built: &Digest,
        key: &str,
        signature: impl FnOnce(&[u8]) -> Result<Vec<u8>, SnapshotError>,
    ) -> Result<Digest, SnapshotError> {
        // Looked through before the whole of it is read.
        basalt_repo::read_header(rpm)?;
        let mut package = rpm::Package::open(rpm).map_err(SnapshotError::rpm(rpm))?;
        // What is signed is the header; it answers for the payload by a digest, which has to be right.
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

    /// Removes RPMs that are in no snapshot: those without another name. How many, and how many bytes.
    pub(crate) fn sweep_pool(&self) -> Result<(usize, u64), SnapshotError> {
        let mut swept = (0, 0);
        for path in list(&self.folder().join("pool"))? {
            let metadata = fs_err::symlink_metadata(&path).map_err(StoreError::io("cannot read", &path))?;
            if metadata.nlink() == 1 {
                fs_err::remove_file(&path).map_err(StoreError::io("cannot remove", &path))?;
                swept.0 += 1;
                swept.1 += metadata.len();
            }
        }
        for path in list(&self.folder().join("signed"))? {
            let digest = fs_err::read_to_string(&path)
                .ok()
                .and_then(|text| text.trim().parse().ok());
            if !digest.is_some_and(|digest: Digest| self.pool_path(&digest).is_file()) {
                fs_err::remove_file(&path).map_err(StoreError::io("cannot remove", &path))?;
            }
        }
        Ok(swept)
    }
}

/// What is in a folder, sorted; nothing where there is none.
pub(crate) fn list(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, SnapshotError> {
    let mut paths = Vec::new();
    if folder.is_dir() {
        let failed = || StoreError::io("cannot list", folder);
        for entry in folder.read_dir_utf8().map_err(failed())? {
            paths.push(entry.map_err(failed())?.into_path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Takes away the right to write: what is published stays as it is.
pub(crate) fn protect(path: &Utf8Path, mode: u32) -> Result<(), StoreError> {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(StoreError::io("cannot change the permissions of", path))
}
