//! `host-port`: ports that programs of the node listen on.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "host-port",
    title: "A pod wants a port on which a program of the node listens",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::Scheduling,
    source: "https://kubernetes.io/docs/concepts/configuration/overview/",
    reason: "Pods on the node's network fail to listen on a port in use; a hostPort is rewritten in front of the program. Ports of the node are \
             those of socket units in the image, of the kubelet and of the resolver.",
    examples: &[
        RuleExample::pod(
            "  hostNetwork: true\n  containers:\n    - {name: main, image: example, ports: [{containerPort: 10250}]}",
        ),
        RuleExample::pod(
            "  containers:\n    - {name: main, image: example, ports: [{containerPort: 80, hostPort: 10239}]}",
        ),
    ],
    counter_examples: &[
        RuleExample::pod("  containers:\n    - {name: main, image: example, ports: [{containerPort: 10250}]}"),
        RuleExample::pod(
            "  hostNetwork: true\n  containers:\n    - {name: main, image: example, ports: [{containerPort: 9100}]}",
        ),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let Some(pod) = subject.pod() else { return };
    for container in &pod.containers {
        let on_node = container.container_ports.iter().filter(|_| pod.host_network);
        for (port, place) in container.host_ports.iter().chain(on_node) {
            if let Some(program) = context.node.ports.get(port) {
                let help = "choose another port, or listen on one address other than the program's";
                found.add(place, format!("port {port} is used by {program}"), help);
            }
        }
    }
}
