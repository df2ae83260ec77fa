//! `driver-container`: images that compile or bring drivers of the kernel.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "driver-container",
    title: "An image brings a driver of the kernel",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPrograms,
    source: "https://github.com/siderolabs/talos/issues/9134",
    reason: "Driver containers compile a module for the running kernel, or download one, and load it. The node has no headers, and LoadPin \
             refuses modules that are not from its root.",
    examples: &[
        RuleExample::pod(
            "  containers:\n    - name: driver\n      image: nvcr.io/nvidia/driver:580.65.06-ubuntu24.04\n      \
             securityContext: {privileged: true}",
        ),
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n  initContainers:\n    - name: loader\n      \
             image: quay.io/piraeusdatastore/drbd9-jammy:v9.2.14\n      securityContext: {privileged: true}",
        ),
        RuleExample::pod(
            "  containers:\n    - {name: loader, image: 'registry.example/mirror/falco-driver-loader:0.42.0'}",
        ),
    ],
    counter_examples: &[
        RuleExample::pod("  containers:\n    - {name: main, image: 'registry.example/mirror/driver:1.0'}"),
        RuleExample::pod(
            "  containers:\n    - name: loader\n      image: docker.io/falcosecurity/falco-driver-loader:0.42.0\n      \
             args: [driver, config, --type=modern_ebpf]",
        ),
        RuleExample::pod(
            "  containers:\n    - name: driver\n      image: nvcr.io/nvidia/driver:580.65.06-ubuntu24.04\n      \
             securityContext: {privileged: true}",
        )
        .on(&[FactChange::Module("nvidia")]),
        RuleExample::pod("  containers:\n    - {name: main, image: 'nvcr.io/nvidia/cuda:13.0.0-base-ubuntu24.04'}"),
    ],
    check,
};

/// Images (`*` stands for the end of a name), the module that they load, what helps.
const IMAGES: [(&str, &str, &str); 7] = [
    (
        "nvidia/driver",
        "nvidia",
        "use an image of the node that has NVIDIA's driver (`driver.enabled: false`), or nodes of another distribution for GPUs",
    ),
    (
        "nvidia/doca-driver",
        "mlx5_core_ofed",
        "the image's own mlx5 drivers work without it",
    ),
    ("nvidia/gdrdrv", "gdrdrv", "run without GPUDirect RDMA copies"),
    (
        "falcosecurity/falco-driver-loader",
        "falco",
        "set `driver.kind: modern_ebpf`",
    ),
    (
        "drbd9-*",
        "drbd",
        "choose storage without DRBD; for the module in the image, a package has to be written (CONTRIBUTING.md, \"Add a package\")",
    ),
    (
        "rocm/amdgpu-driver",
        "amdgpu",
        "turn amdgpu on in distro/packages/kernel, and build the image",
    ),
    (
        "weka.io/weka-drivers",
        "wekafsio",
        "for the module in the image, a package has to be written (CONTRIBUTING.md, \"Add a package\")",
    ),
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let kernel = &context.node.kernel;
    if !kernel.is_on("CONFIG_SECURITY_LOADPIN_ENFORCE") {
        return;
    }
    for container in subject.pod().into_iter().flat_map(|pod| &pod.containers) {
        let words = container.commands.iter().flatten();
        if words
            .into_iter()
            .any(|word| word.value.contains("modern_ebpf") || word.value.contains("modern-bpf"))
        {
            continue;
        }
        let of_driver = IMAGES.iter().find(|(image, ..)| match image.strip_suffix('*') {
            Some(start) => container.name().starts_with(start),
            None => container.is_of(image),
        });
        let (Some((_, module, help)), Some(image)) = (of_driver, &container.image) else {
            continue;
        };
        if !kernel.has_module(module) {
            found.add(
                &image.place,
                format!("LoadPin refuses the module {module}, which the image of the node lacks"),
                *help,
            );
        }
    }
}
