//! Where QEMU comes from.

use basalt_model::arch::Arch;
use basalt_process::Command;
use camino::Utf8PathBuf;

/// One run of a program, and what it needs to see of the host. All of it is to appear at the same paths as on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// The program's name, as `qemu-img`.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Files and folders that it reads.
    pub reads: Vec<Utf8PathBuf>,
    /// Files and folders that it writes to, too.
    pub writes: Vec<Utf8PathBuf>,
    /// Device nodes that it opens.
    pub devices: Vec<Utf8PathBuf>,
    /// Whether it needs the network of the caller.
    pub network: bool,
}

/// UEFI firmware for virtual machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    /// The code, at the path where QEMU sees it.
    pub code: Utf8PathBuf,
    /// The template of the variables, at the path where we see it: each machine has a copy.
    pub variables: Utf8PathBuf,
}

/// Gives QEMU and the programs that belong to it.
///
/// A program that is started this way has to die with the process that started it.
pub trait Tools {
    /// The command for a call.
    fn command(&self, call: &Call) -> Command;

    /// The firmware for an architecture.
    fn firmware(&self, arch: Arch) -> Firmware;
}
