//! `seccomp-profile`: seccomp profiles in files of the node.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "seccomp-profile",
    title: "A pod names a seccomp profile that the node does not have",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Confinement,
    source: "https://github.com/rancher/rke2/issues/8312",
    reason: "Profiles of type Localhost are files below the kubelet's folder seccomp. A new node has none: they are not part of the image, \
             and whoever put them on the nodes of before has to do it here.",
    examples: &[RuleExample::pod(
        "  securityContext: {seccompProfile: {type: Localhost, localhostProfile: profiles/audit.json}}\n  \
         containers: [{name: main, image: example}]",
    )],
    counter_examples: &[
        RuleExample::pod(
            "  securityContext: {seccompProfile: {type: RuntimeDefault}}\n  containers: [{name: main, image: example}]",
        ),
        RuleExample::pod(
            "  securityContext: {seccompProfile: {type: Localhost, localhostProfile: audit.json}}\n  \
             containers: [{name: main, image: example}]",
        )
        .on(&[FactChange::File("/var/lib/kubelet/seccomp/audit.json")]),
        RuleExample::pod(
            "  securityContext: {seccompProfile: {type: Localhost, localhostProfile: audit.json}}\n  \
             initContainers:\n    - name: install\n      image: example\n      volumeMounts: [{name: profiles, mountPath: /profiles}]\n  \
             containers: [{name: main, image: example}]\n  volumes:\n    - name: profiles\n      \
             hostPath: {path: /var/lib/kubelet/seccomp}",
        ),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let Some(pod) = subject.pod() else { return };
    let folder = format!("{}/seccomp", context.node.kubelet.root);
    // A workload that mounts the folder for writing brings profiles.
    if context.made.iter().any(|made| crate::facts::is_below(made, &folder)) {
        return;
    }
    let of_containers = pod.containers.iter().map(|container| &container.security);
    let all = std::iter::once(&pod.security).chain(of_containers);
    for profile in all.filter_map(|security| security.seccomp.as_ref()) {
        let Some(name) = profile.of_node() else { continue };
        if !context.node.locate(&format!("{folder}/{name}")).is_there() {
            let help = "install it by a DaemonSet (the Security Profiles Operator does), or use RuntimeDefault";
            found.add(&profile.place, format!("the node has no {folder}/{name}"), help);
        }
    }
}
