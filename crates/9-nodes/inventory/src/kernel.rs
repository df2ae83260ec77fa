//! Kernel of a host: command line, modules, devices with their drivers.

use std::collections::BTreeMap;

use crate::host_files::HostFiles;
use crate::redaction::{HIDDEN, is_plain, is_secret, is_word, lists};
use crate::syntax::{lines, words};
use crate::{HostDevice, HostHugePages, HostKernel, HostModule};

/// Folders of modules-load.d and modprobe.d that people write to.
const ASKED: [&str; 2] = ["/etc/modules-load.d", "/usr/local/lib/modules-load.d"];
const OPTIONS: &str = "/etc/modprobe.d";
/// Buses whose drivers decide whether a machine finds its disks and its network.
const BUSES: [&str; 4] = ["pci", "virtio", "vmbus", "xen"];
/// Parameters of the kernel and of systemd whose values are words that anybody may know.
const PARAMETERS: &str = "BOOT_IMAGE amd_iommu amd_pstate apparmor audit cgroup_disable cgroup_enable clocksource console \
    crashkernel default_hugepagesz earlycon earlyprintk elevator fsck.mode fsck.repair hugepages hugepagesz idle \
    init initcall_blacklist initrd intel_idle.max_cstate intel_iommu intel_pstate iommu iommu.passthrough iommu.strict \
    irqaffinity isolcpus kthread_cpus kvm.nx_huge_pages l1tf libata.force loglevel lsm mce mds mem memmap mitigations \
    mmio_stale_data modprobe.blacklist module_blacklist net.ifnames nmi_watchdog nohz nohz_full nouveau.modeset \
    numa_balancing panic pci pcie_aspm pcie_ports preempt pti random.trust_cpu rcu_nocb_poll rcu_nocbs rd.driver.blacklist \
    rd.driver.pre rd.luks.uuid rd.lvm.lv rd.lvm.vg rd.md.uuid reboot resume retbleed rootdelay rootflags rootfstype \
    rootwait security selinux skew_tick spec_store_bypass_disable spectre_v2 srbds swapaccount swiotlb \
    systemd.legacy_systemd_cgroup_controller systemd.log_level systemd.mask systemd.show_status \
    systemd.unified_cgroup_hierarchy systemd.unit transparent_hugepage tsc tsx tsx_async_abort usbcore.autosuspend \
    vconsole.keymap vga video vt.handoff zswap.compressor zswap.enabled zswap.max_pool_percent";
/// Parameters that have no value.
const SWITCHES: &str = "--- auto autoinstall debug emergency fastboot noapic noefi nofb nohpet nokaslr nolapic nomce nomodeset \
    nopti nosmap nosmep nosmt nosplash nospectre_v1 nospectre_v2 noswap notsc nousb nowatchdog nox2apic quiet rescue rhgb ro \
    rw single splash text threadirqs";
/// Ways of naming the device of a root.
const ROOTS: [&str; 6] = ["/dev/", "UUID=", "PARTUUID=", "LABEL=", "PARTLABEL=", "ZFS="];
/// Options of modules whose values are words that anybody may know.
const OPTIONS_SHOWN: &str = "hash_policy lacp_rate mode model nested policy scheduler xmit_hash_policy";

/// Reads the kernel's command line and modules.
pub(crate) fn read(files: &mut HostFiles<'_>) -> HostKernel {
    let command_line = files.text("/proc/cmdline").unwrap_or_default();
    let loaded = loaded(&files.text("/proc/modules").unwrap_or_default());
    let number = loaded.len();
    let mut dkms = Vec::new();
    for name in files.names("/var/lib/dkms") {
        if files.kind(&format!("/var/lib/dkms/{name}")) == Some(crate::host_files::PathKind::Folder) {
            dkms.push(name);
        }
    }
    HostKernel {
        release: files.line("/proc/sys/kernel/osrelease").unwrap_or_default(),
        command_line: parameters(&command_line),
        taint: files
            .line("/proc/sys/kernel/tainted")
            .and_then(|text| text.parse().ok()),
        modules: modules(files, loaded),
        loaded: number,
        dkms,
        huge_pages: huge_pages(files),
    }
}

