//! Disks: images of their own, or copy-on-write files over an image that stays as it is.

use basalt_process::Command;
use camino::{Utf8Path, Utf8PathBuf};

use crate::{Call, Machine, MachineError, Tools};

/// A disk of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// What it holds.
    pub source: DiskSource,
    /// How it is connected.
    pub bus: Bus,
    /// Its serial number: what /dev/disk/by-id calls it.
    pub serial: Option<String>,
}

/// What a disk holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskSource {
    /// What the image holds, and what the machine writes over it. The image itself is only read.
    Overlay {
        /// The image.
        image: Utf8PathBuf,
        /// How it is stored.
        format: DiskFormat,
        /// How large the machine sees it, when that is larger than the image.
        size_mib: Option<u64>,
    },
    /// A file, as it is.
    File {
        /// The file.
        path: Utf8PathBuf,
        /// How it is stored.
        format: DiskFormat,
        /// Whether the machine may only read it.
        read_only: bool,
    },
}

/// How a disk is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    /// Byte for byte.
    Raw,
    /// QEMU's own format.
    Qcow2,
}

/// How a disk is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bus {
    /// virtio-blk, the quickest.
    #[default]
    Virtio,
    /// An NVMe controller of its own.
    Nvme,
    /// A disk of the machine's virtio SCSI controller.
    Scsi,
}

impl Disk {
    /// A copy-on-write disk over a raw image, grown to a size.
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

    /// Connects it otherwise than by virtio-blk.
    pub fn on(mut self, bus: Bus) -> Self {
        self.bus = bus;
        self
    }
}

impl DiskFormat {
    /// QEMU's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// Makes the copy-on-write files that are not there yet. One that is there is kept: it is the machine's memory of
/// what it wrote.
pub(crate) fn make_overlays(machine: &Machine, tools: &dyn Tools) -> Result<(), MachineError> {
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
        // Made under another name first: one that was cut short must not be taken for a disk.
        let fresh = overlay.with_extension("new");
        create_command(tools, machine, image, *format, &fresh, *size_mib).output()?;
        fs_err::rename(&fresh, &overlay).map_err(MachineError::file("put the disk in its place"))?;
    }
    Ok(())
}

fn create_command(
    tools: &dyn Tools,
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
