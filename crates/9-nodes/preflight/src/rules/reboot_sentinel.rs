//! `reboot-sentinel`: files by which a distribution asks for a reboot.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "reboot-sentinel",
    title: "A pod waits for a file that asks for a reboot",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPrograms,
    source: "https://kured.dev/docs/configuration/",
    reason: "kured looks for /var/run/reboot-required, which unattended-upgrades of Debian and Ubuntu writes. A node installs no packages \
             while it runs: nothing writes the file, and a command as sentinel (`needs-restarting`, `test`) is not on the node.",
    examples: &[
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - {name: kured, image: 'ghcr.io/kubereboot/kured:1.20.0'}",
        ),
        RuleExample::pod("  containers:\n    - {name: kured, image: 'registry.example/mirror/kured:1.20.0'}"),
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      args: [--sentinel=/var/run/reboot-required]",
        ),
    ],
    counter_examples: &[RuleExample::pod(
        "  containers:\n    - {name: main, image: example, args: [--reboot]}",
    )],
    check,
};

fn check(subject: &Subject<'_>, _: &Context<'_>, found: &mut Found<'_>) {
    let Some(pod) = subject.pod() else { return };
    let help = "exclude Basalt's nodes from it by a label";
    for container in pod.containers_of(&["kubereboot/kured", "weaveworks/kured"]) {
        if let Some(image) = &container.image {
            found.add(&image.place, "nothing on the node asks for a reboot by a file", help);
        }
    }
    if pod
        .containers_of(&["kubereboot/kured", "weaveworks/kured"])
        .next()
        .is_none()
    {
        for word in pod.words().filter(|word| word.value.contains("/run/reboot-required")) {
            found.add(&word.place, "nothing on the node writes /run/reboot-required", help);
        }
    }
}
