//! QEMU from the tree of build tools.

use basalt_process::Command;
use basalt_release::Arch;
use basalt_sandbox::{Network, Root, Sandbox};
use camino::Utf8PathBuf;

use crate::{Call, Firmware, QemuTools};

/// QEMU with its programs and firmware from the tree of build tools. Each run is in a sandbox that shows nothing of the
/// host but the files of its machine, so that a guest that breaks out of QEMU reaches no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdkTools {
    tree: Utf8PathBuf,
}

impl SdkTools {
    /// Makes the tools of the tree in a folder.
    pub fn new(tree: impl Into<Utf8PathBuf>) -> Self {
        Self { tree: tree.into() }
    }
}

impl QemuTools for SdkTools {
    fn command(&self, call: &Call) -> Command {
        let root = Root {
            layers: vec![self.tree.clone()],
            scratch: None,
        };
        let mut sandbox = Sandbox::new(root).env("PATH", "/usr/bin").env("LC_ALL", "C.UTF-8");
        for path in &call.reads {
            sandbox = sandbox.show(path);
        }
        for path in &call.writes {
            sandbox = sandbox.show_writable(path);
        }
        for device in &call.devices {
            sandbox = sandbox.device(device);
        }
        if call.network {
            sandbox = sandbox.network(Network::Inherited);
        }
        sandbox.command(&format!("/usr/bin/{}", call.program), &call.arguments)
    }

    fn firmware(&self, arch: Arch) -> Firmware {
        let (folder, name, size) = match arch {
            Arch::X86_64 => ("usr/share/OVMF", "OVMF", "_4M"),
            Arch::Aarch64 => ("usr/share/AAVMF", "AAVMF", ""),
        };
        Firmware {
            code: format!("/{folder}/{name}_CODE{size}.fd").into(),
            variables: self.tree.join(format!("{folder}/{name}_VARS{size}.fd")),
        }
    }
}
