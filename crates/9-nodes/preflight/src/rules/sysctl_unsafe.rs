//! `sysctl-unsafe`: sysctls of a pod that its node has to allow.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "sysctl-unsafe",
    title: "A pod sets a sysctl that its node does not allow",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Confinement,
    source: "https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/",
    reason: "Sysctls that Kubernetes does not count as safe have to be allowed node by node; the pod ends with SysctlForbidden otherwise. They are \
             compared with `kubelet.allowedUnsafeSysctls` of the NodeConfig.",
    examples: &[RuleExample::pod(
        "  securityContext: {sysctls: [{name: net.core.somaxconn, value: '65535'}]}\n  containers: [{name: main, image: example}]",
    )],
    counter_examples: &[
        RuleExample::pod(
            "  securityContext: {sysctls: [{name: net.ipv4.tcp_syncookies, value: '1'}]}\n  containers: [{name: main, image: example}]",
        ),
        RuleExample::pod(
            "  securityContext: {sysctls: [{name: net/core/somaxconn, value: '65535'}]}\n  containers: [{name: main, image: example}]",
        )
        .on(&[FactChange::UnsafeSysctl("net.core.*")]),
    ],
    check,
};

/// Sysctls that are safe in Kubernetes 1.37 (pkg/kubelet/sysctl/safe_sysctls.go), all of which Linux 6.12 has.
const SAFE: [&str; 14] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let allowed = &context.node.kubelet.allowed_unsafe_sysctls;
    let is_allowed = |name: &str| {
        allowed.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == pattern,
        })
    };
    for (name, _) in subject.pod().into_iter().flat_map(|pod| &pod.sysctls) {
        let key = name.value.replace('/', ".");
        if !SAFE.contains(&key.as_str()) && !is_allowed(&key) {
            let help = format!("allow it in the NodeConfig: `kubelet: {{allowedUnsafeSysctls: [{key}]}}`");
            found.add(&name.place, format!("the node does not let pods set {key}"), help);
        }
    }
}
