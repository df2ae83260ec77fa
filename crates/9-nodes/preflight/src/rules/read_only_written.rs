//! `read-only-written`: other paths of the read-only root that a pod may write to.

use crate::Existence;
use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "read-only-written",
    title: "A path of the read-only root is mounted for writing",
    verdict: WorkloadVerdict::Note,
    topic: RuleTopic::HostPaths,
    source: "https://github.com/siderolabs/talos/issues/10886",
    reason: "Many pods mount /lib/modules or / without readOnly and only read. Whoever does write gets `read-only file system`.",
    examples: &[RuleExample::host_path("/lib/modules"), RuleExample::host_path("/")],
    counter_examples: &[
        RuleExample::read_path("/lib/modules"),
        RuleExample::host_path("/var/lib/example"),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths().into_iter().filter(|path| path.is_written) {
        let located = context.node.locate(path.path);
        if !located.is_writable() && matches!(located.existence, Existence::Directory | Existence::File) {
            let help = "add readOnly: true to its volumeMounts if it only reads";
            found.add(path.place, format!("{} is read-only", path.path), help);
        }
    }
}
