//! `cgroup-v1-path`: paths of control groups of version 1.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "cgroup-v1-path",
    title: "A pod reads control groups of version 1",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPaths,
    source: "https://kubernetes.io/docs/concepts/architecture/cgroups/",
    reason: "Nodes mount version 2 only: one tree at /sys/fs/cgroup, without the folders memory, cpu, cpuacct and their like.",
    examples: &[
        RuleExample::read_path("/sys/fs/cgroup/memory"),
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      command: [sh, -c, 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes']",
        ),
    ],
    counter_examples: &[
        RuleExample::read_path("/sys/fs/cgroup"),
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      command: [cat, /sys/fs/cgroup/memory.max]",
        ),
    ],
    check,
};

/// Controllers that have folders of their own in version 1.
const CONTROLLERS: [&str; 8] = [
    "blkio",
    "cpu",
    "cpu,cpuacct",
    "cpuacct",
    "cpuset",
    "devices",
    "memory",
    "pids",
];

fn check(subject: &Subject<'_>, _: &Context<'_>, found: &mut Found<'_>) {
    let help = "read the files of version 2 (memory.max, cpu.max, memory.current); newer versions of agents do";
    let is_v1 = |path: &str| {
        let below = path.split_once("/sys/fs/cgroup/").map(|(_, below)| below)?;
        let controller = below.split(['/', ' ', '"', '\'', '\n']).next()?;
        CONTROLLERS
            .contains(&controller)
            .then(|| format!("/sys/fs/cgroup/{controller}"))
    };
    for path in subject.host_paths() {
        if let Some(folder) = is_v1(path.path) {
            found.add(
                path.place,
                format!("control groups are of version 2: there is no {folder}"),
                help,
            );
        }
    }
    for word in subject.pod().into_iter().flat_map(|pod| pod.words()) {
        if let Some(folder) = is_v1(&word.value) {
            found.add(
                &word.place,
                format!("control groups are of version 2: there is no {folder}"),
                help,
            );
        }
    }
}
