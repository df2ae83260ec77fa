//! `boot-folder`: the kernel's files in /boot.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "boot-folder",
    title: "A pod looks for the kernel's files in /boot, which is empty",
    verdict: WorkloadVerdict::Note,
    topic: RuleTopic::HostPaths,
    source: "https://uapi-group.org/specifications/specs/unified_kernel_image/",
    reason: "The kernel is one file with its command line, in the EFI system partition, which is not mounted as a rule. Who looks for \
             /boot/config-* finds the same in /proc/config.gz, as most programs do.",
    examples: &[RuleExample::read_path("/boot")],
    counter_examples: &[
        RuleExample::read_path("/proc"),
        RuleExample::read_path("/boot").on(&[FactChange::File("/boot/config-6.12")]),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths() {
        let has_files = context.node.tree.below("/boot").nth(1).is_some();
        if crate::facts::is_below(path.path, "/boot") && !has_files {
            found.add(
                path.place,
                "/boot is empty",
                "read /proc/config.gz for the kernel's configuration",
            );
        }
    }
}
