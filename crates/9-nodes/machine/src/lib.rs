//! Virtual machines by QEMU: firmware, disks, console, control.
//!
//! A [`Machine`] describes a machine: processors, memory, disks, network, credentials. Starting it makes its folder
//! (variables of the firmware, copy-on-write disks), runs QEMU, and gives a [`RunningMachine`], which can be observed
//! by its [`Console`], controlled over [`Qmp`], and stopped in an orderly way.
//!
//! QEMU itself comes from an implementation of the [`QemuTools`] trait: usually [`SdkTools`], which runs that of the
//! SDK in a sandbox; tests have their own.
//!
//! ```text
//! Machine + QemuTools + Accelerator ── start ──> RunningMachine ── console().wait_for("login:") ── stop() ──> Stopped
//!    └ folder: vars.fd disk0.qcow2 config.img smbios-*.txt qmp.sock console.sock console.log qemu.log
//! ```

mod accelerator;
mod arguments;
mod config_disk;
mod console;
mod disk;
mod error;
mod guest;
mod machine;
mod qmp;
mod running;
mod sdk;
mod smbios;
mod terminal;
mod tools;

pub use accelerator::{Accelerator, AcceleratorChoice, DEVICE as KVM, probe};
pub use arguments::qemu_call;
pub use config_disk::ConfigDiskImage;
pub use console::{Console, plain_lines};
pub use disk::{Bus, CdDrive, Disk, DiskFormat, DiskSource};
pub use error::MachineError;
pub use machine::{Board, Files, Forward, Machine, NetworkDevice, SOCKET_PATH, mac_address, machine_uuid};
pub use qmp::{Qmp, QmpEvent, RunState};
pub use running::{RunningMachine, Stopped};
pub use sdk::SdkTools;
pub use smbios::{SystemdCredential, smbios_strings};
pub use terminal::{DetachReason, ESCAPE, attach};
pub use tools::{Call, Firmware, QemuTools};
