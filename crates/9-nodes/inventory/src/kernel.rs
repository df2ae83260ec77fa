//! Kernel of a host: command line, modules, devices with their drivers.

use std::collections::BTreeMap;

use crate::host_files::HostFiles;
use crate::redaction::argument;
use crate::syntax::{lines, words};
use crate::{HostDevice, HostHugePages, HostKernel, HostModule};

/// Folders of modules-load.d and modprobe.d that people write to.
const ASKED: [&str; 2] = ["/etc/modules-load.d", "/usr/local/lib/modules-load.d"];
const OPTIONS: &str = "/etc/modprobe.d";
/// Buses whose drivers decide whether a machine finds its disks and its network.
const BUSES: [&str; 4] = ["pci", "virtio", "vmbus", "xen"];

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
        command_line: words(&command_line).iter().map(|word| argument(word)).collect(),
        taint: files
            .line("/proc/sys/kernel/tainted")
            .and_then(|text| text.parse().ok()),
        modules: modules(files, loaded),
        loaded: number,
        dkms,
        huge_pages: huge_pages(files),
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
            let Some(name) = fields.next() else { continue };
            let module = found.entry(underscored(name)).or_default();
            module.options.extend(fields.map(argument));
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
    fn modules_have_their_taint() {
        let text =
            "nvidia 56717312 2 nvidia_uvm, Live 0x0000000000000000 (POE)\noverlay 151552 0 - Live 0x0000000000000000\n";
        let found = loaded(text);
        assert_eq!(found.get("nvidia").map(String::as_str), Some("POE"));
        assert_eq!(found.get("overlay").map(String::as_str), Some(""));
    }
}
