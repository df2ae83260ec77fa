//! Folders of the read-only root that pods write to: others, of the state partition, are mounted over them.
//!
//! Charts mount host paths below /home, /mnt, /root and /srv, and let the kubelet make folders there. The package
//! filesystem has these as folders, which every build stands on, so that they are not links as /opt is.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use crate::apply::below;

/// Folders of the root, the folders of the state partition that take their places, and the permissions of those.
pub const FOLDERS: [(&str, &str, u32); 4] = [
    ("/home", "/var/home", 0o755),
    ("/mnt", "/var/mnt", 0o755),
    ("/root", "/var/roothome", 0o700),
    ("/srv", "/var/srv", 0o755),
];

/// Mounts what is not mounted yet, and says what did not work: only pods that want one of these folders fail then.
pub fn provide(root: &Path) -> Vec<String> {
    let provided = FOLDERS.map(|(folder, state, mode)| {
        let (at, from) = (below(root, folder), below(root, state));
        let result = make(&from, mode).and_then(|()| match is_same(&at, &from) {
            true => Ok(()),
            false => rustix::mount::mount_bind(from.as_path(), at.as_path()).map_err(Into::into),
        });
        result.map_err(|error| format!("{folder} cannot be written to: {state} was not mounted there: {error}"))
    });
    provided.into_iter().filter_map(Result::err).collect()
}

/// Makes a folder unless it is there.
#[expect(
    clippy::disallowed_methods,
    reason = "fs_err has no DirBuilder, and the caller names the path"
)]
fn make(folder: &Path, mode: u32) -> std::io::Result<()> {
    match std::fs::DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Returns `true` if two paths lead to one folder.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| path.metadata().map(|facts| (facts.dev(), facts.ino())).ok();
    identity(one).is_some_and(|identity_of_one| identity(other) == Some(identity_of_one))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_leads_there_already_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs_err::create_dir(root.path().join("var")).unwrap();
        for (folder, state, _) in FOLDERS {
            fs_err::os::unix::fs::symlink(below(root.path(), state), below(root.path(), folder)).unwrap();
        }
        assert!(provide(root.path()).is_empty());
        let mode = |path: &str| below(root.path(), path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("/var/roothome"), mode("/var/mnt")), (0o700, 0o755));
        assert!(provide(root.path()).is_empty());
    }

    #[test]
    fn what_does_not_work_is_said() {
        let root = tempfile::tempdir().unwrap();
        let said = provide(root.path());
        assert_eq!(said.len(), FOLDERS.len());
        assert!(
            said[1].starts_with("/mnt cannot be written to: /var/mnt was not mounted there"),
            "{said:?}"
        );
    }
}
