//! `swap`: swap that a pod turns on.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "swap",
    title: "A pod turns swap on, with which the kubelet does not start",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPrograms,
    source: "https://kubernetes.io/docs/concepts/cluster-administration/swap-memory-management/",
    reason: "With failSwapOn the kubelet fails at its next start when the machine has swap.",
    examples: &[RuleExample::pod(
        "  containers:\n    - name: main\n      image: example\n      securityContext: {privileged: true}\n      \
         command: [sh, -c, 'fallocate -l 1G /host/swap && mkswap /host/swap && swapon /host/swap']",
    )],
    counter_examples: &[RuleExample::pod(
        "  containers:\n    - {name: main, image: example, command: [swapoff, -a]}",
    )],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    if !context.node.kubelet.fail_swap_on {
        return;
    }
    if let Some(call) = subject.calls().iter().find(|call| call.name() == "swapon") {
        let help = "configure swap in the NodeConfig, or drop it";
        found.add(&call.place, "the kubelet does not start on a node with swap", help);
    }
}
