//! `node-name`: pods that are bound to one node.

use crate::examine::{Context, Found, Subject};
use crate::place::Place;
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "node-name",
    title: "A workload is bound to one node by its name",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::Scheduling,
    source: "https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#nodename",
    reason: "A node that takes another's place has another name, unless its NodeConfig gives it that one. Pods that run already have a node, too: \
             they are not meant.",
    examples: &[
        RuleExample::objects(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      \
             nodeName: worker-1\n      containers: [{name: main, image: example}]\n",
        ),
        RuleExample::pod(
            "  nodeSelector: {kubernetes.io/hostname: worker-1}\n  containers: [{name: main, image: example}]",
        ),
    ],
    counter_examples: &[
        RuleExample::objects(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      \
             containers: [{name: main, image: example}]\n",
        ),
        RuleExample::pod("  nodeName: worker-1\n  containers: [{name: main, image: example}]"),
    ],
    check,
};

fn check(subject: &Subject<'_>, _: &Context<'_>, found: &mut Found<'_>) {
    let Some(pod) = subject.pod() else { return };
    let mut report = |name: &str, place: &Place| {
        let help = "give the new node that name (`hostname` of its NodeConfig), or select nodes by a label";
        found.add(place, format!("it runs on the node {name} only"), help);
    };
    if let Some(name) = pod.node_name.as_ref().filter(|_| subject.object.id.kind != "Pod") {
        report(&name.value, &name.place);
    }
    for label in pod.labels.iter().filter(|label| label.key == "kubernetes.io/hostname") {
        report(&label.values.join(" or "), &label.place);
    }
}
