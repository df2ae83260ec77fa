//! `rootless-builder`: builders of images that make user namespaces of their own.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "rootless-builder",
    title: "A builder makes user namespaces, which the node does not allow",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Confinement,
    source: "https://github.com/moby/buildkit/issues/4667",
    reason: "BuildKit, Podman and Buildah without root need user namespaces. Ubuntu 24.04 restricts them by AppArmor, others by \
             user.max_user_namespaces; the node does neither, unless its NodeConfig says so.",
    examples: &[
        RuleExample::pod("  containers:\n    - {name: buildkitd, image: 'moby/buildkit:v0.25.0-rootless'}")
            .on(&[FactChange::Sysctl("user.max_user_namespaces", "0")]),
    ],
    counter_examples: &[RuleExample::pod(
        "  containers:\n    - {name: buildkitd, image: 'moby/buildkit:v0.25.0-rootless'}",
    )],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let Some(pod) = subject.pod() else { return };
    let sysctls = ["user.max_user_namespaces", "kernel.unprivileged_userns_clone"];
    let forbidden = sysctls
        .into_iter()
        .find(|key| context.node.sysctls.get(*key).is_some_and(|value| value == "0"));
    let reason = match forbidden {
        Some(key) => format!("{key} is 0"),
        None if !context.node.kernel.is_on("CONFIG_USER_NS") => "CONFIG_USER_NS is off".to_owned(),
        None => return,
    };
    let builders = [
        "moby/buildkit",
        "buildah/stable",
        "podman/stable",
        "containers/buildah",
        "containers/podman",
    ];
    for container in pod.containers_of(&builders) {
        let is_rootless = !container.is_privileged;
        if let Some(image) = container.image.as_ref().filter(|_| is_rootless) {
            found.add(
                &image.place,
                format!("user namespaces are off: {reason}"),
                "change it in the NodeConfig (`sysctls`)",
            );
        }
    }
}
