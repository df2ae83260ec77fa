//! `ca-folder-empty`: folders for certificate authorities of one's own, which are made and empty.

use crate::examine::{Context, Found, Subject};
use crate::pod::HostPath;
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "ca-folder-empty",
    title: "A pod mounts a folder for one's own certificate authorities, which is empty",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPaths,
    source: "https://github.com/kubernetes/autoscaler/issues/2139",
    reason: "On Debian and Ubuntu, people put authorities into /usr/local/share/ca-certificates and run update-ca-certificates. The folder is made \
             for the pod, and nothing is in it: authorities of the NodeConfig are for image pulls.",
    examples: &[
        RuleExample::read_path("/usr/local/share/ca-certificates"),
        RuleExample::typed_path("/etc/ca-certificates", "DirectoryOrCreate"),
    ],
    counter_examples: &[
        RuleExample::read_path("/etc/ssl/certs"),
        // The rule `ca-bundle` reports it: nothing makes the folder.
        RuleExample::typed_path("/usr/local/share/ca-certificates", "Directory"),
        RuleExample::read_path("/usr/local/share/ca-certificates")
            .on(&[FactChange::File("/var/usrlocal/share/ca-certificates/example.crt")]),
    ],
    check,
};

/// Folders of Debian, and of those who followed it.
const FOLDERS: [&str; 3] = [
    "/etc/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/local/share/certs",
];

/// Returns `true` for such a folder that the kubelet makes for the pod.
pub(super) fn is_empty(path: &HostPath<'_>, context: &Context<'_>) -> bool {
    let located = context.node.locate(path.path);
    FOLDERS.contains(&path.path) && path.is_made() && !located.is_there() && located.is_writable()
}

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths() {
        if is_empty(&path, context) {
            let help = "authorities of one's own: mount them from a ConfigMap; for image pulls, name them in the NodeConfig (`caCertificates`)";
            found.add(path.place, format!("{} is empty on the node", path.path), help);
        }
    }
}
