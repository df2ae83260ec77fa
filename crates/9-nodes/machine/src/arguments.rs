//! Command line of QEMU.

use basalt_release::Arch;
use camino::Utf8Path;

use crate::accelerator::DEVICE;
use crate::disk::{Bus, Disk, DiskFormat, DiskSource};
use crate::machine::{Machine, NetworkDevice, machine_uuid};
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
    };
    line.board(machine, accelerator);
    line.firmware(machine, firmware);
    line.control(machine);
    line.disks(machine);
    for (index, network) in machine.networks.iter().enumerate() {
        line.network(index, network);
    }
    line.smbios(machine);
    line.call
}

/// Command line under construction.
struct CommandLine {
    call: Call,
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
            match machine.arch {
                // Devices of a cloud's machine only, and no system management mode, which this firmware does not use.
                Arch::X86_64 => "q35,smm=off,vmport=off,hpet=off",
                Arch::Aarch64 => "virt,gic-version=3",
            },
        );
        if machine.arch == Arch::X86_64 {
            // The chipset's watchdog resets the machine, as it does on hardware.
            self.add("-global", "ICH9-LPC.noreboot=off");
        }
        self.call
            .arguments
            .extend(accelerator.arguments(machine.arch, machine.vcpus));
        self.add("-smp", machine.vcpus.to_string());
        self.add("-m", machine.memory_mib.to_string());
        self.add("-rtc", "base=utc");
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

    fn disks(&mut self, machine: &Machine) {
        let files = machine.files();
        if machine.disks.iter().any(|disk| disk.bus == Bus::Scsi) {
            self.add("-device", "virtio-scsi-pci,id=scsi");
        }
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
            self.disk(index, disk, path, format, read_only);
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

    fn disk(&mut self, index: usize, disk: &Disk, path: &Utf8Path, format: DiskFormat, read_only: bool) {
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
        let device = match disk.bus {
            Bus::Virtio => "virtio-blk-pci",
            Bus::Nvme => "nvme",
            Bus::Scsi => "scsi-hd,bus=scsi.0",
        };
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
    use crate::{ConfigDiskImage, Forward, SystemdCredential};

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
    fn an_arm_machine() {
        let machine = Machine::new("arm", "/run/m", Arch::Aarch64);
        insta::assert_snapshot!(lines(&machine, Accelerator::Tcg));
    }
}
