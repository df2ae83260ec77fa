//! `os-label`: labels that tell the distribution of a node.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "os-label",
    title: "A pod is bound to nodes of another distribution",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Scheduling,
    source: "https://kubernetes-sigs.github.io/node-feature-discovery/stable/usage/features.html#system",
    reason: "Clouds and node-feature-discovery put the distribution into labels. A pod that requires one of another is never scheduled to the \
             node.",
    examples: &[
        RuleExample::pod(
            "  nodeSelector: {feature.node.kubernetes.io/system-os_release.ID: ubuntu}\n  containers: [{name: main, image: example}]",
        ),
        RuleExample::pod(
            "  affinity:\n    nodeAffinity:\n      requiredDuringSchedulingIgnoredDuringExecution:\n        nodeSelectorTerms:\n          \
             - matchExpressions: [{key: kubernetes.azure.com/os-sku, operator: In, values: [Ubuntu]}]\n  \
             containers: [{name: main, image: example}]",
        ),
    ],
    counter_examples: &[
        RuleExample::pod("  nodeSelector: {kubernetes.io/os: linux}\n  containers: [{name: main, image: example}]"),
        RuleExample::pod(
            "  nodeSelector: {feature.node.kubernetes.io/system-os_release.ID: basalt}\n  containers: [{name: main, image: example}]",
        ),
    ],
    check,
};

/// Labels of clouds and of other tools, besides those of node-feature-discovery.
const LABELS: [&str; 9] = [
    "bottlerocket.aws/updater-interface-version",
    "cloud.google.com/gke-os-distribution",
    "eks.amazonaws.com/nodegroup-image",
    "k3os.io/mode",
    "kubernetes.azure.com/os-sku",
    "kubernetes.azure.com/os-sku-effective",
    "kubernetes.azure.com/os-sku-requested",
    "node.kubernetes.io/os-distro",
    "node.openshift.io/os_id",
];
/// Beginning of node-feature-discovery's labels, which fields of /etc/os-release follow.
const OS_RELEASE: &str = "feature.node.kubernetes.io/system-os_release.";

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for label in subject.pod().into_iter().flat_map(|pod| &pod.labels) {
        let own = match label.key.strip_prefix(OS_RELEASE) {
            // Parts of the version are labels of their own.
            Some(field) if field.starts_with("VERSION_ID") => None,
            Some(field) => context.node.os_release.get(field),
            None if LABELS.contains(&label.key.as_str()) => None,
            None => continue,
        };
        let is_met = own.is_some_and(|own| label.values.is_empty() || label.values.contains(own));
        if !is_met {
            let wanted = label.values.join(" or ");
            let message = match own {
                Some(own) => format!("{} is {own} on the node, not {wanted}", label.key),
                None => format!("the node has no label {} with {wanted}", label.key),
            };
            let help = "select nodes by what the pod needs (a label of your own in the NodeConfig, `labels`), not by the distribution";
            found.add(&label.place, message.trim_end_matches(" with "), help);
        }
    }
}
