//! `host-resolver`: the node's /etc/resolv.conf in pods.

use crate::Existence;
use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "host-resolver",
    title: "A pod takes a resolv.conf of the node that names a resolver on loopback",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPaths,
    source: "https://github.com/kubernetes/kubeadm/issues/1162",
    reason: "systemd-resolved's stub is on 127.0.0.53, which pods outside of the node's network do not reach. The node's /etc/resolv.conf names \
             the servers themselves; where it names the stub, as on Ubuntu, or is missing, this is found. With `dnsPolicy: Default` the kubelet \
             gives pods the servers.",
    examples: &[
        RuleExample::read_path("/run/systemd/resolve/stub-resolv.conf"),
        RuleExample::read_path("/etc/resolv.conf").on(&[FactChange::NoPath("/etc/resolv.conf")]),
    ],
    counter_examples: &[
        RuleExample::read_path("/etc/resolv.conf"),
        RuleExample::read_path("/run/systemd/resolve/resolv.conf"),
        RuleExample::pod("  dnsPolicy: Default\n  containers: [{name: main, image: example}]"),
        RuleExample::pod(
            "  hostNetwork: true\n  containers: [{name: main, image: example}]\n  volumes:\n    - name: resolver\n      \
             hostPath: {path: /run/systemd/resolve/stub-resolv.conf}",
        ),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let is_on_network = subject.pod().is_some_and(|pod| pod.host_network);
    for path in subject.host_paths() {
        let located = context.node.locate(path.path);
        let message = if located.path == "/run/systemd/resolve/stub-resolv.conf" {
            format!("{} names a resolver on the node's loopback", path.path)
        } else if path.path == "/etc/resolv.conf" && located.existence == Existence::Absent {
            "the node has no /etc/resolv.conf".to_owned()
        } else {
            continue;
        };
        if !is_on_network {
            let help = format!(
                "use `dnsPolicy: Default`, which gives the pod {}",
                context.node.kubelet.resolv_conf
            );
            found.add(path.place, message, help);
        }
    }
}
