//! `kubelet-root`: the kubelet's folder at the places of other distributions of Kubernetes.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "kubelet-root",
    title: "A driver registers with a kubelet that has another folder",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPaths,
    source: "https://kubernetes-csi.github.io/docs/deploying.html",
    reason: "CSI drivers and device plug-ins put their sockets below the kubelet's folder, and mount volumes there. In k0s, MicroK8s and \
             others it is elsewhere: the driver starts, and the kubelet never sees it.",
    examples: &[
        RuleExample::host_path("/var/snap/microk8s/common/var/lib/kubelet"),
        RuleExample::pod(
            "  containers:\n    - name: registrar\n      image: example\n      \
             args: ['--kubelet-registration-path=/var/lib/k0s/kubelet/plugins/csi.example/csi.sock']",
        ),
    ],
    counter_examples: &[
        RuleExample::host_path("/var/lib/kubelet/plugins_registry"),
        RuleExample::pod(
            "  containers:\n    - name: registrar\n      image: example\n      \
             args: ['--kubelet-registration-path=/var/lib/kubelet/plugins/csi.example/csi.sock']",
        ),
    ],
    check,
};

/// Folders of kubelets: MicroK8s, k0s, k3s before 2020, VMware's and IBM's distributions.
const FOLDERS: [&str; 5] = [
    "/var/snap/microk8s/common/var/lib/kubelet",
    "/var/lib/k0s/kubelet",
    "/var/lib/rancher/k3s/agent/kubelet",
    "/var/vcap/data/kubelet",
    "/var/data/kubelet",
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let root = &context.node.kubelet.root;
    let elsewhere = |path: &str| {
        FOLDERS
            .iter()
            .any(|folder| crate::facts::is_below(path, folder) && folder != root)
    };
    let help = || format!("set the chart's folder of the kubelet to {root}");
    for path in subject.host_paths().into_iter().filter(|path| elsewhere(path.path)) {
        found.add(
            path.place,
            format!("the kubelet's folder is {root}, not {}", path.path),
            help(),
        );
    }
    for word in subject.pod().into_iter().flat_map(|pod| pod.words()) {
        let path = word
            .value
            .split_once('=')
            .map_or(word.value.as_str(), |(_, value)| value);
        if elsewhere(path) {
            found.add(
                &word.place,
                format!("the kubelet's folder is {root}, not that of {path}"),
                help(),
            );
        }
    }
}
