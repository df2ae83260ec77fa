//! `ssh-folder`: keys and configuration of SSH on nodes.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "ssh-folder",
    title: "A pod puts SSH keys on the node, which has no SSH daemon",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPaths,
    source: "https://docs.siderolabs.com/talos/latest/learn-more/faqs",
    reason: "Nobody logs in to a node: there is no SSH daemon and no shell. Jobs that reach nodes by SSH, and pods that install keys for \
             them, do nothing.",
    examples: &[
        RuleExample::host_path("/root/.ssh"),
        RuleExample::host_path("/home/ubuntu/.ssh"),
        RuleExample::host_path("/etc/ssh"),
    ],
    counter_examples: &[RuleExample::host_path("/var/lib/example/.ssh-keys")],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    if context.node.has_program("sshd") {
        return;
    }
    for path in subject.host_paths() {
        let is_of_user = path.path.ends_with("/.ssh") || path.path.ends_with("/authorized_keys");
        if is_of_user || crate::facts::is_below(path.path, "/etc/ssh") {
            let help = "do the work in a pod on the node: what it changes is kept below /var, and settings belong into the NodeConfig";
            found.add(
                path.place,
                format!("there is no SSH daemon that would read {}", path.path),
                help,
            );
        }
    }
}
