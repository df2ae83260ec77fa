//! `host-path-missing`: paths that have to be there, and are not.

use crate::Existence;
use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "host-path-missing",
    title: "A path that has to exist does not",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPaths,
    source: "https://github.com/DataDog/helm-charts/issues/1957",
    reason: "With the types File, Directory, Socket and the devices, the kubelet checks the path before it starts the pod, which waits in \
             ContainerCreating otherwise. Looked up in the tree of the image, with all links followed, and with what is made at boot.",
    examples: &[
        RuleExample::typed_path("/etc/multipath.conf", "File"),
        RuleExample::typed_path("/usr/share/example", "Directory"),
        RuleExample::typed_path("/usr/bin/mount", "Directory"),
    ],
    counter_examples: &[
        RuleExample::typed_path("/etc/hosts", "File"),
        RuleExample::typed_path("/lib/modules", "Directory"),
        RuleExample::typed_path("/opt/cni/bin", "Directory"),
        RuleExample::typed_path("/etc/multipath.conf", "FileOrCreate"),
        RuleExample::typed_path("/etc/multipath.conf", "File").on(&[FactChange::File("/etc/multipath.conf")]),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths() {
        let existence = context.node.locate(path.path).existence;
        let message = match (path.kind, existence) {
            ("File" | "Directory" | "Socket" | "CharDevice" | "BlockDevice", Existence::Absent) => {
                format!("{} does not exist", path.path)
            }
            ("Directory" | "DirectoryOrCreate", Existence::File) => format!("{} is a file, no directory", path.path),
            ("File" | "FileOrCreate" | "Socket", Existence::Directory) => format!("{} is a directory", path.path),
            _ => continue,
        };
        let help = "drop the volume if the chart has a switch for it; what the pod itself writes belongs below /var";
        found.add(path.place, message, help);
    }
}
