//! Block devices as sysfs shows them: the disk that the root came from, and how other disks are attached.
//!
//! A label does not say whose a disk is: whoever may write to a disk may give it any label, and a cluster attaches
//! disks that its tenants have written. Where a disk is attached, and its serial number, are up to the machine's owner.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Serial number that marks a whole disk as a config disk.
pub const CONFIG_SERIAL: &str = "basalt-config";

/// Attachment of a block device, the most trusted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attachment {
    /// A partition of the disk that the root file system came from.
    RootDisk,
    /// A CD drive, virtual media of a management controller included.
    Optical,
    /// A disk with the serial number [`CONFIG_SERIAL`].
    ConfigSerial,
    /// A USB device.
    Usb,
    /// Any other disk: a volume that the cluster attached for a pod looks like this.
    Other,
}

impl Attachment {
    /// Returns `true` if no workload of a cluster can bring such a device about.
    pub fn is_the_owners(self) -> bool {
        self != Self::Other
    }
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RootDisk => "partition of the root's disk",
            Self::Optical => "CD drive",
            Self::ConfigSerial => "disk with the serial number basalt-config",
            Self::Usb => "USB device",
            Self::Other => "other disk",
        })
    }
}

/// The block devices of a machine.
#[derive(Debug, Clone)]
pub struct BlockDevices {
    /// Mount point of sysfs.
    sys: PathBuf,
    /// Kernel name of the disk that the root came from; none when its parts are on several disks.
    root_disk: Option<String>,
}

