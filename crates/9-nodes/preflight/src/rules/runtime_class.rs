//! `runtime-class`: runtimes besides runc.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "runtime-class",
    title: "A runtime is wanted that containerd of the node does not have",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Scheduling,
    source: "https://kubernetes.io/docs/concepts/containers/runtime-class/",
    reason: "Handlers of RuntimeClasses are runtimes in containerd's configuration. The node has runc; others (gVisor, Kata Containers, crun, \
             Wasm, NVIDIA's) come with an installer, whose file in /etc/containerd/conf.d has to be written at every boot, or with an image.",
    examples: &[
        RuleExample::objects(
            "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: gvisor}\nhandler: runsc\n",
        ),
        RuleExample::objects(
            "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: sandboxed}\nhandler: kata\n---\napiVersion: v1\nkind: Pod\n\
             metadata: {name: example}\nspec:\n  runtimeClassName: sandboxed\n  containers: [{name: main, image: example}]\n",
        ),
    ],
    counter_examples: &[
        RuleExample::objects(
            "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: plain}\nhandler: runc\n",
        ),
        RuleExample::objects(
            "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: plain}\nhandler: runc\n---\napiVersion: v1\nkind: Pod\n\
             metadata: {name: example}\nspec:\n  runtimeClassName: plain\n  containers: [{name: main, image: example}]\n",
        ),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let handlers = &context.node.containerd.handlers;
    let help = "keep it to other nodes (`scheduling.nodeSelector` of the RuntimeClass); for the runtime in the image, a package has to be written \
                (CONTRIBUTING.md, \"Add a package\")";
    if let Some(handler) = subject.handler().filter(|handler| !handlers.contains(&handler.value)) {
        found.add(
            &handler.place,
            format!("containerd has no runtime {}", handler.value),
            help,
        );
    }
    if let Some(class) = subject.pod().and_then(|pod| pod.runtime_class.as_ref()) {
        // Where the class is not among the objects, its handler mostly has its name.
        let handler = context
            .runtimes
            .get(class.value.as_str())
            .copied()
            .unwrap_or(&class.value);
        if !handlers.contains(handler) {
            found.add(&class.place, format!("containerd has no runtime {handler}"), help);
        }
    }
}
