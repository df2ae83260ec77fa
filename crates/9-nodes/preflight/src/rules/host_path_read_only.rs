//! `host-path-read-only`: folders that would have to be made on the read-only root.

use crate::Existence;
use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "host-path-read-only",
    title: "A path would have to be made on the read-only root",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPaths,
    source: "https://github.com/kubearmor/KubeArmor/issues/2592",
    reason: "The root of a node is read-only and verified. Where a host path is missing, the kubelet or containerd makes it, and fails: \
             `mkdir /longhorn: read-only file system`.",
    examples: &[
        RuleExample::host_path("/longhorn"),
        RuleExample::typed_path("/usr/share/example", "DirectoryOrCreate"),
    ],
    counter_examples: &[
        RuleExample::host_path("/var/lib/longhorn"),
        RuleExample::host_path("/opt/example"),
        RuleExample::typed_path("/run/example", "DirectoryOrCreate"),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths() {
        let located = context.node.locate(path.path);
        if path.is_made() && located.existence == Existence::Absent && !located.is_writable() {
            let help = "use a folder below /var/lib or /opt: those are kept";
            found.add(
                path.place,
                format!("{} cannot be made: the root is read-only", path.path),
                help,
            );
        }
    }
}
