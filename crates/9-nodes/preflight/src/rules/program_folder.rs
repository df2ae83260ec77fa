//! `program-folder`: folders of programs and libraries that a pod may write to.

use crate::Existence;
use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "program-folder",
    title: "A pod installs programs on the read-only root",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPaths,
    source: "https://github.com/nestybox/sysbox/issues/588",
    reason: "Pods that mount /usr/bin, /usr/local/bin or /usr/lib for writing put programs there for the node. The root is read-only: the copy \
             fails, and with it the pod, as a rule.",
    examples: &[
        RuleExample::host_path("/usr/bin"),
        RuleExample::host_path("/usr/lib/systemd/system"),
        RuleExample::host_path("/sbin"),
    ],
    counter_examples: &[
        RuleExample::read_path("/usr/bin"),
        RuleExample::host_path("/opt/cni/bin"),
        RuleExample::host_path("/usr/lib/modules"),
        RuleExample::host_path("/usr/local/bin")
            .on(&[FactChange::NoPath("/usr/local"), FactChange::MemoryAt("/usr/local")]),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths().into_iter().filter(|path| path.is_written) {
        let located = context.node.locate(path.path);
        let of_others = ["/usr/lib/modules", "/usr/src", "/usr/share", "/usr/include"];
        let is_of_programs = crate::facts::is_below(&located.path, "/usr")
            && !of_others
                .iter()
                .any(|folder| crate::facts::is_below(&located.path, folder));
        if is_of_programs && located.existence == Existence::Directory && !located.is_writable() {
            let help = "programs for the kubelet and for containerd: /opt/cni/bin (CNI) and other folders below /opt; others run in the pod";
            found.add(
                path.place,
                format!("{} cannot be written to: the root is read-only", path.path),
                help,
            );
        }
    }
}