/// Words of a command line. What follows `--` are arguments of the first program.
fn parameters(command_line: &str) -> Vec<String> {
    let mut kept = Vec::new();
    for word in words(command_line) {
        if word == "--" {
            kept.push(HIDDEN.to_owned());
            break;
        }
        kept.push(parameter(&word));
    }
    kept
}

/// Word of a command line: the value of a parameter where it is known to be public, or nothing but a number.
fn parameter(word: &str) -> String {
    let Some((name, value)) = word.split_once('=') else {
        return match lists(SWITCHES, word) || lists(PARAMETERS, word) {
            true => word.to_owned(),
            false => HIDDEN.to_owned(),
        };
    };
    let is_public = match name {
        "root" => ROOTS
            .iter()
            .find_map(|kind| value.strip_prefix(kind))
            .is_some_and(is_word),
        _ => lists(PARAMETERS, name) && (value.is_empty() || is_word(value)) || is_number(name, value),
    };
    match is_public {
        true => word.to_owned(),
        false => without_value(name, value),
    }
}

/// Returns `true` for a setting that is a number or a switch, and is not called after a secret.
fn is_number(name: &str, value: &str) -> bool {
    is_name(name) && !value.is_empty() && is_plain(value) && !is_secret(name)
}

/// Name of a setting whose value is left out. Letters of a key in base64 may end in `=`, too.
fn without_value(name: &str, value: &str) -> String {
    match is_name(name) && !value.is_empty() && !value.starts_with('=') {
        true => format!("{name}={HIDDEN}"),
        false => HIDDEN.to_owned(),
    }
}

/// Returns `true` for names of parameters and modules.
fn is_name(text: &str) -> bool {
    let is_kept = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    text.starts_with(|letter: char| letter.is_ascii_alphabetic()) && text.len() <= 64 && text.chars().all(is_kept)
}

/// Option of a module, as [`parameter`].
fn option(word: &str) -> String {
    match word.split_once('=') {
        Some((name, value)) if lists(OPTIONS_SHOWN, name) && is_word(value) || is_number(name, value) => {
            word.to_owned()
        }
        Some((name, value)) => without_value(name, value),
        None => HIDDEN.to_owned(),
    }
}

/// Loaded modules with the letters of their taint, by name: lines of /proc/modules.
fn loaded(text: &str) -> BTreeMap<String, String> {
    let names = text.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let name = fields.next()?.to_owned();
        let taint = fields.last().and_then(|last| last.strip_prefix('(')?.strip_suffix(')'));
        Some((name, taint.unwrap_or_default().to_owned()))
    });
    names.collect()
}

/// Modules that are from outside the kernel's tree, that files ask for, or that have options.
fn modules(files: &mut HostFiles<'_>, loaded: BTreeMap<String, String>) -> Vec<HostModule> {
    let mut found: BTreeMap<String, HostModule> = BTreeMap::new();
    let mut paths = vec!["/etc/modules".to_owned()];
    paths.extend(ASKED.iter().flat_map(|folder| files.paths(folder, ".conf")));
    for path in paths {
        let text = files.text(&path).unwrap_or_default();
        for line in lines(&text).filter(|line| !line.starts_with(';')) {
            let name = line.split_whitespace().next().unwrap_or_default();
            if !is_name(name) {
                continue;
            }
            found.entry(underscored(name)).or_default().file = Some(path.clone());
        }
    }
    for path in files.paths(OPTIONS, ".conf") {
        let text = files.text(&path).unwrap_or_default();
        for line in lines(&text) {
            let mut fields = line.split_whitespace();
            if fields.next() != Some("options") {
                continue;
            }
            let Some(name) = fields.next().filter(|name| is_name(name)) else {
                continue;
            };
            let module = found.entry(underscored(name)).or_default();
            module.options.extend(fields.map(option));
            module.file.get_or_insert_with(|| path.clone());
        }
    }
    for (name, taint) in loaded {
        let is_known = found.contains_key(&name);
        if is_known || !taint.is_empty() {
            let module = found.entry(name).or_default();
            module.is_loaded = true;
            module.taint = taint;
        }
    }
    let named = found.into_iter().map(|(name, module)| HostModule { name, ..module });
    named.collect()
}

