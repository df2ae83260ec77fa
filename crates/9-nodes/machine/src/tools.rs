//! Source of QEMU: its programs and its firmware.

use basalt_process::Command;
use basalt_release::Arch;
use camino::Utf8PathBuf;

/// Call of a program, with the files of the host that it must see, all at the same paths as on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// Name of the program, as `qemu-img`.
    pub program: String,
    /// Arguments of the program.
    pub arguments: Vec<String>,
    /// Files and folders that the program reads.
    pub reads: Vec<Utf8PathBuf>,
    /// Files and folders that the program reads and writes.
    pub writes: Vec<Utf8PathBuf>,
    /// Device nodes that the program opens.
    pub devices: Vec<Utf8PathBuf>,
    /// `true` for a program that needs the network of the caller.
    pub network: bool,
}

/// UEFI firmware for virtual machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    /// Path of the firmware's code, as QEMU sees it.
    pub code: Utf8PathBuf,
    /// Path of the template of the variables on the host; each machine has a copy.
    pub variables: Utf8PathBuf,
}

/// Source of QEMU, of the programs that belong to it, and of its firmware.
///
/// A program that is started this way has to die with the process that started it.
pub trait QemuTools {
    /// Makes the command for a call.
    fn command(&self, call: &Call) -> Command;

    /// Returns the firmware for an architecture.
    fn firmware(&self, arch: Arch) -> Firmware;
}
