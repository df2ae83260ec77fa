//! `docker-data`: Docker's folder of containers and their logs.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "docker-data",
    title: "A pod reads Docker's folder, which stays empty",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPaths,
    source: "https://kubernetes.io/docs/tasks/administer-cluster/migrating-from-dockershim/migrating-telemetry-and-security-agents/",
    reason: "Logs of containers are in /var/log/pods on nodes with any runtime; /var/log/containers has links to them. Docker had them in \
             /var/lib/docker/containers.",
    examples: &[RuleExample::read_path("/var/lib/docker/containers")],
    counter_examples: &[
        RuleExample::read_path("/var/log/containers"),
        RuleExample::read_path("/var/log/pods"),
        RuleExample::read_path("/var/log"),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths() {
        let located = context.node.locate(path.path);
        if crate::facts::is_below(&located.path, "/var/lib/docker") && !located.is_there() {
            let help = "mount /var/log/pods and /var/log/containers, or drop the volume if they are mounted, too";
            found.add(path.place, format!("no Docker writes to {}", path.path), help);
        }
    }
}
