//! Inventory of a host: what the API server does not show of a node of another distribution, read from its files.
//!
//! ```text
//! /etc, /proc, /sys, /var/lib of a root --(host_files)--> texts, names, links; bounded, without secrets' files
//!          texts --(syntax, netplan, toml, ...)---------> settings, without passwords (redaction)
//!       settings --(system, kernel, network, ...)-------> HostInventory: observation, without judgement
//!  HostInventory --(cleaning)---------------------------> texts on one line, without what is a secret by its form
//!  HostInventory <--(JSON, schemas/host-inventory.json)--> a file, and whoever judges or converts the host
//! ```
//!
//! Reading needs no privileges: what only root may read is listed in [`HostInventory::unobserved`] with its reason. No
//! program is run and nothing is written. All input is taken for hostile: files, folders and the whole are bounded, devices and
//! pipes are not opened, links are followed inside the root only.
//!
//! The judgement, against the facts of an image, is in `basalt_preflight`. The same reader is the static program
//! `basalt-inventory`.

mod accounts;
mod certificates;
mod cleaning;
mod containerd;
mod cron;
mod document;
mod error;
mod host_files;
mod kernel;
mod kubelet;
mod netplan;
mod network;
mod packages;
mod programs;
mod proxies;
mod redaction;
mod runtime;
mod security;
mod settings_files;
mod storage;
mod syntax;
mod sysctls;
mod system;
mod time_servers;
mod units;

use std::path::Path;

pub use cleaning::is_shown;
pub use document::{
    HostAccount, HostBond, HostCertificate, HostCni, HostCniNetwork, HostConfinement, HostCredentialProvider,
    HostCronJob, HostDevice, HostFilesystem, HostFilter, HostFlag, HostHugePages, HostInterface, HostInventory,
    HostKernel, HostKubelet, HostLimit, HostMirror, HostModule, HostName, HostNetwork, HostPackages, HostProxy,
    HostRegistry, HostResolver, HostRoute, HostRuntime, HostRuntimeHandler, HostSettingsFile, HostStaticPod,
    HostStorage, HostSwap, HostSysctl, HostSystem, HostTime, HostUnit, HostVlan, SettingsTopic, Unobserved,
    UnobservedReason, VERSION, json_schema,
};
pub use error::InventoryError;
use host_files::HostFiles;
pub use redaction::is_hidden;

/// Reads the inventory of the host whose root is a folder: `/`, or where the root of the host is mounted.
///
/// A tree without any of the files has an inventory, too: an empty one.
pub fn read(root: &Path) -> HostInventory {
    let files = &mut HostFiles::new(root);
    let packages = packages::read(files);
    let (runtime, registries) = runtime::read(files);
    let mut inventory = HostInventory {
        version: VERSION,
        program: concat!("basalt-inventory ", env!("CARGO_PKG_VERSION")).to_owned(),
        system: system::read(files),
        kernel: kernel::read(files),
        sysctls: sysctls::read(files),
        devices: kernel::devices(files),
        storage: storage::read(files),
        network: network::read(files),
        proxies: proxies::read(files),
        time: time_servers::read(files),
        certificates: certificates::read(files),
        units: units::read(files),
        cron: cron::read(files, &packages.conffiles),
        accounts: accounts::read(files),
        runtime,
        registries,
        kubelet: kubelet::read(files),
        cni: kubelet::cni(files),
        confinement: security::confinement(files, &packages.conffiles),
        limits: security::limits(files, &packages.conffiles),
        filters: security::filters(files),
        settings: settings_files::read(files, &packages.conffiles),
        packages: packages.document,
        unobserved: Vec::new(),
    };
    inventory.kubelet.version = inventory.packages.manual.get("kubelet").cloned();
    bound_lists(files, &mut inventory);
    files.miss_unmounted();
    inventory.unobserved = files.finish();
    inventory.cleaned()
}

/// Keeps as many entries of lists as an inventory has at most: a file may have a line for each.
fn bound_lists(files: &mut HostFiles<'_>, inventory: &mut HostInventory) {
    files.bound_by(&mut inventory.kernel.modules, |module| {
        module.file.as_deref().unwrap_or("/proc/modules")
    });
    files.bound_by(&mut inventory.sysctls, |sysctl| {
        sysctl.file.as_deref().unwrap_or("/proc/sys")
    });
    files.bound(&mut inventory.storage.filesystems, "/proc/mounts");
    files.bound_by(&mut inventory.storage.swap, |swap| &swap.file);
    files.bound(&mut inventory.storage.arrays, "/proc/mdstat");
    files.bound(&mut inventory.storage.exports, "/etc/exports");
    files.bound(&mut inventory.storage.encrypted, "/etc/crypttab");
    let network = &mut inventory.network;
    // Without a file, the kernel's devices are all that there is.
    let place = network.files.first().map_or("/sys/class/net", String::as_str);
    files.bound(&mut network.interfaces, place);
    files.bound(&mut network.bonds, place);
    files.bound(&mut network.vlans, place);
    files.bound(&mut network.others, place);
    files.bound(&mut network.hosts, "/etc/hosts");
    files.bound_by(&mut inventory.proxies, |proxy| &proxy.file);
    files.bound_by(&mut inventory.certificates, |certificate| &certificate.file);
    files.bound_by(&mut inventory.units, |unit| {
        unit.files.first().map_or("/etc/systemd/system", String::as_str)
    });
    files.bound(&mut inventory.accounts, "/etc/passwd");
    files.bound_by(&mut inventory.registries, |registry| &registry.file);
    files.bound_by(&mut inventory.kubelet.flags, |flag| &flag.file);
    files.bound_by(&mut inventory.limits, |limit| &limit.file);
    files.bound_by(&mut inventory.settings, |settings| &settings.file);
}
