//! `node-configuration`: jobs, units and rules that a pod leaves for daemons of the node.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "node-configuration",
    title: "A pod leaves jobs or settings on the node that nobody reads, or that are gone after a boot",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPaths,
    source: "https://github.com/jacobsalmela/kube-ssm-agent/issues/17",
    reason: "There is no cron and no sudo; units, udev rules, sysctls and module lists in /etc are in memory, and whoever reads them has read \
             them before the pod starts.",
    examples: &[
        RuleExample::host_path("/etc/cron.d"),
        RuleExample::host_path("/etc/systemd/system"),
        RuleExample::host_path("/etc/modules-load.d"),
        RuleExample::host_path("/etc/sudoers.d"),
    ],
    counter_examples: &[
        RuleExample::read_path("/etc/systemd/system"),
        RuleExample::host_path("/etc/cni/net.d"),
    ],
    check,
};

/// Folders, with what helps.
const FOLDERS: [(&str, &str); 9] = [
    (
        "/etc/cron.d",
        "use a CronJob, or a sidecar that sleeps between its runs",
    ),
    (
        "/etc/cron.daily",
        "use a CronJob, or a sidecar that sleeps between its runs",
    ),
    (
        "/etc/cron.hourly",
        "use a CronJob, or a sidecar that sleeps between its runs",
    ),
    (
        "/var/spool/cron",
        "use a CronJob, or a sidecar that sleeps between its runs",
    ),
    ("/etc/sudoers.d", "nobody logs in to a node: drop it"),
    (
        "/etc/systemd",
        "run the program in the pod; units of the node come from the image",
    ),
    ("/etc/udev", "put the rule into a package of the image"),
    (
        "/etc/sysctl.d",
        "name sysctls in the NodeConfig (`sysctls`), or set them from the pod with `sysctl -w`",
    ),
    (
        "/etc/modules-load.d",
        "modules are loaded when they are needed; load others from the pod with `modprobe`",
    ),
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths().into_iter().filter(|path| path.is_written) {
        let folder = FOLDERS
            .iter()
            .find(|(folder, _)| crate::facts::is_below(path.path, folder));
        let Some((folder, help)) = folder else { continue };
        let message = match context.node.locate(path.path).storage {
            crate::Storage::State => format!("nothing on the node reads {folder}"),
            _ => format!("{folder} is as in the image again after a boot"),
        };
        found.add(path.place, message, *help);
    }
}
