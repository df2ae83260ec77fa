//! `host-path-in-memory`: paths of /etc that a pod makes.

use crate::Storage;
use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "host-path-in-memory",
    title: "What a pod makes in /etc is gone after a boot",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPaths,
    source: "https://github.com/hpe-storage/csi-driver/issues/379",
    reason: "/etc is an overlay in memory over the files of the image: a pod can write to it, and at the next boot everything is as in the \
             image. That is well where the pod writes at every start, and a loss where it keeps an identity or a state.",
    examples: &[
        RuleExample::host_path("/etc/hpe-storage"),
        RuleExample::host_path("/etc/origin/openvswitch"),
    ],
    counter_examples: &[
        RuleExample::host_path("/etc/cni/net.d"),
        RuleExample::host_path("/etc/kubernetes/example"),
        RuleExample::read_path("/etc/example"),
        // The rule `image-file-written` reports them.
        RuleExample::host_path("/etc/ssl/certs"),
        RuleExample::host_path("/etc/hosts"),
        RuleExample::host_path("/etc/ssl/certs/ca-certificates.crt"),
        RuleExample::host_path("/run/example"),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths().into_iter().filter(|path| path.is_written) {
        let located = context.node.locate(path.path);
        if located.storage == Storage::Overlay && !located.is_there() {
            let help = "use a folder below /var/lib for what has to last, or write it at every start of the pod";
            found.add(
                path.place,
                format!("{} is in memory: gone after a boot", path.path),
                help,
            );
        }
    }
}
