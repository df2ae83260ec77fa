//! `static-pod`: pods that a kubelet runs from a file.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "static-pod",
    title: "A static pod stays with its node",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::Scheduling,
    source: "https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/",
    reason: "The API server shows static pods, and has nothing to make them from: their files are on the node, and a new one does not have them. \
             Only clusters show this, by the annotation of mirror pods.",
    examples: &[RuleExample::objects(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: haproxy-worker-1\n  annotations: {kubernetes.io/config.mirror: 0f3a}\nspec:\n  \
         containers: [{name: main, image: haproxy}]\n",
    )],
    counter_examples: &[
        RuleExample::pod("  containers: [{name: main, image: haproxy}]"),
        RuleExample::objects(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: kube-apiserver-control-1\n  labels: {tier: control-plane}\n  \
             annotations: {kubernetes.io/config.mirror: 0f3a}\nspec:\n  containers: [{name: main, image: kube-apiserver}]\n",
        ),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let metadata = subject.object.root().get("metadata");
    let mirror = metadata
        .as_ref()
        .and_then(|field| field.at(&["annotations", "kubernetes.io/config.mirror"]));
    // kubeadm's own stay with the control plane.
    let tier = metadata.as_ref().and_then(|field| field.at(&["labels", "tier"]));
    let is_control_plane = tier.and_then(|tier| tier.text()) == Some("control-plane");
    if let Some(mirror) = mirror.filter(|_| subject.object.id.kind == "Pod" && !is_control_plane) {
        let help = format!(
            "make it a DaemonSet, or write its file to {} of the new node",
            context.node.kubelet.static_pods
        );
        found.add(&mirror.place(), "its file is on the node of before", help);
    }
}
