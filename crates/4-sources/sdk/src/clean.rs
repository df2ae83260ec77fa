//! Removal of what depends on machine and time from a freshly installed Debian tree.

use std::os::unix::fs::PermissionsExt as _;

use basalt_store::{StoreError, remove_tree, write};
use camino::Utf8Path;

/// Files and folders that depend on machine and time: host name and name servers, sources of packages, settings and
/// logs of the installation, caches, backup copies, locks.
const TRACES: &[&str] = &[
    "etc/.pwd.lock",
    "etc/apt",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "etc/group-",
    "etc/gshadow-",
    "etc/hostname",
    "etc/hosts",
    "etc/machine-id",
    "etc/passwd-",
    "etc/resolv.conf",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "var/cache",
    "var/lib/apt",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/triggers/Lock",
    "var/lib/systemd",
    "var/log",
    "var/tmp",
];
/// Folders of [`TRACES`] that programs expect, with their modes; they are created empty.
const EMPTY: &[(&str, u32)] = &[
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("var/cache", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
];
/// Content of /etc/hosts in the tree, in place of the machine's.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";

/// Removes the files that depend on the machine and on the time of the installation.
pub(crate) fn clean(tree: &Utf8Path) -> Result<(), StoreError> {
    for name in TRACES {
        remove(&tree.join(name))?;
    }
    write::atomically(&tree.join("etc/hosts"), HOSTS)?;
    for (name, mode) in EMPTY {
        let path = tree.join(name);
        let make = || {
            fs_err::create_dir_all(&path)?;
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(*mode))
        };
        make().map_err(StoreError::io("cannot make", &path))?;
    }
    Ok(())
}

fn remove(path: &Utf8Path) -> Result<(), StoreError> {
    match fs_err::symlink_metadata(path) {
        Ok(found) if found.is_dir() => remove_tree(path),
        Ok(_) => fs_err::remove_file(path).map_err(StoreError::io("cannot remove", path)),
        Err(_) => Ok(()),
    }
}
