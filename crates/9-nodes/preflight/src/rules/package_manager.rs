//! `package-manager`: installation of packages on the node.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "package-manager",
    title: "A pod installs packages on the node",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPrograms,
    source: "https://github.com/informatics-lab/s3-fuse-flex-volume/issues/3",
    reason: "DaemonSets that prepare nodes run apt-get, yum or zypper behind nsenter or chroot. The node has none, and its root cannot be \
             written to.",
    examples: &[
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - name: main\n      image: example\n      securityContext: {privileged: true}\n      \
             command: [nsenter, --target, '1', --mount, --, sh, -c, 'apt-get update && apt-get install -y open-iscsi']",
        ),
        RuleExample::objects(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: scripts}\ndata:\n  prepare.sh: |\n    chroot /host yum -y install nfs-utils\n",
        ),
    ],
    counter_examples: &[RuleExample::pod(
        "  containers:\n    - name: main\n      image: ubuntu\n      command: [sh, -c, 'apt-get update && apt-get install -y curl']",
    )],
    check,
};

/// Package managers.
pub(super) const PROGRAMS: [&str; 10] = [
    "apk",
    "apt",
    "apt-get",
    "dnf",
    "dpkg",
    "rpm",
    "rpm-ostree",
    "snap",
    "yum",
    "zypper",
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for call in subject.calls_on_node() {
        if PROGRAMS.contains(&call.name()) && !context.node.has_program(&call.program) {
            let help = "put what it installs into the image (`packages:` of a definition in distro/images), and drop this step";
            found.add(&call.place, format!("the node has no {}", call.name()), help);
        }
    }
}
