//! `selinux-options`: labels of SELinux.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "selinux-options",
    title: "A pod asks for an SELinux label, which the kernel ignores",
    verdict: WorkloadVerdict::Note,
    topic: RuleTopic::Confinement,
    source: "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#assign-selinux-labels-to-a-container",
    reason: "AppArmor confines containers on the node; its kernel has no SELinux. The pod runs, under AppArmor's default profile.",
    examples: &[RuleExample::pod(
        "  securityContext: {seLinuxOptions: {level: 's0:c123,c456'}}\n  containers: [{name: main, image: example}]",
    )],
    counter_examples: &[
        RuleExample::pod("  securityContext: {runAsUser: 1000}\n  containers: [{name: main, image: example}]"),
        RuleExample::pod(
            "  securityContext: {seLinuxOptions: {level: 's0:c123,c456'}}\n  containers: [{name: main, image: example}]",
        )
        .on(&[FactChange::OptionOn("CONFIG_SECURITY_SELINUX")]),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let Some(pod) = subject
        .pod()
        .filter(|_| !context.node.kernel.is_on("CONFIG_SECURITY_SELINUX"))
    else {
        return;
    };
    let of_containers = pod.containers.iter().map(|container| &container.security);
    for place in std::iter::once(&pod.security)
        .chain(of_containers)
        .filter_map(|security| security.selinux.as_ref())
    {
        let help = "nothing to do, unless the label was what kept this pod from others' files: then give it an AppArmor profile";
        found.add(place, "the kernel has no SELinux", help);
    }
}
