//! Rules about the machine, the kernel, its modules and its settings.

use basalt_inventory::{HostDevice, HostModule, HostSysctl, is_hidden};

use super::super::parts::{SysctlFate, WantedSysctl};
use super::super::{HostFound, HostRule, HostSubject, boundary, listed, parts};
use crate::WorkloadVerdict::{Note, RunsOtherwise, WillNotRun};

/// Words of a command line that name the root, the console and the like.
const OF_BOOT: [&str; 22] = [
    "BOOT_IMAGE",
    "auto",
    "biosdevname",
    "boot",
    "console",
    "crashkernel",
    "cryptdevice",
    "earlycon",
    "earlyprintk",
    "initrd",
    "loglevel",
    "net.ifnames",
    "nosplash",
    "panic",
    "quiet",
    "ro",
    "root",
    "rootflags",
    "rootfstype",
    "rw",
    "splash",
    "vt.handoff",
];
/// Vendors of accelerators: NVIDIA, AMD, Habana.
const ACCELERATORS: [&str; 3] = ["10de:", "1002:", "1da3:"];

pub(super) const RULES: [HostRule; 12] = [
    HostRule {
        id: "host-firmware",
        title: "A machine with a BIOS does not start a node's disk",
        verdict: WillNotRun,
        reason: "The boot loader of the image is a program of UEFI. Many machines and most clouds have both: the setting is called UEFI boot.",
        check: firmware,
    },
    HostRule {
        id: "host-driver",
        title: "A driver of the machine's hardware is not in the image",
        verdict: WillNotRun,
        reason: "Without the driver of its disk a machine does not start, and without that of its network card it joins nothing. Drivers are compared with the modules of the image, those that are built in among them.",
        check: driver,
    },
    HostRule {
        id: "host-gpu",
        title: "There is no driver for the accelerator",
        verdict: WillNotRun,
        reason: "Drivers that are not part of Linux are in no image of ours, and a node takes no modules from elsewhere: those that an operator of the vendor builds are refused.",
        check: gpu,
    },
    HostRule {
        id: "host-module",
        title: "A module of the host is not in the image",
        verdict: RunsOtherwise,
        reason: "A node loads the modules of its image and no others. The kernel loads them when they are needed: a file that asks for one is not needed.",
        check: module,
    },
    HostRule {
        id: "host-module-option",
        title: "Options of modules are an image's",
        verdict: RunsOtherwise,
        reason: "A NodeConfig has no options of modules. The kernel takes them from its command line, which is part of the image.",
        check: module_option,
    },
    HostRule {
        id: "host-command-line",
        title: "The kernel's command line is an image's",
        verdict: RunsOtherwise,
        reason: "The command line is verified with the image. Words that are about the root, the console or the start of the other system are left out here.",
        check: command_line,
    },
    HostRule {
        id: "host-sysctl",
        title: "A kernel setting of the host is another one on a node",
        verdict: RunsOtherwise,
        reason: "Settings of files that no package brought are compared with those of the image.",
        check: sysctl,
    },
    HostRule {
        id: "host-sysctl-lower",
        title: "A kernel setting of the host is lower than the image's",
        verdict: Note,
        reason: "A number that a file of the host raises above the kernel's default, and that the image has raised further. `--write-config` leaves it out.",
        check: sysctl_lower,
    },
    HostRule {
        id: "host-sysctl-refused",
        title: "A kernel setting of the host is refused in a NodeConfig",
        verdict: Note,
        reason: "Some settings are the kubelet's, or a node cannot live with the value.",
        check: sysctl_refused,
    },
    HostRule {
        id: "host-sysctl-running",
        title: "A kernel setting was changed on the running host",
        verdict: Note,
        reason: "A value in force that is larger than the image's, and that no file of settings makes: a start script, a pod or a person set it.",
        check: sysctl_running,
    },
    HostRule {
        id: "host-huge-pages",
        title: "Huge pages have to be reserved in the NodeConfig or the image",
        verdict: RunsOtherwise,
        reason: "A node reserves none by itself. Those of 2 MiB are a kernel setting, those of 1 GiB words of the kernel's command line.",
        check: huge_pages,
    },
    HostRule {
        id: "host-swap",
        title: "A node has no swap",
        verdict: RunsOtherwise,
        reason: "Nothing on a node makes or switches on swap; what workloads had there they need as memory.",
        check: swap,
    },
];

fn firmware(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let system = &subject.host.system;
    // Without /sys there is no firmware to be seen.
    if let (Some(machine), false) = (&system.machine, system.is_uefi) {
        found.add(
            "/sys/firmware",
            format!("the machine ({machine}) has started by its BIOS"),
            "switch it to UEFI, or take another type of machine",
        );
    }
}

