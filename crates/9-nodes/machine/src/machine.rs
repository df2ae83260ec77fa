//! Description of a machine, and the paths of its files.

use basalt_release::Arch;
use camino::{Utf8Path, Utf8PathBuf};

use crate::{Bus, CdDrive, ConfigDiskImage, Disk, SystemdCredential};

/// Greatest length of a Unix socket's path, in bytes.
pub const SOCKET_PATH: usize = 107;

/// Description of a virtual machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Name of the machine, from which its UUID is derived.
    pub name: String,
    /// Folder of the machine's files. One folder belongs to one machine.
    pub folder: Utf8PathBuf,
    /// Architecture of the processors.
    pub arch: Arch,
    /// Number of virtual processors.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Chipset of an x86-64 machine.
    pub board: Board,
    /// Disks, in the order in which the firmware tries to boot from them.
    pub disks: Vec<Disk>,
    /// CD drives.
    pub cds: Vec<CdDrive>,
    /// `true` for a USB controller although nothing is connected to it when the machine starts.
    pub usb: bool,
    /// Time that the hardware clock shows when the machine starts, as `1970-01-01T00:00:00` (UTC); the host's when `None`.
    pub clock: Option<String>,
    /// Network cards.
    pub networks: Vec<NetworkDevice>,
    /// Credentials that systemd finds in the machine.
    pub credentials: Vec<SystemdCredential>,
    /// Arguments that systemd-stub adds to the kernel's command line; ignored by a machine with Secure Boot.
    pub kernel_arguments: Vec<String>,
    /// Small disk with files for the node agent.
    pub config_disk: Option<ConfigDiskImage>,
    /// `true` when a reset restarts the machine; otherwise QEMU ends.
    pub reboots: bool,
}

/// Chipset of an x86-64 machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Board {
    /// Q35 of 2009, with PCI Express and AHCI: the machines of most clouds.
    #[default]
    Q35,
    /// i440FX of 1996, with PCI and IDE, as in older templates of Proxmox, VMware and OpenStack.
    Pc,
}

/// Backend of a network card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkDevice {
    /// Existing tap device in the network namespace that QEMU runs in.
    Tap {
        /// Name of the device.
        device: String,
        /// MAC address of the card.
        mac: String,
    },
    /// User-mode network of QEMU: the machine can connect to others, and is reached only through the forwards.
    User {
        /// `true` when the machine reaches nothing, and only forwarded connections reach it.
        isolated: bool,
        /// Ports of the host that lead into the machine.
        forwards: Vec<Forward>,
        /// MAC address of the card.
        mac: String,
    },
    /// Unix stream socket that carries whole frames: one end listens, the other connects.
    Stream {
        /// Path of the socket.
        socket: Utf8PathBuf,
        /// `true` when QEMU listens on the socket, `false` when it connects to it.
        listens: bool,
        /// MAC address of the card.
        mac: String,
    },
}

/// A TCP port of the host's loopback device that leads to a port of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// Port on the host.
    pub host: u16,
    /// Port in the machine.
    pub guest: u16,
}

/// Paths of a machine's files, for processes that observe it from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    folder: Utf8PathBuf,
}

impl Files {
    /// Paths of the files in a machine's folder.
    pub fn new(folder: impl Into<Utf8PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
    /// Path of the folder itself.
    pub fn folder(&self) -> &Utf8Path {
        &self.folder
    }
    /// Log of the machine's serial console.
    pub fn console_log(&self) -> Utf8PathBuf {
        self.folder.join("console.log")
    }
    /// Unix socket of the serial console, for one client at a time.
    pub fn console_socket(&self) -> Utf8PathBuf {
        self.folder.join("console.sock")
    }
    /// Unix socket of QMP, for one client at a time.
    pub fn control_socket(&self) -> Utf8PathBuf {
        self.folder.join("qmp.sock")
    }
    /// Log of QEMU's own output.
    pub fn qemu_log(&self) -> Utf8PathBuf {
        self.folder.join("qemu.log")
    }
    /// Variables of the firmware.
    pub fn variables(&self) -> Utf8PathBuf {
        self.folder.join("vars.fd")
    }
    /// Copy-on-write file of a disk.
    pub fn overlay(&self, index: usize) -> Utf8PathBuf {
        self.folder.join(format!("disk{index}.qcow2"))
    }
    /// Image of the configuration disk.
    pub fn config_disk(&self) -> Utf8PathBuf {
        self.folder.join("config.img")
    }
    /// File with one SMBIOS string.
    pub fn smbios(&self, index: usize) -> Utf8PathBuf {
        self.folder.join(format!("smbios{index}.txt"))
    }
}

impl Machine {
    /// Makes the description of a machine with two processors, 2 GiB of memory, no disks and no network.
    pub fn new(name: impl Into<String>, folder: impl Into<Utf8PathBuf>, arch: Arch) -> Self {
        Self {
            name: name.into(),
            folder: folder.into(),
            arch,
            vcpus: 2,
            memory_mib: 2048,
            board: Board::Q35,
            disks: Vec::new(),
            cds: Vec::new(),
            usb: false,
            clock: None,
            networks: Vec::new(),
            credentials: Vec::new(),
            kernel_arguments: Vec::new(),
            config_disk: None,
            reboots: true,
        }
    }

