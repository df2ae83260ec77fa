//! Command line of QEMU.

use basalt_release::Arch;
use camino::Utf8Path;

use crate::accelerator::DEVICE;
use crate::disk::{Bus, Disk, DiskFormat, DiskSource};
use crate::machine::{Board, Machine, NetworkDevice, machine_uuid};
use crate::{Accelerator, Call, Firmware, smbios_strings};

/// Builds the call of QEMU for a machine, with the files and devices that it must see.
pub fn qemu_call(machine: &Machine, firmware: &Firmware, accelerator: Accelerator) -> Call {
    let mut line = CommandLine {
        call: Call {
            program: format!("qemu-system-{}", machine.arch),
            writes: vec![machine.folder.clone()],
            devices: if accelerator == Accelerator::Kvm {
                vec![DEVICE.into()]
            } else {
                Vec::new()
            },
            ..Call::default()
        },
        ata: 0,
    };
    line.board(machine, accelerator);
    line.firmware(machine, firmware);
    line.control(machine);
    line.controllers(machine);
    line.disks(machine);
    line.cds(machine);
    for (index, network) in machine.networks.iter().enumerate() {
        line.network(index, network);
    }
    line.smbios(machine);
    line.call
}

/// Command line under construction.
struct CommandLine {
    call: Call,
    /// Number of devices on the chipset's own disk controller.
    ata: usize,
}

impl CommandLine {
    fn add(&mut self, option: &str, value: impl Into<String>) {
        self.call.arguments.extend([option.to_owned(), value.into()]);
    }

    fn board(&mut self, machine: &Machine, accelerator: Accelerator) {
        self.add("-name", escape(&machine.name));
        self.add("-uuid", machine_uuid(&machine.name));
        self.call
            .arguments
            .extend(["-nodefaults", "-no-user-config"].map(str::to_owned));
        self.add("-display", "none");
        self.add(
            "-machine",
            match (machine.arch, machine.board) {
                // Devices of a cloud's machine only, and no system management mode, which this firmware does not use.
                (Arch::X86_64, Board::Q35) => "q35,smm=off,vmport=off,hpet=off",
                (Arch::X86_64, Board::Pc) => "pc,smm=off,vmport=off,hpet=off",
                (Arch::Aarch64, _) => "virt,gic-version=3",
            },
        );
        if machine.arch == Arch::X86_64 && machine.board == Board::Q35 {
            // The chipset's watchdog resets the machine, as it does on hardware.
            self.add("-global", "ICH9-LPC.noreboot=off");
        }
        self.call
            .arguments
            .extend(accelerator.arguments(machine.arch, machine.vcpus));
        self.add("-smp", machine.vcpus.to_string());
        self.add("-m", machine.memory_mib.to_string());
        let clock = machine.clock.as_deref().unwrap_or("utc");
        self.add("-rtc", format!("base={}", escape(clock)));
        self.add("-device", "virtio-rng-pci");
        if !machine.reboots {
            self.call.arguments.push("-no-reboot".to_owned());
        }
    }

    fn firmware(&mut self, machine: &Machine, firmware: &Firmware) {
        let variables = machine.files().variables();
        self.add(
            "-drive",
            format!(
                "if=pflash,unit=0,format=raw,readonly=on,file={}",
                escape(firmware.code.as_str())
            ),
        );
        self.add(
            "-drive",
            format!("if=pflash,unit=1,format=raw,file={}", escape(variables.as_str())),
        );
    }

    /// Adds the serial console, which is logged with or without a client on its socket, and the control socket.
    fn control(&mut self, machine: &Machine) {
        let files = machine.files();
        let listener =
            |id: &str, path: &Utf8Path| format!("socket,id={id},path={},server=on,wait=off", escape(path.as_str()));
        let log = escape(files.console_log().as_str());
        let console = listener("console", &files.console_socket());
        self.add("-chardev", format!("{console},logfile={log},logappend=off"));
        self.add("-serial", "chardev:console");
        self.add("-chardev", listener("control", &files.control_socket()));
        self.add("-mon", "chardev=control,mode=control");
    }

    fn controllers(&mut self, machine: &Machine) {
        let cds = machine.cds.iter().map(|cd| cd.bus);
        let buses: Vec<_> = machine.disks.iter().map(|disk| disk.bus).chain(cds).collect();
        if buses.contains(&Bus::Scsi) {
            self.add("-device", "virtio-scsi-pci,id=scsi");
        }
        if machine.usb || buses.contains(&Bus::Usb) {
            self.add("-device", "qemu-xhci,id=usb");
        }
    }

