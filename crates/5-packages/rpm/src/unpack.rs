//! Unpacking of RPMs into folders, without privileges.

use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;

use basalt_process::interrupt;
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use crate::{Payload, PayloadFile, RpmError};

/// Source text of the modules that determine the result of unpacking, for the keys of actions.
pub const UNPACK_CODE: [&str; 3] = [
    include_str!("unpack.rs"),
    include_str!("payload.rs"),
    include_str!("cpio.rs"),
];

/// Mask of a mode without the set-user-ID and set-group-ID bits.
const RIGHTS: u32 = 0o1777;
/// Maximum length of a symbolic link's target in bytes (`PATH_MAX` of Linux).
const LONGEST_TARGET: u64 = 4096;

/// Unpacks an RPM into a folder, which is created if it does not exist.
///
/// Owners are ignored, so that no privileges are needed: everything belongs to the caller. Modes, times, links and hard
/// links are kept, with two exceptions. Folders are accessible to their owner, so that they can be filled and removed.
/// The set-user-ID and set-group-ID bits are dropped: they would grant the caller's identity, not root's.
///
/// Nothing outside of the folder is changed, whatever the RPM contains.
///
/// # Errors
/// When the RPM is damaged, or its payload is not what its header says; when a path leads out of the folder or through a
/// link; when a path exists already; when a file cannot be written. [`RpmError::Interrupted`] after Ctrl-C, also in the
/// middle of a file.
pub fn unpack(rpm: &Utf8Path, into: &Utf8Path) -> Result<(), RpmError> {
    fs::create_dir_all(into).map_err(RpmError::io("cannot create", into))?;
    let mut payload = Payload::open(rpm)?;
    let mut directories = Vec::new();
    while let Some(file) = payload.next()? {
        interrupt::check()?;
        let Some((first, others)) = file.paths.split_first() else {
            continue;
        };
        let target = place(rpm, into, first)?;
        write(rpm, &target, &file, &mut payload)?;
        for other in others {
            let name = place(rpm, into, other)?;
            fs::hard_link(&target, &name).map_err(RpmError::io("cannot link", &name))?;
        }
        if file.is_directory() {
            directories.push((target, file.mode, file.modified));
        }
    }
    // Innermost folders first: creating an entry changes the time of its folder, and the folder's mode may forbid it.
    directories.sort();
    for (directory, mode, modified) in directories.iter().rev() {
        let permissions = std::fs::Permissions::from_mode(mode & RIGHTS | 0o700);
        fs::set_permissions(directory, permissions)
            .map_err(RpmError::io("cannot change the permissions of", directory))?;
        set_time(directory, *modified)?;
    }
    Ok(())
}

/// Returns the target of a path of the payload. Missing parent folders are created; a parent that is no folder is an
/// error.
fn place(rpm: &Utf8Path, into: &Utf8Path, path: &str) -> Result<Utf8PathBuf, RpmError> {
    let relative = Utf8Path::new(path.trim_start_matches('/'));
    let mut parent = into.to_owned();
    for part in relative.parent().into_iter().flat_map(Utf8Path::components) {
        parent.push(part);
        match fs::symlink_metadata(&parent) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                let through = parent.strip_prefix(into).unwrap_or(&parent);
                return Err(RpmError::payload(
                    rpm,
                    format!("`{path}` leads through `/{through}`, which is not a folder"),
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&parent).map_err(RpmError::io("cannot create", &parent))?;
            }
            Err(error) => return Err(RpmError::io("cannot look at", &parent)(error)),
        }
    }
    Ok(into.join(relative))
}

fn write(rpm: &Utf8Path, target: &Utf8Path, file: &PayloadFile, payload: &mut Payload) -> Result<(), RpmError> {
    if file.is_directory() {
        // Accessible for now; its own mode is set once all files are written.
        return match fs::create_dir(target) {
            // A package may declare a folder that was created as a parent before. A link to a folder is an error:
            // setting mode and time would change the folder that it leads to.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_folder(target) => Ok(()),
            result => result.map_err(RpmError::io("cannot create", target)),
        };
    }
    if file.is_symlink() {
        if file.size > LONGEST_TARGET {
            let path = file.paths.join("`, `");
            return Err(RpmError::payload(
                rpm,
                format!("the link `{path}` has an impossible length"),
            ));
        }
        let mut to = String::new();
        payload
            .read_to_string(&mut to)
            .map_err(|error| payload.read_error(&error))?;
        fs::os::unix::fs::symlink(to, target).map_err(RpmError::io("cannot create", target))?;
        return set_time(target, file.modified);
    }
    if !file.is_regular() {
        return Err(RpmError::payload(
            rpm,
            format!(
                "`{}` is a device, pipe or socket, which packages must not ship",
                file.paths.join("`, `")
            ),
        ));
    }
    let mut written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(target)
        .map_err(RpmError::io("cannot create", target))?;
    io::copy(payload, &mut written).map_err(|error| match payload.has_failed() {
        true => payload.read_error(&error),
        false => RpmError::io("cannot write", target)(error),
    })?;
    written
        .set_permissions(std::fs::Permissions::from_mode(file.mode & RIGHTS))
        .map_err(RpmError::io("cannot change the permissions of", target))?;
    drop(written);
    set_time(target, file.modified)
}

fn is_folder(path: &Utf8Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

fn set_time(path: &Utf8Path, modified: u32) -> Result<(), RpmError> {
    let time = Timespec {
        tv_sec: i64::from(modified),
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path.as_str(), &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| RpmError::io("cannot set the time of", path)(error.into()))
}
