//! `distribution-file`: files by which other distributions are known, and databases of their packages.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "distribution-file",
    title: "A pod reads files of another distribution",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPaths,
    source: "https://github.com/falcosecurity/falco/issues/473",
    reason: "Agents find out what a node is from /etc/lsb-release, /etc/redhat-release and their like, and what is installed from the \
             database of dpkg or rpm. The node says what it is in /etc/os-release, and has its packages in /usr/lib/sysimage/rpm, for scanners.",
    examples: &[
        RuleExample::read_path("/etc/lsb-release"),
        RuleExample::read_path("/var/lib/dpkg"),
        RuleExample::host_path("/etc/yum.repos.d"),
    ],
    counter_examples: &[
        // The rule `host-path-missing` reports it: the pod does not start.
        RuleExample::typed_path("/etc/redhat-release", "File"),
        RuleExample::read_path("/etc/os-release"),
        RuleExample::read_path("/usr/lib/os-release"),
    ],
    check,
};

const PATHS: [&str; 18] = [
    "/etc/apk",
    "/etc/apt",
    "/etc/default",
    "/etc/debian_version",
    "/etc/lsb-release",
    "/etc/netplan",
    "/etc/network/interfaces",
    "/etc/redhat-release",
    "/etc/sysconfig",
    "/etc/system-release",
    "/etc/SuSE-release",
    "/etc/yum.repos.d",
    "/snap",
    "/var/lib/apt",
    "/var/lib/cloud",
    "/var/lib/dpkg",
    "/var/lib/rpm",
    "/var/lib/snapd",
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths() {
        let is_one = PATHS.iter().any(|known| crate::facts::is_below(path.path, known));
        if is_one && !context.node.locate(path.path).is_there() {
            let help = "read /etc/os-release; drop the volume if the chart has a switch for it, it is needed on that distribution only";
            found.add(
                path.place,
                format!("{} is a file of another distribution", path.path),
                help,
            );
        }
    }
}
