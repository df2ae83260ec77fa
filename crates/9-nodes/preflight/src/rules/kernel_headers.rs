//! `kernel-headers`: headers for compiling against the node's kernel.

use crate::Existence;
use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "kernel-headers",
    title: "A pod mounts headers of the kernel, which the node does not have",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPaths,
    source: "https://falco.org/docs/setup/container/",
    reason: "Nodes have no headers: the kernel describes its types itself (BTF, /sys/kernel/btf/vmlinux), which programs with CO-RE use. The \
             folder cannot be made on the read-only root, so that the pod does not start.",
    examples: &[
        RuleExample::read_path("/usr/src").on(&[FactChange::NoPath("/usr/src")]),
        RuleExample::read_path("/lib/modules/6.8.0-generic/build"),
    ],
    counter_examples: &[
        RuleExample::read_path("/sys/kernel"),
        RuleExample::read_path("/usr/lib/modules"),
        RuleExample::read_path("/usr/src").on(&[FactChange::File("/usr/src/kernels/Makefile")]),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let help = match context.node.kernel.is_on("CONFIG_DEBUG_INFO_BTF") {
        true => "switch the volume off, and choose the variant with CO-RE (\"modern eBPF\"): the kernel has BTF",
        false => "the kernel has no BTF, either: choose a variant without eBPF",
    };
    for path in subject.host_paths() {
        let located = context.node.locate(path.path);
        let is_build = located.path.starts_with("/usr/lib/modules/") && path.path.ends_with("/build");
        if (crate::facts::is_below(path.path, "/usr/src") || is_build) && located.existence == Existence::Absent {
            found.add(
                path.place,
                format!("the node has no headers of the kernel, and no {}", path.path),
                help,
            );
        }
    }
}
