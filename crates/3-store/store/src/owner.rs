//! Ownership of a store: checks, and advice when it belongs to another user.

use std::os::unix::fs::MetadataExt as _;

use camino::Utf8Path;

use crate::StoreError;
use crate::error::chown_help;

/// Refuses to run as root by sudo on the store of the user who called sudo: files that root makes there could neither
/// be changed nor removed by the user afterwards.
pub(crate) fn check_sudo(root: &Utf8Path) -> Result<(), StoreError> {
    let caller = std::env::var("SUDO_UID").ok().and_then(|id| id.parse::<u32>().ok());
    let user = rustix::process::geteuid().as_raw();
    let owner = root.metadata().ok().map(|metadata| metadata.uid());
    match (caller, owner) {
        (Some(caller), Some(owner)) if user == 0 && caller != 0 && owner == caller => Err(StoreError::Owner {
            path: root.to_owned(),
            owner,
            user,
            help: "run basalt without sudo: it needs no root".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Makes the error for a folder within a store that this user may not write to, though the store itself may be written.
pub(crate) fn error(folder: &Utf8Path, root: &Utf8Path) -> StoreError {
    let user = rustix::process::geteuid().as_raw();
    match folder.metadata() {
        Ok(metadata) if metadata.uid() != user => StoreError::Owner {
            path: folder.to_owned(),
            owner: metadata.uid(),
            user,
            help: chown_help(root, user),
        },
        _ => StoreError::io("cannot write to", folder)(std::io::ErrorKind::PermissionDenied.into()),
    }
}
