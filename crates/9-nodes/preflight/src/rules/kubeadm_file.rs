//! `kubeadm-file`: files that kubeadm writes on its nodes.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "kubeadm-file",
    title: "A pod reads files that kubeadm or a cloud writes on its nodes",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPaths,
    source: "https://github.com/DataDog/helm-charts/issues/1957",
    reason: "A node that joins by its NodeConfig has the kubelet's configuration and the cluster's certificate authority in /run/basalt, \
             and static pods of other nodes stay there. Scanners that compare files with a benchmark, and agents that borrow the kubelet's \
             certificates, find nothing.",
    examples: &[
        RuleExample::read_path("/var/lib/kubelet/config.yaml"),
        RuleExample::read_path("/etc/kubernetes/pki"),
        RuleExample::typed_path("/etc/kubernetes/certs/kubeletserver.crt", "File"),
    ],
    counter_examples: &[
        RuleExample::read_path("/etc/kubernetes/manifests"),
        RuleExample::read_path("/var/lib/kubelet/pki"),
    ],
    check,
};

/// Files and folders of kubeadm, of cloud providers' nodes, and of package `kubelet` of Debian and RPM distributions.
const PATHS: [&str; 9] = [
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/azure.json",
    "/etc/kubernetes/bootstrap-kubelet.conf",
    "/etc/kubernetes/certs",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/pki",
    "/etc/systemd/system/kubelet.service.d",
    "/var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/kubeconfig.yaml",
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths() {
        let is_one = PATHS.iter().any(|known| crate::facts::is_below(path.path, known));
        if is_one && !context.node.locate(path.path).is_there() {
            let help = "read the kubelet's configuration from the API (`/api/v1/nodes/NAME/proxy/configz`), and certificate authorities \
                        from the ConfigMap kube-root-ca.crt";
            found.add(
                path.place,
                format!("a node that joined by a NodeConfig has no {}", path.path),
                help,
            );
        }
    }
}