fn underscored(name: &str) -> String {
    name.replace('-', "_")
}

fn huge_pages(files: &mut HostFiles<'_>) -> Vec<HostHugePages> {
    let folder = "/sys/kernel/mm/hugepages";
    let mut pools = Vec::new();
    for name in files.names(folder) {
        let size = name.strip_prefix("hugepages-").and_then(|rest| rest.strip_suffix("kB"));
        let pages = files.line(&format!("{folder}/{name}/nr_hugepages"));
        let number = |text: &str| text.parse::<u64>().ok();
        if let (Some(size_kib), Some(pages)) = (size.and_then(number), pages.as_deref().and_then(number))
            && pages > 0
        {
            pools.push(HostHugePages { size_kib, pages });
        }
    }
    pools
}

/// Reads the devices on buses that have a driver; equal ones are counted.
pub(crate) fn devices(files: &mut HostFiles<'_>) -> Vec<HostDevice> {
    let mut found: BTreeMap<HostDevice, usize> = BTreeMap::new();
    for bus in BUSES {
        let folder = format!("/sys/bus/{bus}/devices");
        for name in files.names(&folder) {
            let device = format!("{folder}/{name}");
            let Some(driver) = files.link(&format!("{device}/driver")) else {
                continue;
            };
            let module = files.link(&format!("{device}/driver/module"));
            let is_pci = bus == "pci";
            let mut read = |file: &str| files.line(&format!("{device}/{file}")).filter(|_| is_pci);
            let class = read("class");
            let (vendor, number) = (read("vendor"), read("device"));
            let digits = |text: String| text.trim_start_matches("0x").to_owned();
            let device = HostDevice {
                bus: bus.to_owned(),
                id: vendor
                    .zip(number)
                    .map(|(vendor, number)| format!("{}:{}", digits(vendor), digits(number))),
                class,
                driver: last(&driver),
                module: module.map(|module| last(&module)),
                number: 0,
            };
            *found.entry(device).or_default() += 1;
        }
    }
    let counted = found
        .into_iter()
        .map(|(device, number)| HostDevice { number, ..device });
    counted.collect()
}

/// Last step of the target of a link.
fn last(target: &str) -> String {
    target.rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_parameters_are_shown() {
        for (word, kept) in [
            ("root=UUID=1-2", "root=UUID=1-2"),
            ("root=iscsi:u:x@10.0.0.1::3260:1:iqn.x:root", "root=*"),
            ("isolcpus=2-7,9", "isolcpus=2-7,9"),
            ("console=ttyS0,115200n8", "console=ttyS0,115200n8"),
            ("nvme_core.io_timeout=4294967295", "nvme_core.io_timeout=4294967295"),
            ("systemd.setenv=DB_PASSWORD=x", "systemd.setenv=*"),
            ("netroot=iscsi:u:x@10.0.0.1::3260::iqn.x", "netroot=*"),
            ("ds=nocloud;h=x;password=x;s=http://u:p@h/", "ds=*"),
            ("vault.password=/xbase64", "vault.password=*"),
            ("rootpw=12345678", "rootpw=*"),
            ("initrd=u:x@h", "initrd=*"),
            ("quiet", "quiet"),
            ("rootwait", "rootwait"),
            ("rootwait=60", "rootwait=60"),
            ("hunter", "*"),
            ("aGVsbG8=", "*"),
            ("aGVsbG8==", "*"),
        ] {
            assert_eq!(parameter(word), kept);
        }
        assert_eq!(parameters("ro -- --password x"), ["ro", "*"]);
        assert_eq!(option("hashsize=262144"), "hashsize=262144");
        assert_eq!(option("wpa_psk=12345678"), "wpa_psk=*");
        assert_eq!((option("file=x").as_str(), option("x\"").as_str()), ("file=*", "*"));
    }

    #[test]
    fn modules_have_their_taint() {
        let text =
            "nvidia 56717312 2 nvidia_uvm, Live 0x0000000000000000 (POE)\noverlay 151552 0 - Live 0x0000000000000000\n";
        let found = loaded(text);
        assert_eq!(found.get("nvidia").map(String::as_str), Some("POE"));
        assert_eq!(found.get("overlay").map(String::as_str), Some(""));
    }
}
