//! A config disk: a small disk, CD or partition with a label of its own.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use basalt_node_config::defaults::{DISK_FILE, DISK_LABEL};
use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

use super::label::{self, FileSystem};
use super::{Found, Source, SourceError, read_text};

/// A block device with a FAT, ext4 or ISO 9660 file system that is labelled `BASALT-CFG` and has a `node.yaml`.
#[derive(Debug)]
pub struct ConfigDisk {
    /// Where the kernel lists block devices.
    list: PathBuf,
    /// Where their nodes are.
    devices: PathBuf,
    /// What was looked at and is no config disk.
    seen: HashSet<String>,
}

impl ConfigDisk {
    /// The block devices of this machine.
    pub fn of_this_machine() -> Self {
        Self {
            list: PathBuf::from("/sys/class/block"),
            devices: PathBuf::from("/dev"),
            seen: HashSet::new(),
        }
    }

    /// The devices that were not looked at yet. The kernel makes their nodes itself (devtmpfs), before udev runs.
    fn new_devices(&self) -> Vec<String> {
        let Ok(entries) = fs_err::read_dir(&self.list) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| {
                !["dm-", "loop", "ram", "zram", "md"]
                    .iter()
                    .any(|kind| name.starts_with(kind))
            })
            .filter(|name| !self.seen.contains(name))
            .collect();
        names.sort();
        names
    }
}

impl Source for ConfigDisk {
    fn name(&self) -> String {
        format!("disk labelled {DISK_LABEL}")
    }

    fn look(&mut self) -> Result<Option<Found>, SourceError> {
        for name in self.new_devices() {
            let device = self.devices.join(&name);
            match labelled(&device) {
                Some(kind) => return read_config(&device, kind).map(Some),
                None => self.seen.insert(name),
            };
        }
        Ok(None)
    }

    fn may_come_late(&self) -> bool {
        true
    }
}

/// What file system a device has, if it has the label. A device that cannot be read (an empty CD drive) has none.
fn labelled(device: &Path) -> Option<FileSystem> {
    let mut start = Vec::with_capacity(label::NEEDED);
    fs_err::File::open(device)
        .ok()?
        .take(label::NEEDED as u64)
        .read_to_end(&mut start)
        .ok()?;
    label::read(&start)
        .filter(|(_, label)| label == DISK_LABEL)
        .map(|(kind, _)| kind)
}

/// Reads the file from a mount that is attached nowhere: nobody else sees it, and it is gone with its descriptor.
fn read_config(device: &Path, kind: FileSystem) -> Result<Found, SourceError> {
    let place = format!("{DISK_FILE} on {}", device.display());
    let failed = |error: rustix::io::Errno| SourceError::Read {
        place: place.clone(),
        source: error.into(),
    };
    let mount = || {
        let context = fsopen(kind.name(), FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&context, "source", device)?;
        fsconfig_set_flag(&context, "ro")?;
        fsconfig_create(&context)?;
        let careful = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, careful)
    };
    let mount = mount().map_err(failed)?;
    // No link on the disk may lead to a file of the machine.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match openat(&mount, DISK_FILE, flags, Mode::empty()) {
        Ok(file) => read_text(File::from(file), place),
        Err(rustix::io::Errno::NOENT) => Err(SourceError::NoFile {
            place: device.display().to_string(),
            file: DISK_FILE,
        }),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_without_the_label_are_looked_at_once() {
        let (list, devices) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in ["vda", "vdb", "loop0"] {
            fs_err::write(list.path().join(name), "").unwrap();
            fs_err::write(devices.path().join(name), vec![0; 65536]).unwrap();
        }
        let (list, devices) = (list.path().to_owned(), devices.path().to_owned());
        let mut source = ConfigDisk {
            list,
            devices,
            seen: HashSet::new(),
        };
        assert_eq!(source.new_devices(), ["vda", "vdb"]);
        assert_eq!(source.look().unwrap(), None);
        assert!(source.new_devices().is_empty());
    }
}
