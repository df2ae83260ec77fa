//! `device`: device files that the kernel does not make.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "device",
    title: "A pod wants a device whose driver the image does not have",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPaths,
    source: "https://kubernetes.io/docs/concepts/storage/volumes/#hostpath-volume-types",
    reason: "Files in /dev are made by drivers of the kernel. The rule knows which option or module makes which; whether the hardware is there \
             it cannot know.",
    examples: &[
        RuleExample::host_path("/dev/nvidia0"),
        RuleExample::typed_path("/dev/mem", "CharDevice"),
        RuleExample::typed_path("/dev/kvm", "CharDevice").on(&[FactChange::OptionOff("CONFIG_KVM")]),
    ],
    counter_examples: &[
        RuleExample::typed_path("/dev/fuse", "CharDevice"),
        RuleExample::typed_path("/dev/net/tun", "CharDevice"),
        RuleExample::host_path("/dev"),
        RuleExample::host_path("/dev/shm"),
    ],
    check,
};

/// Beginnings of device files, with options of the kernel, one of which makes them.
const BY_OPTION: [(&str, &[&str]); 14] = [
    ("/dev/cpu_dma_latency", &["CONFIG_CPU_IDLE", "CONFIG_PM"]),
    ("/dev/dri", &["CONFIG_DRM"]),
    ("/dev/drbd", &["CONFIG_BLK_DEV_DRBD"]),
    ("/dev/fuse", &["CONFIG_FUSE_FS"]),
    ("/dev/hugepages", &["CONFIG_HUGETLBFS"]),
    ("/dev/infiniband", &["CONFIG_INFINIBAND"]),
    ("/dev/kmem", &["CONFIG_DEVKMEM"]),
    ("/dev/kvm", &["CONFIG_KVM"]),
    ("/dev/mem", &["CONFIG_DEVMEM"]),
    ("/dev/nbd", &["CONFIG_BLK_DEV_NBD"]),
    ("/dev/net/tun", &["CONFIG_TUN"]),
    ("/dev/vfio", &["CONFIG_VFIO"]),
    ("/dev/vhost-net", &["CONFIG_VHOST_NET"]),
    ("/dev/watchdog", &["CONFIG_WATCHDOG"]),
];
/// Beginnings of device files, with modules that are not part of Linux and make them.
const BY_MODULE: [(&str, &str); 4] = [
    ("/dev/kfd", "amdgpu"),
    ("/dev/nvidia", "nvidia"),
    ("/dev/zfs", "zfs"),
    ("/dev/gdrdrv", "gdrdrv"),
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let kernel = &context.node.kernel;
    for path in subject.host_paths() {
        let by_option = BY_OPTION.iter().find(|(device, _)| path.path.starts_with(device));
        if let Some((device, options)) =
            by_option.filter(|(_, options)| !options.iter().any(|option| kernel.is_on(option)))
        {
            let option = options.first().copied().unwrap_or_default();
            let help =
                "run the pod on other nodes, or turn the option on in distro/packages/kernel and build the image";
            found.add(
                path.place,
                format!("the kernel makes no {device}: {option} is off"),
                help,
            );
        }
        let by_module = BY_MODULE.iter().find(|(device, _)| path.path.starts_with(device));
        if let Some((device, module)) = by_module.filter(|(_, module)| !kernel.has_module(module)) {
            let help = "run the pod on nodes that have the driver: select them by a label";
            found.add(
                path.place,
                format!("nothing makes {device}: the image has no module {module}"),
                help,
            );
        }
    }
}
