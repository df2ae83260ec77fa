//! `tolerates-all`: DaemonSets that run on every node.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "tolerates-all",
    title: "A DaemonSet tolerates all taints, so that a taint does not keep it from new nodes",
    verdict: WorkloadVerdict::Note,
    topic: RuleTopic::Scheduling,
    source: "https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/",
    reason: "Who tries a node with a taint of its own first will see this DaemonSet there all the same. If something else is reported about it, \
             a node selector keeps it away.",
    examples: &[RuleExample::objects(
        "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\nspec:\n  template:\n    spec:\n      \
         tolerations: [{operator: Exists}]\n      containers: [{name: main, image: example}]\n",
    )],
    counter_examples: &[
        RuleExample::objects(
            "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\nspec:\n  template:\n    spec:\n      \
             tolerations: [{operator: Exists, effect: NoExecute}, {key: node.kubernetes.io/not-ready, operator: Exists}]\n      \
             containers: [{name: main, image: example}]\n",
        ),
        RuleExample::pod("  tolerations: [{operator: Exists}]\n  containers: [{name: main, image: example}]"),
    ],
    check,
};

fn check(subject: &Subject<'_>, _: &Context<'_>, found: &mut Found<'_>) {
    let place = subject.pod().and_then(|pod| pod.tolerates_all.as_ref());
    if let Some(place) = place.filter(|_| subject.object.id.kind == "DaemonSet") {
        let help = "nothing to do if it may run there; otherwise exclude nodes by a label and `nodeAffinity`";
        found.add(place, "it runs on nodes with any taint", help);
    }
}