    /// Name and place of one more device on a bus.
    fn device(&mut self, bus: Bus, is_cd: bool, board: Board) -> String {
        match (bus, is_cd) {
            (Bus::Virtio, _) => "virtio-blk-pci".to_owned(),
            (Bus::Nvme, _) => "nvme".to_owned(),
            (Bus::Scsi, false) => "scsi-hd,bus=scsi.0".to_owned(),
            (Bus::Scsi, true) => "scsi-cd,bus=scsi.0".to_owned(),
            // It is a CD drive when its medium is one.
            (Bus::Usb, _) => "usb-storage,bus=usb.0,removable=on".to_owned(),
            (Bus::Ata, is_cd) => {
                let slot = self.ata;
                self.ata += 1;
                let place = match board {
                    Board::Q35 => format!("bus=ide.{slot}"),
                    Board::Pc => format!("bus=ide.{},unit={}", slot / 2, slot % 2),
                };
                format!("{},{place}", if is_cd { "ide-cd" } else { "ide-hd" })
            }
        }
    }

    fn cds(&mut self, machine: &Machine) {
        for (index, cd) in machine.cds.iter().enumerate() {
            self.call.reads.push(cd.image.clone());
            let file = escape(cd.image.as_str());
            self.add(
                "-drive",
                format!("if=none,id=cd{index},format=raw,media=cdrom,readonly=on,file={file}"),
            );
            let device = self.device(cd.bus, true, machine.board);
            self.add("-device", format!("{device},drive=cd{index}"));
        }
    }

    fn disks(&mut self, machine: &Machine) {
        let files = machine.files();
        for (index, disk) in machine.disks.iter().enumerate() {
            let overlay = files.overlay(index);
            let (path, format, read_only) = match &disk.source {
                DiskSource::Overlay { image, .. } => {
                    self.call.reads.push(image.clone());
                    (&overlay, DiskFormat::Qcow2, false)
                }
                DiskSource::File {
                    path,
                    format,
                    read_only,
                } => {
                    let seen = if *read_only {
                        &mut self.call.reads
                    } else {
                        &mut self.call.writes
                    };
                    seen.push(path.clone());
                    (path, *format, *read_only)
                }
            };
            let device = self.device(disk.bus, false, machine.board);
            self.disk(index, disk, &device, (path, format, read_only));
        }
        if machine.config_disk.is_some() {
            let path = files.config_disk();
            self.add(
                "-drive",
                format!(
                    "if=none,id=config,format=raw,readonly=on,file={}",
                    escape(path.as_str())
                ),
            );
            self.add("-device", "virtio-blk-pci,drive=config,serial=basalt-config");
        }
    }

    fn disk(
        &mut self,
        index: usize,
        disk: &Disk,
        device: &str,
        (path, format, read_only): (&Utf8Path, DiskFormat, bool),
    ) {
        // The machine's data can be made again, so that its flushes need not wait for the host's disk.
        let mode = if read_only {
            "readonly=on"
        } else {
            "cache=unsafe,discard=unmap,detect-zeroes=unmap"
        };
        let (format, file) = (format.name(), escape(path.as_str()));
        self.add(
            "-drive",
            format!("if=none,id=disk{index},format={format},{mode},file={file}"),
        );
        let serial = disk.serial.clone().unwrap_or_else(|| format!("disk{index}"));
        self.add(
            "-device",
            format!(
                "{device},drive=disk{index},bootindex={index},serial={}",
                escape(&serial)
            ),
        );
    }

    fn network(&mut self, index: usize, network: &NetworkDevice) {
        let backend = match network {
            NetworkDevice::Tap { device, .. } => {
                self.call.network = true;
                self.call.devices.push("/dev/net/tun".into());
                format!("tap,id=net{index},ifname={},script=no,downscript=no", escape(device))
            }
            NetworkDevice::User { isolated, forwards, .. } => {
                self.call.network = true;
                let restrict = if *isolated { "on" } else { "off" };
                let forwards = forwards
                    .iter()
                    .map(|forward| format!(",hostfwd=tcp:127.0.0.1:{}-:{}", forward.host, forward.guest));
                format!("user,id=net{index},restrict={restrict}{}", forwards.collect::<String>())
            }
            NetworkDevice::Stream { socket, listens, .. } => {
                let folder = socket.parent().unwrap_or(socket);
                self.call.writes.push(folder.to_owned());
                let server = if *listens { "on" } else { "off" };
                let path = escape(socket.as_str());
                format!("stream,id=net{index},server={server},addr.type=unix,addr.path={path}")
            }
        };
        self.add("-netdev", backend);
        // The firmware does not boot from the network: without its option ROM it does not even look.
        self.add(
            "-device",
            format!("virtio-net-pci,netdev=net{index},mac={},romfile=", network.mac()),
        );
    }

