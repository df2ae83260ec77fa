//! `apparmor-off`: AppArmor on a kernel without it.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "apparmor-off",
    title: "A pod asks for AppArmor, which the kernel does not have",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Confinement,
    source: "https://github.com/microsoft/azurelinux/issues/13585",
    reason: "The kubelet rejects pods with a profile other than Unconfined where AppArmor is off: `Cannot enforce AppArmor`. The image's kernel \
             has it; a kernel without it is found here.",
    examples: &[RuleExample::pod(
        "  securityContext: {appArmorProfile: {type: RuntimeDefault}}\n  containers: [{name: main, image: example}]",
    )
    .on(&[FactChange::OptionOff("CONFIG_SECURITY_APPARMOR")])],
    counter_examples: &[
        RuleExample::pod(
            "  securityContext: {appArmorProfile: {type: RuntimeDefault}}\n  containers: [{name: main, image: example}]",
        ),
        RuleExample::pod(
            "  securityContext: {appArmorProfile: {type: Unconfined}}\n  containers: [{name: main, image: example}]",
        )
        .on(&[FactChange::OptionOff("CONFIG_SECURITY_APPARMOR")]),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let Some(pod) = subject
        .pod()
        .filter(|_| !context.node.kernel.is_on("CONFIG_SECURITY_APPARMOR"))
    else {
        return;
    };
    let help = "set the type Unconfined, or run the pod on other nodes";
    let message = "the kernel has no AppArmor";
    let of_containers = pod.containers.iter().map(|container| &container.security);
    for security in std::iter::once(&pod.security).chain(of_containers) {
        if let Some(profile) = security
            .apparmor
            .as_ref()
            .filter(|profile| profile.kind != "Unconfined")
        {
            found.add(&profile.place, message, help);
        }
    }
    for (key, value) in &pod.annotations {
        if key.starts_with("container.apparmor.security.beta.kubernetes.io/") && value.value != "unconfined" {
            found.add(&value.place, message, help);
        }
    }
}
