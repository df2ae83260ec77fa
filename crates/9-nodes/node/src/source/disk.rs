//! A config disk: a small disk, CD or partition with a label of its own, or with one of those by which clouds hand user data
//! to cloud-init.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use basalt_node_config::defaults::{DISK_FILE, DISK_LABEL};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

use super::label::{self, FileSystem};
use super::{Found, Source, SourceError, read_text};
use crate::azure::custom_data;
use crate::block::{Attachment, BlockDevices, CONFIG_SERIAL};
use crate::cloud::Cloud;

/// Kind of a config disk: what its label says that is on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DiskKind {
    /// Label of the file system, in capital letters.
    label: &'static str,
    /// File with the NodeConfig, or with bootstrap data.
    file: &'static str,
    /// File with the machine's metadata.
    metadata: Option<&'static str>,
}

/// Kinds of config disks: Basalt's own, cloud-init's data source NoCloud, and OpenStack's config drive.
const KINDS: [DiskKind; 3] = [
    DiskKind {
        label: DISK_LABEL,
        file: DISK_FILE,
        metadata: None,
    },
    DiskKind {
        label: "CIDATA",
        file: "user-data",
        metadata: Some("meta-data"),
    },
    DiskKind {
        label: "CONFIG-2",
        file: "openstack/latest/user_data",
        metadata: Some("openstack/latest/meta_data.json"),
    },
];

/// DVD of Azure's provisioning, known by the cloud that the machine is in and by its file system.
const PROVISIONING: DiskKind = DiskKind {
    label: "of Azure's provisioning",
    file: "ovf-env.xml",
    metadata: None,
};

/// Beginning of the label of that DVD.
const PROVISIONING_LABEL: &str = "rd_rdfe";

/// A block device with a FAT, ext4 or ISO 9660 file system that is labelled `BASALT-CFG` and has a `node.yaml`; or one of
/// the other [`KINDS`]; or on Azure, a DVD with custom data.
///
/// The label alone does not do: a tenant of the cluster can write it to a volume, which is attached when the machine
/// starts again. Only devices that no workload can bring about are looked at; see [`Attachment`].
#[derive(Debug)]
pub struct ConfigDisk {
    block: BlockDevices,
    /// Folder of the device nodes.
    devices: PathBuf,
    /// Devices that were looked at and are no config disks.
    seen: HashSet<String>,
    /// Devices with a label that are not trusted, and the label, each told of once.
    refused: Vec<(String, &'static str)>,
    /// Cloud that the machine is in.
    cloud: Option<Cloud>,
    /// The disk of the cloud was read, and has nothing for a node.
    is_answered: bool,
}

impl ConfigDisk {
    /// The block devices of this machine, which is in this cloud or in none.
    pub fn of_this_machine(cloud: Option<Cloud>) -> Self {
        Self::new(BlockDevices::of_this_machine(), PathBuf::from("/dev"), cloud)
    }

    /// Block devices whose nodes are in a folder.
    fn new(block: BlockDevices, devices: PathBuf, cloud: Option<Cloud>) -> Self {
        Self {
            block,
            devices,
            seen: HashSet::new(),
            refused: Vec::new(),
            cloud,
            is_answered: false,
        }
    }

    /// The devices that were not looked at yet, the most trusted first. The kernel makes their nodes itself (devtmpfs),
    /// before udev runs.
    fn new_devices(&self) -> Vec<(Attachment, String)> {
        let names = self.block.names().into_iter();
        let mut devices: Vec<_> = names
            .filter(|name| !self.seen.contains(name))
            .map(|name| (self.block.attachment(&name), name))
            .collect();
        devices.sort();
        devices
    }
}

impl Source for ConfigDisk {
    fn name(&self) -> String {
        let labels: Vec<_> = KINDS.iter().map(|kind| kind.label).collect();
        format!("disk labelled {}", labels.join(" or "))
    }

    fn look(&mut self) -> Result<Option<Found>, SourceError> {
        for (attachment, name) in self.new_devices() {
            let device = self.devices.join(&name);
            match labelled(&device, self.cloud) {
                Ok(Some((system, kind))) if attachment.is_the_owners() => {
                    if let Some(found) = read_config(&device, system, kind)? {
                        return Ok(Some(found));
                    }
                    self.is_answered |= kind == PROVISIONING;
                    self.seen.insert(name);
                }
                Ok(Some((_, kind))) => {
                    self.refused.push((name.clone(), kind.label));
                    self.seen.insert(name);
                }
                Ok(None) => {
                    self.seen.insert(name);
                }
                // A drive without a medium: one may come.
                Err(_) => {}
            }
        }
        Ok(None)
    }

