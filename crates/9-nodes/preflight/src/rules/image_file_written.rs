//! `image-file-written`: files and folders of the image in /etc that a pod may write to.

use crate::Storage;
use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "image-file-written",
    title: "A path of the image in /etc is mounted for writing",
    verdict: WorkloadVerdict::Note,
    topic: RuleTopic::HostPaths,
    source: "https://kubernetes.io/docs/concepts/storage/volumes/#hostpath",
    reason: "Many pods mount /etc/ssl/certs or /etc/hosts without readOnly and only read. What a pod does write there counts until the next boot; \
             then the file is that of the image again.",
    examples: &[
        RuleExample::host_path("/etc/ssl/certs"),
        RuleExample::host_path("/etc/hosts"),
    ],
    counter_examples: &[
        RuleExample::read_path("/etc/ssl/certs"),
        // The rule `host-path-in-memory` reports it.
        RuleExample::host_path("/etc/hpe-storage"),
        RuleExample::host_path("/etc/cni/net.d"),
        RuleExample::host_path("/lib/modules"),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths().into_iter().filter(|path| path.is_written) {
        let located = context.node.locate(path.path);
        if located.storage == Storage::Overlay && located.is_there() {
            let help = "add readOnly: true to its volumeMounts if it only reads";
            let message = format!("what a pod writes to {} is gone after a boot", path.path);
            found.add(path.place, message, help);
        }
    }
}
