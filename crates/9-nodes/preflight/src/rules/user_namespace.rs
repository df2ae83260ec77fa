//! `user-namespace`: host paths in user namespaces.

use crate::Storage;
use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "user-namespace",
    title: "A pod in a user namespace mounts a path of an overlay",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Confinement,
    source: "https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/",
    reason: "With `hostUsers: false`, volumes are mounted with mapped ids, which an overlay does not support as the upper file system: /etc of a \
             node is one. Paths below /var, /run, /tmp and /usr work.",
    examples: &[RuleExample::pod(
        "  hostUsers: false\n  containers: [{name: main, image: example}]\n  volumes:\n    - name: hosts\n      hostPath: {path: /etc/ssl/certs}",
    )],
    counter_examples: &[
        RuleExample::pod(
            "  hostUsers: false\n  containers: [{name: main, image: example}]\n  volumes:\n    - name: logs\n      hostPath: {path: /var/log/pods}",
        ),
        RuleExample::pod(
            "  containers: [{name: main, image: example}]\n  volumes:\n    - name: hosts\n      hostPath: {path: /etc/ssl/certs}",
        ),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    if subject.pod().and_then(|pod| pod.host_users) != Some(false) {
        return;
    }
    for path in subject.host_paths() {
        if context.node.locate(path.path).storage == Storage::Overlay {
            let message = format!(
                "{} is on an overlay, which cannot be mounted in a user namespace",
                path.path
            );
            found.add(
                path.place,
                message,
                "take the file from a ConfigMap, or from below /usr",
            );
        }
    }
}