    fn may_come_late(&self) -> bool {
        !self.is_answered
    }

    fn refused(&self) -> Vec<String> {
        let told = self.refused.iter().map(|(name, label)| {
            format!(
                "/dev/{name} has the label {label} and is not used: it is neither on the root's disk nor a CD drive, \
                 a USB device, or a disk with the serial number {CONFIG_SERIAL}"
            )
        });
        told.collect()
    }
}

/// File system and kind of a device that has one of the labels. An empty CD drive cannot be read.
fn labelled(device: &Path, cloud: Option<Cloud>) -> io::Result<Option<(FileSystem, DiskKind)>> {
    let mut start = Vec::with_capacity(label::NEEDED);
    fs_err::File::open(device)?
        .take(label::NEEDED as u64)
        .read_to_end(&mut start)?;
    if cloud == Some(Cloud::Azure) && label::has_udf(&start) {
        return Ok(Some((FileSystem::Udf, PROVISIONING)));
    }
    let found = label::read(&start).and_then(|(system, label)| {
        // It has been made with other file systems, too.
        let is_provisioning = label
            .get(..PROVISIONING_LABEL.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(PROVISIONING_LABEL));
        if cloud == Some(Cloud::Azure) && is_provisioning {
            return Some((system, PROVISIONING));
        }
        let kind = KINDS.into_iter().find(|kind| kind.label.eq_ignore_ascii_case(&label))?;
        Some((system, kind))
    });
    Ok(found)
}

/// Reads the files from a mount that is attached nowhere: nobody else sees it, and it is gone with its descriptor.
///
/// A disk of Basalt's own label has to have its file; those of clouds may carry nothing for a node.
fn read_config(device: &Path, system: FileSystem, kind: DiskKind) -> Result<Option<Found>, SourceError> {
    let place = format!("{} on {}", kind.file, device.display());
    let failed = |source: io::Error| SourceError::Read {
        place: place.clone(),
        source,
    };
    let mount = || {
        let context = fsopen(system.name(), FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&context, "source", device)?;
        fsconfig_set_flag(&context, "ro")?;
        fsconfig_create(&context)?;
        let careful = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, careful)
    };
    let mount = mount().map_err(|error| failed(error.into()))?;
    // No link on the disk may lead to a file of the machine.
    let open = |file: &str| {
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        openat2(&mount, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), within).map(File::from)
    };
    let metadata = kind.metadata.and_then(|file| open(file).ok());
    let metadata = metadata.and_then(|file| read_text(file, place.clone()).ok());
    match open(kind.file) {
        Ok(file) if kind == PROVISIONING => custom_data(&read_text(file, place)?),
        Ok(file) => read_text(file, place).map(|found| {
            Some(Found {
                metadata: metadata.map(|metadata| metadata.text).unwrap_or_default(),
                ..found
            })
        }),
        Err(rustix::io::Errno::NOENT) => {
            if system == FileSystem::Vfat {
                read_fat_root(device).map_err(failed)?;
            }
            match kind.label == DISK_LABEL {
                true => Err(SourceError::NoFile {
                    place: device.display().to_string(),
                    file: DISK_FILE,
                }),
                false => Ok(None),
            }
        }
        Err(error) => Err(failed(error.into())),
    }
}

