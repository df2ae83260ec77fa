//! `node-label`: labels that a node has only when somebody has set them.

use basalt_node_config::name::LabelKey;

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "node-label",
    title: "A pod is bound to nodes by a label that no node gives itself",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::Scheduling,
    source: "https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction",
    reason: "Of the labels in Kubernetes' own domains, a node may set a few only, and a NodeConfig no others. Roles \
             (`node-role.kubernetes.io/worker`) and what an installer or a person has put on the nodes of before are missing on a new one: \
             the pod has no place there until somebody sets them.",
    examples: &[
        RuleExample::pod(
            "  nodeSelector: {node-role.kubernetes.io/worker: ''}\n  containers: [{name: main, image: example}]",
        ),
        RuleExample::pod(
            "  affinity:\n    nodeAffinity:\n      requiredDuringSchedulingIgnoredDuringExecution:\n        nodeSelectorTerms:\n          \
             - matchExpressions: [{key: kops.k8s.io/instancegroup, operator: In, values: [nodes]}]\n  \
             containers: [{name: main, image: example}]",
        ),
        RuleExample::pod(
            "  nodeSelector: {team.node-restriction.kubernetes.io/pool: payments}\n  containers: [{name: main, image: example}]",
        ),
    ],
    counter_examples: &[
        RuleExample::pod(
            "  nodeSelector: {kubernetes.io/os: linux, beta.kubernetes.io/arch: amd64, kubernetes.io/hostname: worker-1}\n  \
             containers: [{name: main, image: example}]",
        ),
        RuleExample::pod(
            "  nodeSelector: {topology.kubernetes.io/zone: a, node.kubernetes.io/pool: web, example.com/disk: ssd, tier: web}\n  \
             containers: [{name: main, image: example}]",
        ),
        // It is for the control plane, and stays there.
        RuleExample::pod(
            "  nodeSelector: {node-role.kubernetes.io/control-plane: ''}\n  containers: [{name: main, image: example}]",
        ),
        RuleExample::pod(
            "  affinity:\n    nodeAffinity:\n      requiredDuringSchedulingIgnoredDuringExecution:\n        nodeSelectorTerms:\n          \
             - matchExpressions: [{key: node-role.kubernetes.io/edge, operator: DoesNotExist}]\n  \
             containers: [{name: main, image: example}]",
        ),
    ],
    check,
};

/// Roles of nodes that no Basalt node takes the place of.
const OF_CONTROL_PLANE: [&str; 2] = [
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
];

fn check(subject: &Subject<'_>, _: &Context<'_>, found: &mut Found<'_>) {
    for label in subject.pod().into_iter().flat_map(|pod| &pod.labels) {
        let key = label.key.as_str();
        // Keys that are none are the API server's to refuse.
        let is_forbidden = key.parse::<LabelKey>().is_ok_and(|key| !key.kubelet_may_set());
        if !is_forbidden || OF_CONTROL_PLANE.contains(&key) {
            continue;
        }
        let value = label.values.first().map(String::as_str).unwrap_or_default();
        let help = format!(
            "label the node when it has joined (`kubectl label node NAME {key}={value}`), or select by a label of its NodeConfig (`labels`)"
        );
        found.add(&label.place, format!("no node gives itself the label {key}"), help);
    }
}
