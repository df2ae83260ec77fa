//! System, kernel, devices and storage of a host.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name, distribution and size of a host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostSystem {
    /// Name of the host.
    pub hostname: String,
    /// Fields of os-release: `ID`, `VERSION_ID`, `PRETTY_NAME`.
    pub os_release: BTreeMap<String, String>,
    /// Maker and product by the firmware, as far as anybody may read them.
    pub machine: Option<String>,
    /// Memory in KiB.
    pub memory_kib: Option<u64>,
    /// Number of processors.
    pub processors: Option<u64>,
    /// Firmware is UEFI.
    pub is_uefi: bool,
    /// cloud-init has set the host up.
    pub has_cloud_init: bool,
}

/// Running kernel of a host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostKernel {
    /// Release, as `uname -r` reports it.
    pub release: String,
    /// Words of the command line: values of parameters that are known to be public, and numbers; `*` in place of others.
    pub command_line: Vec<String>,
    /// Taint, as the kernel's bit mask; 0 for none.
    pub taint: Option<u64>,
    /// Loaded modules that say something of the host: from outside the kernel's tree, or asked for in a file.
    pub modules: Vec<HostModule>,
    /// Number of loaded modules.
    pub loaded: usize,
    /// Names of modules that DKMS builds.
    pub dkms: Vec<String>,
    /// Pools of huge pages that have any.
    pub huge_pages: Vec<HostHugePages>,
}

/// Module of a host's kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostModule {
    /// Name, with underscores.
    pub name: String,
    /// The module is loaded.
    pub is_loaded: bool,
    /// Letters of its taint: `O` from outside the kernel's tree, `E` unsigned, `P` proprietary.
    pub taint: String,
    /// File that asks for it.
    pub file: Option<String>,
    /// Options that a file of modprobe.d sets for it; `*` in place of values that are neither numbers nor known.
    pub options: Vec<String>,
}

/// Pool of huge pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostHugePages {
    /// Size of a page in KiB.
    pub size_kib: u64,
    /// Number of pages.
    pub pages: u64,
}

/// Kernel setting of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostSysctl {
    /// Name, with dots.
    pub key: String,
    /// Value of the last file that sets it; `*` where it is neither of numbers nor known to be public.
    pub configured: Option<String>,
    /// That file.
    pub file: Option<String>,
    /// The file is in a folder of packages, below /usr/lib.
    pub is_of_package: bool,
    /// Value that is in force.
    pub running: Option<String>,
}

/// Device with a driver.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostDevice {
    /// Bus: `pci`, `virtio`, `vmbus`, `xen`.
    pub bus: String,
    /// Class on a PCI bus: `0x030200`.
    pub class: Option<String>,
    /// Vendor and device on a PCI bus: `10de:20b5`.
    pub id: Option<String>,
    /// Driver.
    pub driver: String,
    /// Module of the driver; `None` if it is built into the kernel.
    pub module: Option<String>,
    /// Number of such devices.
    pub number: usize,
}

/// File systems and disks of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostStorage {
    /// File systems on disks and servers: mounted ones, and those of fstab.
    pub filesystems: Vec<HostFilesystem>,
    /// Swap.
    pub swap: Vec<HostSwap>,
    /// Names of LVM's volume groups.
    pub volume_groups: Vec<String>,
    /// Names of arrays of mdraid.
    pub arrays: Vec<String>,
    /// Names of encrypted volumes.
    pub encrypted: Vec<String>,
    /// multipath is set up.
    pub has_multipath: bool,
    /// Names of iSCSI targets that the host logs in to; empty names of targets are left out.
    pub iscsi_targets: Vec<String>,
    /// Folders that NFS serves.
    pub exports: Vec<String>,
}

/// File system.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostFilesystem {
    /// Folder that it is mounted on.
    pub target: String,
    /// Device, label or server, without passwords.
    pub source: String,
    /// Type: `ext4`, `nfs4`.
    pub kind: String,
    /// Options: values of those that are known to be public, `*` in place of words that are no options.
    pub options: Vec<String>,
    /// The file system is mounted.
    pub is_mounted: bool,
    /// /etc/fstab has the file system.
    pub is_configured: bool,
}

/// Swap of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostSwap {
    /// Device or file.
    pub source: String,
    /// Size in KiB; `None` where it is only configured.
    pub size_kib: Option<u64>,
    /// File that names it: /proc/swaps, or /etc/fstab where it is only configured.
    pub file: String,
}
