//! Services, accounts, packages and security of a host.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Certificate of a host. Keys are never read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostCertificate {
    /// File.
    pub file: String,
    /// Subject: `CN=Example Root`.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Begin of its validity, RFC 3339.
    pub not_before: String,
    /// End of its validity, RFC 3339.
    pub not_after: String,
    /// SHA-256 of the certificate (DER), 64 hexadecimal digits.
    pub sha256: String,
    /// SHA-256 of the public key (SubjectPublicKeyInfo, DER), as pins of `kubeadm join` have it.
    pub public_key_sha256: String,
}

/// Unit of systemd, or an addition to one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostUnit {
    /// Name: `backup.service`.
    pub name: String,
    /// Files: the unit's own below /etc or /usr/local, and additions.
    pub files: Vec<String>,
    /// The unit's own file is among them.
    pub is_own: bool,
    /// The unit is started at boot, by a link below /etc.
    pub is_enabled: bool,
    /// Program that it starts, without arguments.
    pub program: Option<String>,
    /// Times of a timer.
    pub schedule: Vec<String>,
    /// Settings that the additions make, as `Section.Key`; values are left out. `*` is in place of words that are no settings.
    pub settings: Vec<String>,
}

/// Job of cron.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostCronJob {
    /// File.
    pub file: String,
    /// Times: `0 3 * * *`, `@daily`, `every 7 days` of anacron; the name of the folder for scripts in /etc/cron.daily and others.
    pub schedule: String,
    /// Account; `None` for scripts of folders, and where there is no such account.
    pub user: Option<String>,
    /// Program, without arguments.
    pub program: Option<String>,
    /// The file is one of a package.
    pub is_of_package: bool,
}

/// Account that somebody can log in to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostAccount {
    /// Name.
    pub name: String,
    /// Number.
    pub uid: u64,
    /// Number of keys for SSH; `None` where they could not be read.
    pub ssh_keys: Option<usize>,
}

/// Packages of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostPackages {
    /// Number of installed packages.
    pub installed: usize,
    /// Packages that were not installed because another one needs them, by name with version, without the base system's.
    pub manual: BTreeMap<String, String>,
    /// Packages that are held back from updates.
    pub held: Vec<String>,
    /// Hosts of package archives.
    pub archives: Vec<String>,
    /// Snaps.
    pub snaps: Vec<String>,
}

/// Profiles of confinement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostConfinement {
    /// Loaded profiles of AppArmor; `None` where they could not be read, or there is no AppArmor.
    pub loaded: Option<Vec<String>>,
    /// Files with profiles in /etc/apparmor.d that no package brought, with the names of their profiles.
    pub profiles: BTreeMap<String, Vec<String>>,
    /// Profiles of seccomp, relative to the kubelet's folder of them.
    pub seccomp: Vec<String>,
}

/// Limit of processes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostLimit {
    /// File.
    pub file: String,
    /// Account or group; the manager of systemd for its defaults.
    pub domain: String,
    /// Limit: `nofile`, `DefaultLimitNOFILE`.
    pub item: String,
    /// Value.
    pub value: String,
}

/// Packet filter in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostFilter {
    /// Tool: `ufw`, `nftables`, `iptables`, `firewalld`.
    pub tool: String,
    /// File.
    pub file: String,
    /// Number of rules, as far as the file has them.
    pub rules: usize,
}

/// File of settings that no package brought.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostSettingsFile {
    /// Subject of the file.
    pub topic: SettingsTopic,
    /// Path.
    pub file: String,
}

/// Subject of a file of settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SettingsTopic {
    /// Rules of udev.
    #[default]
    Udev,
    /// Rotation of logs.
    Logrotate,
    /// Forwarding of logs by rsyslog.
    Rsyslog,
    /// Configuration of the journal.
    Journal,
    /// Configuration of log and metric agents.
    Agent,
    /// Rules of sudo.
    Sudo,
    /// Configuration of the SSH server.
    Ssh,
    /// Rules of auditd.
    Audit,
    /// Programs in /usr/local/bin and /usr/local/sbin.
    Program,
    /// Start script of the old kind.
    StartScript,
    /// Folders and files made at boot, by tmpfiles.d.
    Tmpfiles,
}
