//! `host-path-unmade`: paths that somebody else has to make.

use crate::Existence;
use crate::Storage;
use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "host-path-unmade",
    title: "A path has to exist, and neither the node nor these objects make it",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPaths,
    source: "https://kubernetes.io/docs/concepts/storage/volumes/#hostpath-volume-types",
    reason: "On a writable file system a path can be made by anybody: by a person or a script on the nodes of before, which the new node does \
             not have. Paths that a volume among these objects makes (no type, or DirectoryOrCreate) are known.",
    examples: &[
        RuleExample::typed_path("/var/lib/example", "Directory"),
        RuleExample::typed_path("/opt/example/config.json", "File"),
    ],
    counter_examples: &[
        RuleExample::typed_path("/var/lib/example", "DirectoryOrCreate"),
        RuleExample::typed_path("/var/lib/kubelet/pods", "Directory"),
        RuleExample::typed_path("/etc/kubernetes/pki", "Directory"),
        RuleExample::typed_path("/var/lib/kubelet/kubeadm-flags.env", "File"),
        RuleExample::pod(
            "  containers:\n    - {name: main, image: example}\n  volumes:\n    - name: one\n      \
             hostPath: {path: /var/lib/example, type: DirectoryOrCreate}\n    - name: other\n      \
             hostPath: {path: /var/lib/example, type: Directory}",
        ),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths() {
        let located = context.node.locate(path.path);
        let is_open =
            located.existence == Existence::Unknown && matches!(located.storage, Storage::State | Storage::Memory);
        let is_made = || {
            context
                .made
                .iter()
                .any(|made| crate::facts::is_below(made, &located.path) || crate::facts::is_below(&located.path, made))
        };
        if is_open && !path.is_made() && !is_made() {
            let help = "use the type DirectoryOrCreate, or say what makes it on the new node";
            found.add(path.place, format!("nothing makes {}", path.path), help);
        }
    }
}