    /// Paths of the machine's files.
    pub fn files(&self) -> Files {
        Files::new(&self.folder)
    }

    /// Finds the first problem of the description; returns it with advice, where there is some.
    pub(crate) fn problem(&self) -> Option<(String, Option<String>)> {
        let socket = self.files().console_socket();
        if socket.as_str().len() > SOCKET_PATH {
            return Some((
                format!("the path of its console is too long for a socket: {socket}"),
                Some(format!(
                    "keep its folder somewhere shorter than {} characters, for instance by setting BASALT_STORE",
                    SOCKET_PATH - "/console.sock".len()
                )),
            ));
        }
        if self.vcpus == 0 || self.memory_mib < 128 {
            return Some(("it needs a processor and at least 128 MiB of memory".to_owned(), None));
        }
        if let Some(cd) = self.cds.iter().find(|cd| matches!(cd.bus, Bus::Virtio | Bus::Nvme)) {
            return Some((
                format!("there are no CD drives on {:?}", cd.bus),
                Some("connect it to Ata, Scsi or Usb".to_owned()),
            ));
        }
        for network in &self.networks {
            let mac = network.mac();
            let octets: Vec<_> = mac.split(':').map(|octet| u8::from_str_radix(octet, 16)).collect();
            let plain = mac.len() == 17 && octets.len() == 6 && octets.iter().all(Result::is_ok);
            if !plain
                || octets
                    .first()
                    .is_some_and(|first| matches!(first, Ok(first) if first & 1 == 1))
            {
                return Some((
                    format!("`{mac}` is not the address of a network card"),
                    Some("write it as 52:54:00:12:34:56".to_owned()),
                ));
            }
        }
        self.credentials
            .iter()
            .find(|credential| !credential.has_good_name())
            .map(|credential| {
                (
                    format!("`{}` is no name for a credential", credential.name),
                    Some("use letters, digits, dots, dashes and underscores".to_owned()),
                )
            })
    }
}

impl NetworkDevice {
    /// MAC address of the card.
    pub fn mac(&self) -> &str {
        match self {
            Self::Tap { mac, .. } | Self::User { mac, .. } | Self::Stream { mac, .. } => mac,
        }
    }
}

/// Derives the MAC address of a network card from the machine's name and the card's number.
pub fn mac_address(machine: &str, card: u8) -> String {
    let [.., a, b, c] = hash(machine, card).to_be_bytes();
    format!("52:54:00:{a:02x}:{b:02x}:{c:02x}")
}

/// Derives the UUID in the machine's SMBIOS from its name. systemd derives the machine id from it.
pub fn machine_uuid(machine: &str) -> String {
    let (high, low) = (hash(machine, b'h'), hash(machine, b'l'));
    // Version 8 (made in a way of one's own), variant 1.
    let (high, low) = (high & !0xf000 | 0x8000, low & !(0b11 << 62) | (0b10 << 62));
    let (first, second, third) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
    format!(
        "{first:08x}-{second:04x}-{third:04x}-{:04x}-{:012x}",
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// FNV-1a hash of a name; no secret depends on it, so that it need not be cryptographic.
fn hash(machine: &str, salt: u8) -> u64 {
    machine
        .bytes()
        .chain([0, salt])
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_stable_and_differ() {
        assert_eq!(mac_address("node-1", 0), mac_address("node-1", 0));
        assert_ne!(mac_address("node-1", 0), mac_address("node-1", 1));
        assert_ne!(mac_address("node-1", 0), mac_address("node-2", 0));
    }

    #[test]
    fn identities_are_stable_and_differ() {
        insta::assert_snapshot!(machine_uuid("node-1"));
        assert_ne!(machine_uuid("node-1"), machine_uuid("node-2"));
    }

    #[test]
    fn impossible_machines_are_named() {
        let machine = Machine::new("a", "/m", Arch::X86_64);
        assert_eq!(machine.problem(), None);
        let mut far = machine.clone();
        far.folder = format!("/{}", "x".repeat(100)).into();
        assert!(
            far.problem()
                .is_some_and(|(reason, help)| reason.contains("too long") && help.is_some())
        );
        let mut wrong = machine.clone();
        wrong.cds.push(CdDrive {
            image: "/cd.iso".into(),
            bus: Bus::Nvme,
        });
        assert!(
            wrong
                .problem()
                .is_some_and(|(reason, _)| reason.contains("CD drives on Nvme"))
        );
        let mut wrong = machine;
        wrong.networks.push(NetworkDevice::Tap {
            device: "t".into(),
            mac: "01:00:5e:00:00:01".into(),
        });
        assert!(wrong.problem().is_some_and(|(reason, _)| reason.contains("01:00:5e")));
    }
}
