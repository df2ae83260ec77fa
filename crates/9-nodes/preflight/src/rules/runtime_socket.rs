//! `runtime-socket`: sockets of other container runtimes, and of containerd elsewhere.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "runtime-socket",
    title: "A pod looks for the container runtime where it is not",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPaths,
    source: "https://github.com/kubescape/kubescape/issues/1739",
    reason: "k3s, MicroK8s, k0s and others have containerd's socket at places of their own, CRI-O has another socket. Folders of these \
             are found, too, and addresses in arguments and in the environment.",
    examples: &[
        RuleExample::typed_path("/run/k3s/containerd/containerd.sock", "Socket"),
        RuleExample::host_path("/var/snap/microk8s/common/run"),
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      args: ['--cri=unix:///var/run/crio/crio.sock']",
        ),
    ],
    counter_examples: &[
        RuleExample::host_path("/run/containerd"),
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      args: ['--cri=unix:///var/run/containerd/containerd.sock']",
        ),
    ],
    check,
};

/// Folders of other runtimes, and of containerd in other distributions of Kubernetes.
const FOLDERS: [&str; 6] = [
    "/run/crio",
    "/run/k0s",
    "/run/k3s",
    "/run/podman",
    "/var/snap/microk8s/common/run",
    "/run/docker/containerd",
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let help = || format!("the socket of the CRI is {}", context.node.containerd.socket);
    for path in subject.host_paths() {
        let located = context.node.locate(path.path);
        if FOLDERS
            .iter()
            .any(|folder| crate::facts::is_below(&located.path, folder))
            && !located.is_there()
        {
            found.add(path.place, format!("no container runtime is at {}", path.path), help());
        }
    }
    for word in subject.pod().into_iter().flat_map(|pod| pod.words()) {
        let Some((_, address)) = word.value.split_once("unix://") else {
            continue;
        };
        let address = address.split([',', ' ', '"', '\'']).next().unwrap_or_default();
        let real = context.node.locate(address).path;
        if FOLDERS.iter().any(|folder| crate::facts::is_below(&real, folder)) {
            found.add(&word.place, format!("no container runtime is at {address}"), help());
        }
    }
}