/// Driver that the image does not have.
fn missing<'d>(device: &'d HostDevice, subject: &HostSubject<'_>) -> Option<&'d str> {
    let name = device.module.as_deref().unwrap_or(&device.driver);
    // Drivers of ports and bridges are built in everywhere, under names that are no modules.
    let is_there = subject.node.kernel.has_module(name) || subject.node.kernel.has_module(&device.driver);
    (!is_there).then_some(name)
}

fn is_accelerator(device: &HostDevice) -> bool {
    let id = device.id.as_deref().unwrap_or_default();
    let class = device.class.as_deref().unwrap_or_default();
    class.starts_with("0x12") || class.starts_with("0x03") && ACCELERATORS.iter().any(|vendor| id.starts_with(vendor))
}

fn driver(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for device in &subject.host.devices {
        let class = device.class.as_deref().unwrap_or_default();
        let what = match (device.bus.as_str(), class.get(..4)) {
            ("pci", Some("0x01")) => "disk",
            ("pci", Some("0x02")) => "network card",
            ("pci", Some("0x0c")) if class.starts_with("0x0c04") => "Fibre Channel adapter",
            ("pci", _) => continue,
            (bus, _) => bus,
        };
        // Of the virtual buses, what is no module on the host is of no use to a node.
        if device.bus != "pci" && device.module.is_none() {
            continue;
        }
        if let Some(name) = missing(device, subject) {
            let bus = format!("/sys/bus/{}/devices", device.bus);
            let id = device.id.as_deref().map(|id| format!(" ({id})")).unwrap_or_default();
            found.add(
                &bus,
                format!("the driver {name} of a {what}{id} is not in the image"),
                "add its option to distro/packages/kernel, if it is part of Linux",
            );
        }
    }
}

fn gpu(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for device in subject.host.devices.iter().filter(|device| is_accelerator(device)) {
        if let Some(name) = missing(device, subject) {
            found.add(
                "/sys/bus/pci/devices",
                format!(
                    "{} accelerators are driven by {name}, which is not in the image",
                    device.number
                ),
                "keep this host as it is, for the pods that ask for the device",
            );
        }
    }
}

fn module(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let kernel = &subject.host.kernel;
    let is_missing = |module: &&HostModule| !subject.node.kernel.has_module(&module.name);
    for module in kernel.modules.iter().filter(is_missing) {
        let is_foreign = module.taint.contains('O');
        let is_asked = module
            .file
            .as_deref()
            .is_some_and(|file| !file.starts_with("/etc/modprobe.d"));
        if !is_foreign && !is_asked {
            continue;
        }
        let from = if is_foreign {
            ", which is from outside the kernel's tree,"
        } else {
            ""
        };
        found.add(
            module.file.as_deref().unwrap_or("/proc/modules"),
            format!("the module {}{from} is not in the image", module.name),
            "do without, or build it into a kernel of your own: distro/packages/kernel",
        );
    }
    if !kernel.dkms.is_empty() {
        let names = listed(kernel.dkms.iter().map(String::as_str), 8);
        found.add(
            "/var/lib/dkms",
            format!("DKMS builds {names} for each kernel, and a node has no compiler"),
            "build them into a kernel of your own: distro/packages/kernel",
        );
    }
}

fn module_option(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let modules = subject
        .host
        .kernel
        .modules
        .iter()
        .filter(|module| !module.options.is_empty());
    for module in modules.filter(|module| subject.node.kernel.has_module(&module.name)) {
        let words = module.options.iter().filter(|option| !is_hidden(option));
        let words: Vec<String> = words.map(|option| format!("{}.{option}", module.name)).collect();
        let options: Vec<String> = module.options.iter().map(|option| boundary::shown(option)).collect();
        let file = module.file.as_deref().unwrap_or("/etc/modprobe.d");
        found.add(
            file,
            format!("the module {} has options: {}", module.name, options.join(" ")),
            kernel_arguments("in an image of your own", &words, module.options.len(), file),
        );
    }
}

fn command_line(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let words = subject.host.kernel.command_line.iter().map(String::as_str);
    let others: Vec<&str> = words
        .filter(|word| {
            let name = word.split('=').next().unwrap_or_default();
            !OF_BOOT.contains(&name)
                && !["ds", "ip", "cc", "cloud-config-url", "autoinstall"].contains(&name)
                && *word != "---"
        })
        .collect();
    if !others.is_empty() {
        let words = others.iter().filter(|word| !is_hidden(word));
        let words: Vec<String> = words.map(|word| (*word).to_owned()).collect();
        let help = "in an image of your own, what is still wanted";
        found.add(
            "/proc/cmdline",
            format!("the kernel has {}", listed(others.iter().copied(), 12)),
            kernel_arguments(help, &words, others.len(), "/proc/cmdline"),
        );
    }
}