/// Reads the root folder of a FAT file system: the kernel passes over blocks of a folder that it cannot read, and then finds no file.
fn read_fat_root(device: &Path) -> io::Result<()> {
    let mut file = fs_err::File::open(device)?;
    let mut start = Vec::new();
    file.by_ref().take(512).read_to_end(&mut start)?;
    let Some(root) = label::fat_root(&start) else {
        return Ok(());
    };
    file.seek(SeekFrom::Start(root.start))?;
    let length = root.end - root.start;
    match io::copy(&mut file.take(length), &mut io::sink())? == length {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with a root on `vda`, a second disk, and a CD drive without a medium.
    fn machine() -> (tempfile::TempDir, ConfigDisk) {
        let root = tempfile::tempdir().unwrap();
        let (sys, dev) = (root.path().join("sys"), root.path().join("dev"));
        for folder in ["sys/class/block", "sys/dev/block", "dev"] {
            fs_err::create_dir_all(root.path().join(folder)).unwrap();
        }
        for name in ["sr0", "vda", "vdb"] {
            let device = sys.join("devices").join(name);
            fs_err::create_dir_all(&device).unwrap();
            fs_err::os::unix::fs::symlink(&device, sys.join("class/block").join(name)).unwrap();
        }
        for name in ["vda", "vdb"] {
            fs_err::write(dev.join(name), vec![0; 65536]).unwrap();
        }
        fs_err::os::unix::fs::symlink(sys.join("devices/vda"), sys.join("dev/block/254:0")).unwrap();
        (root, ConfigDisk::new(BlockDevices::new(sys, "254:0"), dev, None))
    }

    fn names(source: &ConfigDisk) -> Vec<String> {
        source.new_devices().into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn devices_without_the_label_are_looked_at_once() {
        let (_root, mut source) = machine();
        assert_eq!(names(&source), ["vda", "sr0", "vdb"]);
        assert_eq!(source.look().unwrap(), None);
        // The drive may get a medium.
        assert_eq!(names(&source), ["sr0"]);
        assert!(source.refused().is_empty());
    }

    #[test]
    fn labels_of_clouds_are_known() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (label, expected) in [
            ("BASALT-CFG", Some("node.yaml")),
            ("cidata", Some("user-data")),
            ("CIDATA", Some("user-data")),
            ("config-2", Some("openstack/latest/user_data")),
            ("data", None),
        ] {
            let mut disk = vec![0; 65536];
            disk[32769..32774].copy_from_slice(b"CD001");
            disk[32808..32840].fill(b' ');
            disk[32808..32808 + label.len()].copy_from_slice(label.as_bytes());
            fs_err::write(file.path(), disk).unwrap();
            let found = labelled(file.path(), Some(Cloud::OpenStack)).unwrap();
            assert_eq!(found.map(|(_, kind)| kind.file), expected, "{label}");
        }
    }

    #[test]
    fn a_root_folder_that_is_cut_off_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut disk = vec![0_u8; 65536];
        disk[11..19].copy_from_slice(&[0, 2, 4, 1, 0, 2, 0, 2]);
        disk[22] = 8;
        fs_err::write(file.path(), &disk).unwrap();
        assert!(read_fat_root(file.path()).is_ok());
        for end in [8192, 25087] {
            fs_err::write(file.path(), &disk[..end]).unwrap();
            let error = read_fat_root(file.path()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn the_provisioning_disk_is_known_on_azure_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut disk = vec![0; 65536];
        disk[32769..32774].copy_from_slice(b"BEA01");
        disk[34817..34822].copy_from_slice(b"NSR02");
        fs_err::write(file.path(), disk).unwrap();
        let kind = |cloud| labelled(file.path(), cloud).unwrap();
        assert_eq!(kind(Some(Cloud::Azure)), Some((FileSystem::Udf, PROVISIONING)));
        assert_eq!(kind(Some(Cloud::OpenStack)), None);
        assert_eq!(kind(None), None);
        let mut disk = vec![0; 65536];
        disk[32769..32774].copy_from_slice(b"CD001");
        disk[32808..32840].copy_from_slice(b"rd_rdfe_stable.170504-1041      ");
        fs_err::write(file.path(), disk).unwrap();
        let kind = |cloud| labelled(file.path(), cloud).unwrap();
        assert_eq!(kind(Some(Cloud::Azure)), Some((FileSystem::Iso9660, PROVISIONING)));
        assert_eq!(kind(None), None);
    }

    #[test]
    fn a_label_on_a_disk_of_somebody_else_is_refused_and_told() {
        let (root, mut source) = machine();
        let mut disk = vec![0; 65536];
        disk[32769..32774].copy_from_slice(b"CD001");
        disk[32808..32818].copy_from_slice(DISK_LABEL.as_bytes());
        disk[32818..32840].fill(b' ');
        fs_err::write(root.path().join("dev/vdb"), disk).unwrap();
        assert_eq!(source.look().unwrap(), None);
        assert!(
            matches!(&source.refused()[..], [told] if told.contains("/dev/vdb")),
            "{:?}",
            source.refused()
        );
        assert_eq!(source.look().unwrap(), None);
        assert_eq!(source.refused().len(), 1);
    }
}