    fn smbios(&mut self, machine: &Machine) {
        let files = machine.files();
        let strings = smbios_strings(machine);
        if strings.is_empty() {
            return;
        }
        let paths = (0..strings.len()).map(|index| format!(",path={}", escape(files.smbios(index).as_str())));
        self.add("-smbios", format!("type=11{}", paths.collect::<String>()));
    }
}

/// Escapes a value of QEMU's options: each comma is doubled.
fn escape(value: &str) -> String {
    value.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CdDrive, ConfigDiskImage, Forward, SystemdCredential};

    fn firmware() -> Firmware {
        Firmware {
            code: "/usr/share/OVMF/OVMF_CODE_4M.fd".into(),
            variables: "/sdk/OVMF_VARS_4M.fd".into(),
        }
    }

    fn lines(machine: &Machine, accelerator: Accelerator) -> String {
        let call = qemu_call(machine, &firmware(), accelerator);
        let arguments = call.arguments.iter().fold(call.program.clone(), |text, argument| {
            let separator = if argument.starts_with('-') { "\n  " } else { " " };
            text + separator + argument
        });
        format!(
            "{arguments}\nreads {:?}, writes {:?}, devices {:?}, network {}",
            call.reads, call.writes, call.devices, call.network
        )
    }

    #[test]
    fn a_node_of_the_local_cluster() {
        let mut machine = Machine::new("node-1", "/run/m/node-1", Arch::X86_64);
        machine.disks.push(Disk::overlay("/store/objects/abc", 16 * 1024));
        machine.networks.push(NetworkDevice::Tap {
            device: "tap1".into(),
            mac: "52:54:00:00:00:01".into(),
        });
        machine
            .credentials
            .push(SystemdCredential::new("basalt.node", "kind: NodeConfig"));
        machine.kernel_arguments.push("quiet".into());
        insta::assert_snapshot!(lines(&machine, Accelerator::Tcg));
    }

    #[test]
    fn everything_else_there_is() {
        let mut machine = Machine::new("a,b", "/run/m,n", Arch::X86_64);
        machine.vcpus = 1;
        machine.reboots = false;
        machine.disks.push(Disk::overlay("/image", None).on(Bus::Nvme));
        machine.disks.push(Disk {
            source: DiskSource::File {
                path: "/cd.iso".into(),
                format: DiskFormat::Raw,
                read_only: true,
            },
            bus: Bus::Scsi,
            serial: Some("cd".into()),
        });
        machine.config_disk = Some(ConfigDiskImage::default());
        let mac = "52:54:00:00:00:02".to_owned();
        let forwards = vec![Forward { host: 2222, guest: 22 }, Forward { host: 8080, guest: 80 }];
        machine.networks.push(NetworkDevice::User {
            isolated: true,
            forwards,
            mac: mac.clone(),
        });
        machine.networks.push(NetworkDevice::Stream {
            socket: "/run/lan.sock".into(),
            listens: true,
            mac,
        });
        insta::assert_snapshot!(lines(&machine, Accelerator::Kvm));
    }

    #[test]
    fn a_board_with_ide_and_usb() {
        let mut machine = Machine::new("old", "/run/m", Arch::X86_64);
        machine.board = Board::Pc;
        machine.clock = Some("1970-01-01T00:00:00".to_owned());
        machine.disks.push(Disk::overlay("/image", None).on(Bus::Ata));
        machine.disks.push(Disk::overlay("/stick", None).on(Bus::Usb));
        for bus in [Bus::Ata, Bus::Ata, Bus::Scsi, Bus::Usb] {
            let image = "/cd.iso".into();
            machine.cds.push(CdDrive { image, bus });
        }
        insta::assert_snapshot!(lines(&machine, Accelerator::Tcg));
    }

    #[test]
    fn an_arm_machine() {
        let machine = Machine::new("arm", "/run/m", Arch::Aarch64);
        insta::assert_snapshot!(lines(&machine, Accelerator::Tcg));
    }
}