/// Help with words of the kernel's command line, out of a number of them; the others are those whose values the inventory
/// does not have.
fn kernel_arguments(help: &str, words: &[String], number: usize, file: &str) -> String {
    let arguments = format!("{help}: `kernelArguments: [{}]`", words.join(", "));
    match words.len() {
        0 => format!("{help}: `kernelArguments` as in {file}; {}", parts::NONE_THERE),
        shown if shown < number => format!("{arguments}, and others of {file}; {}", parts::NONE_THERE),
        _ => arguments,
    }
}

/// File of a setting.
fn file_of(setting: &HostSysctl) -> &str {
    setting.file.as_deref().unwrap_or("/etc/sysctl.d")
}

fn sysctl(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for WantedSysctl { setting, value, fate } in parts::wanted_sysctls(subject.host, subject.node) {
        let key = &setting.key;
        match fate {
            SysctlFate::Secret => {
                let given = subject.given.section("sysctls").and_then(|given| given.get(key));
                if given.is_none() {
                    found.add(
                        file_of(setting),
                        format!("{key} is set: {}", parts::NOT_THERE),
                        "write it into `sysctls` of the NodeConfig by hand, if it is wanted",
                    );
                }
            }
            SysctlFate::Kept => {
                let image = subject.node.sysctls.get(key);
                let image = image.map_or_else(
                    || "the image leaves it to the kernel".to_owned(),
                    |value| format!("the image has {value}"),
                );
                found.add_lines(
                    file_of(setting),
                    format!("{key} is {}; {image}", boundary::shown(value)),
                    "in the NodeConfig",
                    ("sysctls", serde_json::json!({ key: parts::sysctl_value(value) })),
                );
            }
            SysctlFate::Lower { .. } | SysctlFate::Refused(_) => {}
        }
    }
}

fn sysctl_lower(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for WantedSysctl { setting, value, fate } in parts::wanted_sysctls(subject.host, subject.node) {
        let key = &setting.key;
        if let SysctlFate::Lower { image } = fate {
            found.add_lines(
                file_of(setting),
                format!("{key} is {value}; the image has {image}"),
                "leave it out, unless the lower value is wanted; else",
                ("sysctls", serde_json::json!({ key: parts::sysctl_value(value) })),
            );
        }
    }
}

fn sysctl_refused(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for WantedSysctl { setting, value, fate } in parts::wanted_sysctls(subject.host, subject.node) {
        if let SysctlFate::Refused(reason) = fate {
            let message = format!(
                "{} is {}: {}",
                setting.key,
                boundary::shown(value),
                boundary::shown(&reason)
            );
            found.add(file_of(setting), message, "leave it out");
        }
    }
}

fn sysctl_running(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for setting in subject
        .host
        .sysctls
        .iter()
        .filter(|setting| setting.configured.is_none())
    {
        let image = subject
            .node
            .sysctls
            .get(&setting.key)
            .and_then(|value| value.parse::<u64>().ok());
        let running = setting.running.as_deref().and_then(|value| value.parse::<u64>().ok());
        if let (Some(image), Some(running)) = (image, running)
            && running > image
        {
            found.add_lines(
                "/proc/sys",
                format!(
                    "{} is {running}, and no file of settings says so; the image has {image}",
                    setting.key
                ),
                "if the larger value is wanted",
                ("sysctls", serde_json::json!({ &setting.key: running })),
            );
        }
    }
}

fn huge_pages(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let is_set = subject.node.sysctls.contains_key("vm.nr_hugepages");
    for pool in &subject.host.kernel.huge_pages {
        let place = format!("/sys/kernel/mm/hugepages/hugepages-{}kB", pool.size_kib);
        let message = format!("{} huge pages of {} KiB are reserved", pool.pages, pool.size_kib);
        match pool.size_kib {
            2048 if is_set => {}
            2048 => {
                let lines = serde_json::json!({ "vm.nr_hugepages": pool.pages });
                found.add_lines(&place, message, "in the NodeConfig", ("sysctls", lines));
            }
            size => found.add(
                &place,
                message,
                format!(
                    "in an image of your own: `kernelArguments: [hugepagesz={size}K, hugepages={}]`",
                    pool.pages
                ),
            ),
        }
    }
}

fn swap(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for swap in &subject.host.storage.swap {
        let size = swap
            .size_kib
            .map(|size| format!(", {} MiB", size / 1024))
            .unwrap_or_default();
        // Inventories of older programs do not have it.
        let place = if swap.file.is_empty() {
            "/proc/swaps"
        } else {
            &swap.file
        };
        found.add(
            place,
            format!("the host swaps to {}{size}", swap.source),
            "give the pods memory; a node swaps nowhere",
        );
    }
}
