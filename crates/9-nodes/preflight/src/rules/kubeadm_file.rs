//! `kubeadm-file`: files of kubeadm, clouds and packages on other nodes.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "kubeadm-file",
    title: "A pod reads files that a control plane, a cloud or a package has on other nodes",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPaths,
    source: "https://github.com/DataDog/helm-charts/issues/1957",
    reason: "A node that joined has what `kubeadm join` leaves: /etc/kubernetes/pki/ca.crt, /etc/kubernetes/kubelet.conf, and config.yaml, \
             instance-config.yaml and kubeadm-flags.env in /var/lib/kubelet. With `ca` and `kubeletConfig: fromNodeConfig` in its NodeConfig it \
             has not even those. Scanners that compare other files with a benchmark, and agents that borrow certificates of a control \
             plane, find nothing.",
    examples: &[
        RuleExample::typed_path("/etc/kubernetes/certs/kubeletserver.crt", "File"),
        RuleExample::read_path("/etc/kubernetes/pki/etcd"),
        RuleExample::read_path("/etc/kubernetes/pki").on(&[FactChange::NoKubeadmFiles]),
        RuleExample::typed_path("/var/lib/kubelet/config.yaml", "File").on(&[FactChange::NoKubeadmFiles]),
        RuleExample::read_path("/var/lib/kubelet/kubeadm-flags.env").on(&[FactChange::NoKubeadmFiles]),
    ],
    counter_examples: &[
        RuleExample::read_path("/etc/kubernetes/manifests"),
        RuleExample::read_path("/var/lib/kubelet/pki"),
        RuleExample::typed_path("/etc/kubernetes/pki", "Directory"),
        RuleExample::typed_path("/etc/kubernetes/pki/ca.crt", "File"),
        RuleExample::read_path("/etc/kubernetes/kubelet.conf"),
        RuleExample::typed_path("/var/lib/kubelet/config.yaml", "File"),
    ],
    check,
};

/// Files and folders of kubeadm, of cloud providers' nodes, and of package `kubelet` of Debian and RPM distributions.
const PATHS: [&str; 11] = [
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/azure.json",
    "/etc/kubernetes/bootstrap-kubelet.conf",
    "/etc/kubernetes/certs",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/pki",
    "/etc/systemd/system/kubelet.service.d",
    "/var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/instance-config.yaml",
    "/var/lib/kubelet/kubeadm-flags.env",
    "/var/lib/kubelet/kubeconfig.yaml",
];
/// Other places of what such files hold.
const FROM_API: &str = "read the kubelet's configuration from the API (`/api/v1/nodes/NAME/proxy/configz`), and certificate authorities \
                        from the ConfigMap kube-root-ca.crt";

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths() {
        let is_one = PATHS.iter().any(|known| crate::facts::is_below(path.path, known));
        if !is_one || context.node.locate(path.path).is_there() {
            continue;
        }
        let (which, help) = match context.node.is_left_by_kubeadm(path.path) {
            true => (
                "a node whose NodeConfig has `kubeletConfig: fromNodeConfig`",
                format!("let it be `fromCluster`, or {FROM_API}"),
            ),
            false => ("a node that joined", FROM_API.to_owned()),
        };
        found.add(path.place, format!("{which} has no {}", path.path), help);
    }
}
