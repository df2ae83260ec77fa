//! Disks of machines: image files, or copy-on-write overlays over an image that is only read.

use basalt_process::Command;
use camino::{Utf8Path, Utf8PathBuf};

use crate::{Call, Machine, MachineError, QemuTools};

/// Disk of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Content of the disk.
    pub source: DiskSource,
    /// Bus that the disk is connected to.
    pub bus: Bus,
    /// Serial number, as in /dev/disk/by-id; `disk` with its index when `None`.
    pub serial: Option<String>,
}

/// Content of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskSource {
    /// Copy-on-write overlay over an image, which is only read.
    Overlay {
        /// Path of the image.
        image: Utf8PathBuf,
        /// Format of the image.
        format: DiskFormat,
        /// Size of the disk in MiB, when it is larger than the image.
        size_mib: Option<u64>,
    },
    /// File that the machine uses directly.
    File {
        /// Path of the file.
        path: Utf8PathBuf,
        /// Format of the file.
        format: DiskFormat,
        /// `true` for a disk that the machine can only read.
        read_only: bool,
    },
}

/// Format of a disk image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    /// Raw image: the disk's bytes, without a header.
    Raw,
    /// QCOW2, QEMU's own format.
    Qcow2,
}

/// Bus of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bus {
    /// virtio-blk, the fastest.
    #[default]
    Virtio,
    /// NVMe, with a controller of its own.
    Nvme,
    /// SCSI, on the machine's virtio-scsi controller.
    Scsi,
    /// The chipset's own controller: AHCI (SATA) of [`Board::Q35`](crate::Board::Q35), IDE of
    /// [`Board::Pc`](crate::Board::Pc).
    Ata,
    /// USB, on an xHCI controller.
    Usb,
}

/// CD drive with a medium in it, which is only read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CdDrive {
    /// Path of the image of the medium.
    pub image: Utf8PathBuf,
    /// Bus of the drive: neither virtio-blk nor NVMe, which have no CD drives.
    pub bus: Bus,
}

impl Disk {
    /// Makes a copy-on-write disk over a raw image, grown to a size in MiB, on virtio-blk.
    pub fn overlay(image: impl Into<Utf8PathBuf>, size_mib: impl Into<Option<u64>>) -> Self {
        Self {
            source: DiskSource::Overlay {
                image: image.into(),
                format: DiskFormat::Raw,
                size_mib: size_mib.into(),
            },
            bus: Bus::Virtio,
            serial: None,
        }
    }

    /// Connects the disk to another bus than virtio-blk.
    pub fn on(mut self, bus: Bus) -> Self {
        self.bus = bus;
        self
    }
}

impl DiskFormat {
    /// Name of the format in QEMU's options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// Makes the copy-on-write files that do not exist yet. An existing one is kept, with all that the machine wrote to it.
pub(crate) fn make_overlays(machine: &Machine, tools: &dyn QemuTools) -> Result<(), MachineError> {
    for (index, disk) in machine.disks.iter().enumerate() {
        let DiskSource::Overlay {
            image,
            format,
            size_mib,
        } = &disk.source
        else {
            continue;
        };
        let overlay = machine.files().overlay(index);
        if overlay.exists() {
            continue;
        }
        // Made under another name first: a file that is incomplete must not be taken for a disk.
        let fresh = overlay.with_extension("new");
        create_command(tools, machine, image, *format, &fresh, *size_mib).output()?;
        fs_err::rename(&fresh, &overlay).map_err(MachineError::file("put the disk in its place"))?;
    }
    Ok(())
}

fn create_command(
    tools: &dyn QemuTools,
    machine: &Machine,
    image: &Utf8Path,
    format: DiskFormat,
    overlay: &Utf8Path,
    size_mib: Option<u64>,
) -> Command {
    let mut arguments = vec!["create", "-q", "-f", "qcow2", "-o", "lazy_refcounts=on"];
    arguments.extend(["-F", format.name(), "-b", image.as_str(), overlay.as_str()]);
    tools.command(&Call {
        program: "qemu-img".to_owned(),
        arguments: arguments
            .into_iter()
            .map(str::to_owned)
            .chain(size_mib.map(|size| format!("{size}M")))
            .collect(),
        reads: vec![image.to_owned()],
        writes: vec![machine.folder.clone()],
        ..Call::default()
    })
}
