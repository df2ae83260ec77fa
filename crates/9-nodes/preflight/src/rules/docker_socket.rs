//! `docker-socket`: sockets of Docker and of its adapters for Kubernetes.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "docker-socket",
    title: "A pod talks to Docker, which the node does not have",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPaths,
    source: "https://kubernetes.io/docs/tasks/administer-cluster/migrating-from-dockershim/check-if-dockershim-removal-affects-you/",
    reason: "Nodes run containerd. With type Socket or File the pod does not start; otherwise the kubelet makes a folder of that name, \
             and the program fails to connect.",
    examples: &[
        RuleExample::typed_path("/var/run/docker.sock", "Socket"),
        RuleExample::host_path("/run/dockershim.sock"),
    ],
    counter_examples: &[
        RuleExample::typed_path("/run/containerd/containerd.sock", "Socket"),
        RuleExample::typed_path("/var/run/docker.sock", "Socket").on(&[FactChange::File("/run/docker.sock")]),
    ],
    check,
};

const SOCKETS: [&str; 4] = ["cri-dockerd.sock", "docker.sock", "dockershim.sock", "cri-docker.sock"];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths() {
        let name = path.path.rsplit('/').next().unwrap_or_default();
        if SOCKETS.contains(&name) && !context.node.locate(path.path).is_there() {
            let help = format!("use the CRI, at {}", context.node.containerd.socket);
            found.add(path.place, format!("there is no Docker, and no {}", path.path), help);
        }
    }
}
