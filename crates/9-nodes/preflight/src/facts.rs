//! Facts of the nodes that boot an image: files, mounts, kernel, settings of the kubelet and of containerd.
//!
//! ```text
//! payloads of the image's packages --(image)--> tree, kernel configuration, modules, sysctls, os-release, profiles
//!       tmpfiles.d, *.mount, *.socket --(boot)--> what is made at boot, what is mounted where, who listens
//!               a NodeConfig --(agent)--> configuration that basalt-node writes for the kubelet and containerd
//! ```
//!
//! [`NodeFacts`] are written and read as JSON, so that a preflight needs no built image.

use std::collections::{BTreeMap, BTreeSet};

use basalt_hardening::Kconfig;
use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::PreflightError;

mod agent;
mod boot;
mod image;
mod tree;

pub use agent::{ContainerdFacts, KubeletFacts};
pub use boot::MountPoint;
pub use tree::{FileTree, TreeEntry};

/// Facts of the nodes that boot an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeFacts {
    /// Name of the image.
    pub image: String,
    /// Fields of /etc/os-release: `ID`, `VERSION_ID`, ...
    pub os_release: BTreeMap<String, String>,
    /// Kernel.
    pub kernel: KernelFacts,
    /// Sysctls that are set at boot, by key with dots.
    pub sysctls: BTreeMap<String, String>,
    /// Names of AppArmor profiles in /etc/apparmor.d, and of the one that containerd makes.
    pub apparmor_profiles: BTreeSet<String>,
    /// `Storage=` of journald.
    pub journal_storage: String,
    /// File systems that are mounted at boot.
    pub mounts: Vec<MountPoint>,
    /// Ports that programs of the node listen on, with the program; all addresses.
    pub ports: BTreeMap<u16, String>,
    /// Settings of the kubelet.
    pub kubelet: KubeletFacts,
    /// Settings of containerd.
    pub containerd: ContainerdFacts,
    /// Text of the table of kernel options that add-ons document (TOML), where the facts are for a machine without a checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_requirements: Option<String>,
    /// Files, without kernel modules and licences; with what is made at boot.
    pub tree: FileTree,
}

/// Facts of a kernel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KernelFacts {
    /// Release, as `uname -r` reports it.
    pub release: String,
    /// Options that are set, with their values.
    pub options: BTreeMap<String, String>,
    /// Names of modules, with underscores, those that are built in among them.
    pub modules: BTreeSet<String>,
}

impl KernelFacts {
    /// Returns `true` for an option that is built in or a module.
    pub fn is_on(&self, option: &str) -> bool {
        self.options
            .get(option)
            .is_some_and(|value| value == "y" || value == "m")
    }

    /// Returns `true` for a module that is built in or can be loaded from the image.
    pub fn has_module(&self, name: &str) -> bool {
        self.modules.contains(&name.replace('-', "_"))
    }

    /// Configuration, for comparisons with what add-ons document.
    pub fn config(&self) -> Kconfig {
        let options = self.options.iter();
        options
            .map(|(option, value)| (option.as_str(), value.as_str()))
            .collect()
    }
}

/// Kind of file system that a path is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// Root of the image: read-only.
    Image,
    /// State partition: writable, kept over reboots.
    State,
    /// Memory: writable, gone at the next boot.
    Memory,
    /// Overlay in memory over the image's files: writable, as in the image again after the next boot.
    Overlay,
    /// View of the kernel: /proc, /sys, /dev.
    Kernel,
}

/// Knowledge about the existence of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existence {
    /// Part of the image, or made at boot: a directory.
    Directory,
    /// Part of the image, or made at boot: a file.
    File,
    /// Made at boot: a socket.
    Socket,
    /// Not in the image, and nothing makes it where it would be.
    Absent,
    /// On a file system that programs write to: not known.
    Unknown,
}

/// Place of a path on a node, with all links followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Path without links.
    pub path: String,
    /// Existence.
    pub existence: Existence,
    /// File system.
    pub storage: Storage,
    /// Mount options of the file system.
    pub options: Vec<String>,
}

impl Located {
    /// Returns `true` for file systems that pods can write to.
    pub fn is_writable(&self) -> bool {
        self.storage != Storage::Image
    }

    /// Returns `true` if there is something at boot.
    pub fn is_there(&self) -> bool {
        matches!(
            self.existence,
            Existence::Directory | Existence::File | Existence::Socket
        )
    }
}

impl NodeFacts {
    /// Place of an absolute path.
    pub fn locate(&self, path: &str) -> Located {
        let path = self.tree.real_path(path);
        let mount = self.mount_of(&path);
        let storage = mount.map_or(Storage::Image, |mount| mount.storage);
        let existence = match self.tree.entry(&path) {
            Some(TreeEntry::Directory) => Existence::Directory,
            Some(TreeEntry::Socket) => Existence::Socket,
            // A link that leads nowhere.
            Some(TreeEntry::Link(_)) => Existence::Unknown,
            Some(TreeEntry::File) => Existence::File,
            None if matches!(storage, Storage::Image | Storage::Overlay) => Existence::Absent,
            None => Existence::Unknown,
        };
        let options = mount.map(|mount| mount.options.clone()).unwrap_or_default();
        Located {
            path,
            existence,
            storage,
            options,
        }
    }

    /// File system that a path without links is on; `None` for the root.
    fn mount_of(&self, path: &str) -> Option<&MountPoint> {
        let around = self.mounts.iter().filter(|mount| is_below(path, &mount.path));
        around.max_by_key(|mount| mount.path.len())
    }

    /// Returns `true` if a program of a name is in the search path of the image.
    pub fn has_program(&self, name: &str) -> bool {
        let path = match name.starts_with('/') {
            true => name.to_owned(),
            false => format!("/usr/bin/{name}"),
        };
        self.locate(&path).existence == Existence::File
    }

    /// Returns `true` if there is a unit of systemd.
    pub fn has_unit(&self, name: &str) -> bool {
        let folders = ["/etc/systemd/system", "/usr/lib/systemd/system"];
        folders
            .iter()
            .any(|folder| self.locate(&format!("{folder}/{name}")).is_there())
    }

    /// Reads facts from JSON.
    ///
    /// # Errors
    /// When the file cannot be read, or has no facts of this version.
    pub fn read(path: &Utf8Path) -> Result<Self, PreflightError> {
        let help = "--facts takes a file that --write-facts has written";
        let text = fs_err::read(path).map_err(PreflightError::read(path, help))?;
        serde_json::from_slice(&text).map_err(|error| PreflightError::Facts {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }

    /// Facts as JSON, with a line break at the end.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// Returns `true` for a folder and all that is below it.
pub(crate) fn is_below(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