impl BlockDevices {
    /// The devices of the running machine.
    pub fn of_this_machine() -> Self {
        let number = fs_err::metadata("/").map(|root| {
            let device = root.dev();
            format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device))
        });
        Self::new(PathBuf::from("/sys"), &number.unwrap_or_default())
    }

    /// The devices below this sysfs; the root is the device with this number, `major:minor`.
    pub fn new(sys: PathBuf, root: &str) -> Self {
        let root_disk = disk_below(&sys.join("dev/block").join(root));
        Self { sys, root_disk }
    }

    /// Kernel name of the disk that the root came from.
    pub fn root_disk(&self) -> Option<&str> {
        self.root_disk.as_deref()
    }

    /// Kernel names of all disks and partitions that hardware is behind, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = entries(&self.sys.join("class/block"))
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .filter(|name| {
                !["dm-", "loop", "ram", "zram", "md", "nbd"]
                    .iter()
                    .any(|kind| name.starts_with(kind))
            })
            .collect();
        names.sort();
        names
    }

    /// Attachment of a device.
    pub fn attachment(&self, name: &str) -> Attachment {
        let Some(device) = self.sys.join("class/block").join(name).canonicalize().ok() else {
            return Attachment::Other;
        };
        let Some(disk) = disk_folder(&device) else {
            return Attachment::Other;
        };
        let disk_name = disk.file_name().unwrap_or_default().to_string_lossy();
        let is_usb = |part: &str| {
            part.strip_prefix("usb")
                .is_some_and(|bus| !bus.is_empty() && bus.bytes().all(|digit| digit.is_ascii_digit()))
        };
        if self.root_disk.as_deref() == Some(&*disk_name) {
            Attachment::RootDisk
        } else if disk_name.starts_with("sr") {
            Attachment::Optical
        } else if serial(disk).as_deref() == Some(CONFIG_SERIAL) {
            Attachment::ConfigSerial
        } else if disk.iter().any(|part| part.to_str().is_some_and(is_usb)) {
            Attachment::Usb
        } else {
            Attachment::Other
        }
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// Folder in sysfs of the disk that a device is, or is a partition of.
fn disk_folder(device: &Path) -> Option<&Path> {
    if device.join("partition").exists() {
        device.parent()
    } else {
        Some(device)
    }
}

/// Kernel name of the one disk that a device is on, through device mapper.
fn disk_below(device: &Path) -> Option<String> {
    let name = |device: &Path| {
        let device = device.canonicalize().ok()?;
        Some(disk_folder(&device)?.file_name()?.to_str()?.to_owned())
    };
    // dm-verity has two: the data and the hash tree.
    let mut disks = entries(&device.join("slaves")).map(|lower| name(&lower));
    match disks.next() {
        Some(first) => disks.all(|disk| disk == first).then_some(first).flatten(),
        None => name(device),
    }
}

/// Serial number of a disk: an attribute of virtio and NVMe, page 0x80 of the vital product data of SCSI.
fn serial(disk: &Path) -> Option<String> {
    for attribute in ["serial", "device/serial"] {
        if let Ok(text) = fs_err::read_to_string(disk.join(attribute)) {
            return Some(text.trim().to_owned());
        }
    }
    let page = fs_err::read(disk.join("device/vpd_pg80")).ok()?;
    Some(String::from_utf8_lossy(page.get(4..)?).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use fs_err::os::unix::fs::symlink;

    use super::*;

    /// A sysfs with these devices: a path below `/sys/devices`, and the attribute `partition` where it ends in a digit
    /// after a disk's name.
    struct Sysfs(tempfile::TempDir);

    impl Sysfs {
        fn new() -> Self {
            let sys = tempfile::tempdir().unwrap();
            for folder in ["class/block", "dev/block"] {
                fs_err::create_dir_all(sys.path().join(folder)).unwrap();
            }
            Self(sys)
        }

        fn device(&self, path: &str, attributes: &[(&str, &[u8])]) {
            let device = self.0.path().join("devices").join(path);
            fs_err::create_dir_all(&device).unwrap();
            for (name, value) in attributes {
                fs_err::create_dir_all(device.join(name).parent().unwrap()).unwrap();
                fs_err::write(device.join(name), value).unwrap();
            }
            let name = device.file_name().unwrap().to_owned();
            symlink(&device, self.0.path().join("class/block").join(name)).unwrap();
        }

        /// A mapped device with the number 253:0 over others.
        fn root_on(&self, lower: &[&str]) {
            self.device("virtual/block/dm-0", &[]);
            let root = self.0.path().join("devices/virtual/block/dm-0");
            symlink(&root, self.0.path().join("dev/block/253:0")).unwrap();
            fs_err::create_dir_all(root.join("slaves")).unwrap();
            for path in lower {
                let device = self.0.path().join("devices").join(path);
                let name = device.file_name().unwrap().to_owned();
                symlink(&device, root.join("slaves").join(name)).unwrap();
            }
        }

        fn devices(&self) -> BlockDevices {
            BlockDevices::new(self.0.path().to_owned(), "253:0")
        }
    }

    const PARTITION: &[(&str, &[u8])] = &[("partition", b"1\n")];

    #[test]
    fn the_root_is_followed_to_its_disk() {
        let sys = Sysfs::new();
        sys.device("pci/0/block/vda", &[]);
        sys.device("pci/0/block/vda/vda2", PARTITION);
        sys.device("pci/0/block/vda/vda3", PARTITION);
        sys.device("pci/1/block/vdb", &[]);
        sys.device("pci/1/block/vdb/vdb2", PARTITION);
        sys.root_on(&["pci/0/block/vda/vda2", "pci/0/block/vda/vda3"]);
        let devices = sys.devices();
        assert_eq!(devices.root_disk(), Some("vda"));
        assert_eq!(devices.names(), ["vda", "vda2", "vda3", "vdb", "vdb2"]);
        assert_eq!(devices.attachment("vda3"), Attachment::RootDisk);
        assert_eq!(devices.attachment("vdb2"), Attachment::Other);
        assert_eq!(devices.attachment("nothing"), Attachment::Other);
    }

    #[test]
    fn a_root_on_two_disks_makes_neither_trusted() {
        let sys = Sysfs::new();
        sys.device("pci/0/block/vda", &[]);
        sys.device("pci/0/block/vda/vda2", PARTITION);
        sys.device("pci/1/block/vdb", &[]);
        sys.device("pci/1/block/vdb/vdb3", PARTITION);
        sys.root_on(&["pci/0/block/vda/vda2", "pci/1/block/vdb/vdb3"]);
        assert_eq!(sys.devices().root_disk(), None);
        assert_eq!(sys.devices().attachment("vda2"), Attachment::Other);
    }

    #[test]
    fn attachments() {
        let sys = Sysfs::new();
        let vpd = [&[0, 0x80, 0, 13][..], b"basalt-config"].concat();
        type Case<'c> = (&'c str, &'c [(&'c str, &'c [u8])], Attachment);
        let cases: [Case<'_>; 8] = [
            ("ata1/host0/block/sr0", &[], Attachment::Optical),
            ("pci/usb2/2-1/host4/block/sr1", &[], Attachment::Optical),
            ("pci/usb2/2-2/host5/block/sdc", &[], Attachment::Usb),
            (
                "pci/virtio3/block/vdc",
                &[("serial", b"basalt-config")],
                Attachment::ConfigSerial,
            ),
            (
                "nvme/nvme0/nvme0n1",
                &[("device/serial", b"basalt-config       \n")],
                Attachment::ConfigSerial,
            ),
            (
                "host1/block/sdd",
                &[("device/vpd_pg80", &vpd)],
                Attachment::ConfigSerial,
            ),
            ("host1/block/sde", &[("device/vpd_pg80", &vpd[..8])], Attachment::Other),
            ("pci/usbish/block/sdf", &[("serial", b"pvc-1")], Attachment::Other),
        ];
        for (path, attributes, expected) in cases {
            sys.device(path, attributes);
            let name = path.rsplit_once('/').unwrap().1;
            assert_eq!(sys.devices().attachment(name), expected, "{path}");
        }
    }
}
