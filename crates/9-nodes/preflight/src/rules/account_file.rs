//! `account-file`: names of the node's users and groups.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "account-file",
    title: "A pod takes names of users from the node",
    verdict: WorkloadVerdict::Note,
    topic: RuleTopic::HostPaths,
    source: "https://github.com/DataDog/helm-charts/issues/2448",
    reason: "The node's /etc/passwd and /etc/group have only the accounts of its own daemons: no people, no `ubuntu`, no `docker`. Processes \
             of others are shown by number.",
    examples: &[
        RuleExample::read_path("/etc/passwd"),
        RuleExample::read_path("/etc/group"),
    ],
    counter_examples: &[RuleExample::read_path("/etc/nsswitch.conf")],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths() {
        if matches!(path.path, "/etc/passwd" | "/etc/group") && context.node.locate(path.path).is_there() {
            let help = "nothing to do where names are only shown";
            found.add(
                path.place,
                format!("{} names daemons of the node only", path.path),
                help,
            );
        }
    }
}
