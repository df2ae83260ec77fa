//! `time-daemon`: a second program that sets the clock.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "time-daemon",
    title: "A pod sets the clock, which the node does, too",
    verdict: WorkloadVerdict::Note,
    topic: RuleTopic::HostPrograms,
    source: "https://chrony-project.org/faq.html",
    reason: "The node runs chronyd. Two daemons that set one clock pull it to and fro.",
    examples: &[RuleExample::pod(
        "  containers:\n    - name: main\n      image: example\n      command: [ntpd, -g]\n      \
         securityContext: {capabilities: {add: [SYS_TIME]}}",
    )],
    counter_examples: &[
        RuleExample::pod("  containers:\n    - {name: main, image: example, command: [ntpd, -q, -w]}"),
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      command: [chronyd, -d]\n      \
             securityContext: {privileged: true}",
        )
        .on(&[FactChange::NoPath("/usr/bin/chronyd")]),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let Some(pod) = subject.pod().filter(|_| context.node.has_program("chronyd")) else {
        return;
    };
    let sets_clock = pod.containers.iter().any(|container| {
        container.is_privileged || container.capabilities.iter().any(|name| name.ends_with("SYS_TIME"))
    });
    let daemons = ["chronyd", "ntpd", "phc2sys", "systemd-timesyncd"];
    for call in subject
        .calls()
        .iter()
        .filter(|call| sets_clock && daemons.contains(&call.name()))
    {
        let help = "name time servers in the NodeConfig (`time`), and keep the pod off these nodes";
        found.add(
            &call.place,
            format!("chronyd of the node and {} set one clock", call.name()),
            help,
        );
    }
}
