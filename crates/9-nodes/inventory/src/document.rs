//! Document of an inventory: raw observation, as JSON. Fields are only added within a version.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::InventoryError;
use crate::cleaning::clean;
use crate::network::bonding;

mod kubernetes;
mod network;
mod services;
mod system;

pub use kubernetes::{
    HostCni, HostCniNetwork, HostCredentialProvider, HostFlag, HostKubelet, HostMirror, HostRegistry, HostRuntime,
    HostRuntimeHandler, HostStaticPod,
};
pub use network::{
    HostBond, HostInterface, HostName, HostNetwork, HostProxy, HostResolver, HostRoute, HostTime, HostVlan,
};
pub use services::{
    HostAccount, HostCertificate, HostConfinement, HostCronJob, HostFilter, HostLimit, HostPackages, HostSettingsFile,
    HostUnit, SettingsTopic,
};
pub use system::{
    HostDevice, HostFilesystem, HostHugePages, HostKernel, HostModule, HostStorage, HostSwap, HostSysctl, HostSystem,
};

/// Version of the format that this crate writes and reads.
pub const VERSION: u32 = 1;

/// Inventory of a host: observation, without judgement. It has no passwords, keys or tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(title = "Inventory of a host by basalt-inventory")]
pub struct HostInventory {
    /// Version of the format: 1.
    pub version: u32,
    /// Program that made it, with its version.
    pub program: String,
    /// Name, distribution and size of the host.
    pub system: HostSystem,
    /// Running kernel and its modules.
    pub kernel: HostKernel,
    /// Kernel settings: those of files, and others that workloads depend on.
    pub sysctls: Vec<HostSysctl>,
    /// Devices with a driver on buses: network, storage, displays, accelerators.
    pub devices: Vec<HostDevice>,
    /// File systems, swap, arrays, volumes.
    pub storage: HostStorage,
    /// Interfaces, routes and name servers.
    pub network: HostNetwork,
    /// HTTP proxies in files of settings and of units.
    pub proxies: Vec<HostProxy>,
    /// Time servers and time zone.
    pub time: HostTime,
    /// Certificates: those that people added, and the node's own.
    pub certificates: Vec<HostCertificate>,
    /// Units of systemd that no package of the distribution brought, and additions to those that one did.
    pub units: Vec<HostUnit>,
    /// Jobs of cron.
    pub cron: Vec<HostCronJob>,
    /// Accounts that people log in to.
    pub accounts: Vec<HostAccount>,
    /// Packages that somebody asked for.
    pub packages: HostPackages,
    /// Container runtime.
    pub runtime: HostRuntime,
    /// Registries with settings of their own, and their mirrors.
    pub registries: Vec<HostRegistry>,
    /// Kubelet: flags, configuration, static pods.
    pub kubelet: HostKubelet,
    /// Network plug-ins of containers.
    pub cni: HostCni,
    /// Profiles of AppArmor and seccomp.
    pub confinement: HostConfinement,
    /// Limits of processes.
    pub limits: Vec<HostLimit>,
    /// Packet filters in files.
    pub filters: Vec<HostFilter>,
    /// Other files of settings that no package brought.
    pub settings: Vec<HostSettingsFile>,
    /// Paths that could not be looked at: the inventory is incomplete by these.
    pub unobserved: Vec<Unobserved>,
}

/// Path that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unobserved {
    /// Path on the host.
    pub path: String,
    /// Cause.
    pub reason: UnobservedReason,
}

/// Cause for which a path could not be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnobservedReason {
    /// Only root may read it.
    NeedsRoot,
    /// The file is larger than such a file may be, or the inventory as a whole.
    TooLarge,
    /// The folder has more entries than are read, or is nested deeper.
    TooMany,
    /// The file is no text.
    NoText,
    /// A device, a pipe or a socket is where a file should be, or a file where a folder should be.
    OtherKind,
    /// Links lead in a circle.
    LinkLoop,
    /// The text does not have the form that it should have.
    Malformed,
    /// The folder is empty, or there is none: the kernel's file system is not mounted on it.
    Empty,
    /// The system reports an error.
    Failed,
}

impl UnobservedReason {
    /// Sentence without a full stop.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NeedsRoot => "only root may read it",
            Self::TooLarge => "it is larger than such a file may be",
            Self::TooMany => "it has more entries than are read",
            Self::NoText => "it is no text",
            Self::OtherKind => "it is of another kind: a device, a pipe, a socket, or a file in place of a folder",
            Self::LinkLoop => "its links lead in a circle",
            Self::Malformed => "its text does not have the form that it should have",
            Self::Empty => "it is empty or not there: mount the host's below the root",
            Self::Failed => "the system reports an error",
        }
    }
}

impl HostInventory {
    /// Reads an inventory from JSON. Its texts are cleaned as those of a host are: who wrote it is not known.
    ///
    /// # Errors
    /// When the text is none, or of another version.
    pub fn parse(text: &str) -> Result<Self, InventoryError> {
        let format = |error: serde_json::Error| InventoryError::Format {
            reason: error.to_string(),
        };
        let value: serde_json::Value = serde_json::from_str(text).map_err(format)?;
        // Every field has a default: another document would be read as an empty inventory.
        let version = value.get("version").and_then(serde_json::Value::as_u64);
        let (Some(found), true) = (version, value.get("unobserved").is_some()) else {
            return Err(InventoryError::Format {
                reason: "it has no `version` and no `unobserved`".to_owned(),
            });
        };
        if found != u64::from(VERSION) {
            return Err(InventoryError::Version { found });
        }
        let mut inventory: Self = serde_json::from_value(clean(value)).map_err(format)?;
        inventory.network.bonds.iter_mut().for_each(bonding::name_numbers);
        Ok(inventory)
    }

    /// Inventory with clean texts.
    pub(crate) fn cleaned(self) -> Self {
        let cleaned = serde_json::to_value(&self).map(clean);
        match cleaned.and_then(serde_json::from_value) {
            Ok(cleaned) => cleaned,
            // Nothing rather than texts that are not clean.
            Err(_) => Self {
                version: self.version,
                program: self.program,
                unobserved: vec![Unobserved {
                    path: "/".to_owned(),
                    reason: UnobservedReason::Failed,
                }],
                ..Self::default()
            },
        }
    }

    /// Inventory as JSON, with a line break at the end.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// The JSON schema of [`HostInventory`].
pub fn json_schema() -> String {
    basalt_document::schema::published::<HostInventory>()
}
