//! `sysctl-protected`: sysctls that the kubelet wants as they are.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "sysctl-protected",
    title: "A privileged pod lowers or changes a sysctl that the node sets",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::Confinement,
    source: "https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/",
    reason: "With protectKernelDefaults the kubelet fails at its next start when one of the sysctls that it checks has another value. And \
             what another distribution needs raised, the node may have set higher: `vm.max_map_count=262144` lowers it.",
    examples: &[
        RuleExample::pod(
            "  initContainers:\n    - name: tune\n      image: busybox\n      securityContext: {privileged: true}\n      \
             command: [sysctl, -w, vm.overcommit_memory=0]\n  containers: [{name: main, image: example}]",
        ),
        RuleExample::pod(
            "  initContainers:\n    - name: tune\n      image: busybox\n      securityContext: {privileged: true}\n      \
             command: [sh, -c, 'sysctl -w fs.inotify.max_user_instances=128']\n  containers: [{name: main, image: example}]",
        ),
    ],
    counter_examples: &[
        RuleExample::pod(
            "  initContainers:\n    - name: tune\n      image: busybox\n      securityContext: {privileged: true}\n      \
             command: [sysctl, -w, vm.max_map_count=2097152]\n  containers: [{name: main, image: example}]",
        ),
        RuleExample::pod(
            "  initContainers:\n    - name: tune\n      image: busybox\n      securityContext: {privileged: true}\n      \
             command: [sysctl, -w, vm.swappiness=1]\n  containers: [{name: main, image: example}]",
        ),
    ],
    check,
};

/// Sysctls that the kubelet checks (pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables).
const CHECKED: [&str; 6] = [
    "kernel.keys.root_maxbytes",
    "kernel.keys.root_maxkeys",
    "kernel.panic",
    "kernel.panic_on_oops",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
];
/// Beginnings of sysctls that are limits: more is better.
const LIMITS: [&str; 5] = [
    "fs.file-max",
    "fs.inotify.",
    "kernel.pid_max",
    "net.core.somaxconn",
    "vm.max_map_count",
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for call in subject.calls().iter().filter(|call| call.name() == "sysctl") {
        for setting in &call.arguments {
            let Some((key, value)) = setting.trim_start_matches('-').split_once('=') else {
                continue;
            };
            let key = key.replace('/', ".");
            let Some(own) = context.node.sysctls.get(&key) else {
                continue;
            };
            let is_checked = context.node.kubelet.protect_kernel_defaults && CHECKED.contains(&key.as_str());
            let is_limit = LIMITS.iter().any(|start| key.starts_with(start));
            let is_lower = is_limit && number(value) < number(own);
            if is_checked && value != own {
                let message = format!("the kubelet does not start when {key} is {value}: it wants {own}");
                found.add(
                    &call.place,
                    message,
                    "drop the setting: the node's value is the one that the kubelet asks for",
                );
            } else if is_lower {
                let message = format!("{key} becomes {value}; the node has {own}");
                found.add(&call.place, message, "drop the setting: the node's value is higher");
            }
        }
    }
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(u64::MAX)
}
