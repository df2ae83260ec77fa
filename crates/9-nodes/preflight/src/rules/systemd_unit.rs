//! `systemd-unit`: units of the node that a pod starts, stops or needs.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "systemd-unit",
    title: "A pod starts a unit that the node does not have",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPrograms,
    source: "https://github.com/awslabs/mountpoint-s3-csi-driver/issues/86",
    reason: "Units are looked up in the image: there are those of systemd, of the kubelet and containerd. iscsid, rpcbind, sshd, docker and \
             cron are not among them.",
    examples: &[RuleExample::pod(
        "  hostPID: true\n  containers:\n    - name: main\n      image: example\n      securityContext: {privileged: true}\n      \
         command: [nsenter, -t, '1', -m, --, systemctl, enable, --now, cron]",
    )],
    counter_examples: &[
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - name: main\n      image: example\n      securityContext: {privileged: true}\n      \
             command: [nsenter, -t, '1', -m, --, systemctl, restart, containerd]",
        ),
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - {name: main, image: example, command: [nsenter, -t1, -m, --, systemctl, reboot]}",
        ),
    ],
    check,
};

/// Verbs of systemctl that need a unit.
const VERBS: [&str; 7] = [
    "enable",
    "is-active",
    "reload",
    "restart",
    "start",
    "try-restart",
    "reload-or-restart",
];
/// Ends of the names of units.
const KINDS: [&str; 5] = [".service", ".socket", ".timer", ".mount", ".target"];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for call in subject.calls().iter().filter(|call| call.name() == "systemctl") {
        let mut words = call.arguments.iter().filter(|word| !word.starts_with('-'));
        if !words.next().is_some_and(|verb| VERBS.contains(&verb.as_str())) {
            continue;
        }
        for unit in words.filter(|unit| !unit.contains(['$', '*', '@'])) {
            let file = match KINDS.iter().any(|kind| unit.ends_with(kind)) {
                true => unit.clone(),
                false => format!("{unit}.service"),
            };
            if !context.node.has_unit(&file) {
                let help = "run the program in the pod; for the unit in the image, a package has to be written (CONTRIBUTING.md, \"Add a package\")";
                found.add(&call.place, format!("the node has no unit {file}"), help);
            }
        }
    }
}
