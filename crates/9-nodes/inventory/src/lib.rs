//! Inventory of a node of another distribution: what people gave the machine that its Node object does not tell, and that a
//! Basalt node has to be given, or does not have.
//!
//! ```text
//! files below a root --(reader)--> text, or a path that cannot be read --(settings, schedules, mounts)--> NodeInventory
//! ```
//!
//! Only files are read: no program is run, nothing is asked over the network, nothing is changed. Without root, what only root
//! may read is named in [`NodeInventory::unread`]. Files of the distribution's packages are left out where dpkg's lists say so.
//! Secrets are left out: names of files, addresses of proxies without their passwords, no content of certificates.
//!
//! The program `basalt-inventory` prints it as JSON; `basalt preflight node` compares it with an image. A conversion in place
//! begins with the same.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

mod mounts;
mod reader;
mod schedules;
mod settings;

use reader::InventoryReader;

/// Version of the format.
pub const VERSION: u32 = 1;

/// Inventory of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeInventory {
    /// Version of the format: 1.
    pub version: u32,
    /// Host name.
    pub hostname: String,
    /// Name of the operating system: `Ubuntu 24.04.3 LTS`.
    pub os: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Modules that are loaded.
    pub modules: BTreeSet<String>,
    /// Modules that somebody asked for at boot.
    pub wanted_modules: Vec<HostSetting>,
    /// Kernel settings that somebody set, `key = value`.
    pub sysctls: Vec<HostSetting>,
    /// File systems that somebody mounted, but for those of the system and of pods.
    pub mounts: Vec<HostMount>,
    /// Swap spaces in use.
    pub swaps: Vec<String>,
    /// Proxies of the system, the container runtime and the kubelet, `VARIABLE=value`, without passwords.
    pub proxies: Vec<HostSetting>,
    /// Mirrors of registries, each with its registry.
    pub mirrors: Vec<HostSetting>,
    /// Files of static pods.
    pub static_pods: Vec<String>,
    /// Certificate authorities that somebody added to those of the distribution.
    pub certificates: Vec<String>,
    /// Jobs of cron and timers of systemd that no package brought.
    pub schedules: Vec<HostSetting>,
    /// Services of systemd that no package brought.
    pub services: Vec<String>,
    /// Paths that could not be read: the inventory is incomplete if there are any.
    pub unread: Vec<UnreadPath>,
}

/// Setting, with the file that it is from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostSetting {
    /// File.
    pub file: String,
    /// Setting.
    pub entry: String,
}

/// Mounted file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostMount {
    /// Folder.
    pub path: String,
    /// Type: `ext4`, `nfs4`.
    pub kind: String,
    /// Device or server.
    pub source: String,
}

/// Path that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UnreadPath {
    /// Path.
    pub path: String,
    /// Cause, from the system.
    pub reason: String,
}

impl NodeInventory {
    /// Reads the inventory of the machine whose root is here.
    pub fn read(root: &Path) -> Self {
        let mut reader = InventoryReader::new(root);
        let release = reader.text("/etc/os-release").unwrap_or_default();
        let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        let line = |text: Option<String>| text.unwrap_or_default().trim().to_owned();
        let loaded = reader.text("/proc/modules").unwrap_or_default();
        let loaded = loaded.lines().filter_map(|line| line.split(' ').next());
        let mut inventory = Self {
            version: VERSION,
            hostname: line(reader.text("/proc/sys/kernel/hostname")),
            os: name.unwrap_or_default().trim_matches(['"', '\'']).to_owned(),
            kernel: line(reader.text("/proc/sys/kernel/osrelease")),
            modules: loaded.map(str::to_owned).collect(),
            wanted_modules: settings::modules(&mut reader),
            sysctls: settings::sysctls(&mut reader),
            mounts: mounts::mounts(&mut reader),
            swaps: mounts::swaps(&mut reader),
            proxies: settings::proxies(&mut reader),
            mirrors: settings::mirrors(&mut reader),
            static_pods: schedules::static_pods(&mut reader),
            certificates: settings::certificates(&mut reader),
            schedules: schedules::schedules(&mut reader),
            services: schedules::services(&mut reader),
            unread: Vec::new(),
        };
        inventory.unread = reader.into_unread();
        inventory
    }

    /// Inventory as JSON, with a line break at the end.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Reads an inventory from JSON.
    ///
    /// # Errors
    /// When the text is none, or one of another version.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let inventory: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match inventory.version {
            VERSION => Ok(inventory),
            other => Err(format!("its version is {other}, and {VERSION} is known")),
        }
    }
}

#[cfg(test)]
mod tests;
