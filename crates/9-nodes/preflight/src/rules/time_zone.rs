//! `time-zone`: the node's time zone.

use crate::examine::{Context, Found, Subject};
use crate::facts::TreeEntry;
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "time-zone",
    title: "A pod takes the node's time zone, which is UTC",
    verdict: WorkloadVerdict::Note,
    topic: RuleTopic::HostPaths,
    source: "https://www.freedesktop.org/software/systemd/man/latest/localtime.html",
    reason: "Nodes keep UTC. A pod that mounts /etc/localtime or /etc/timezone to show local times shows UTC.",
    examples: &[
        RuleExample::typed_path("/etc/localtime", "File"),
        RuleExample::read_path("/etc/timezone"),
    ],
    counter_examples: &[
        RuleExample::typed_path("/usr/share/zoneinfo/Europe/Berlin", "File"),
        RuleExample::read_path("/usr/share/zoneinfo"),
        RuleExample::typed_path("/etc/localtime", "File")
            .on(&[FactChange::NoPath("/etc/localtime"), FactChange::File("/etc/localtime")]),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let help = "set TZ in the container, or mount the zone's file of /usr/share/zoneinfo as /etc/localtime";
    for path in subject.host_paths() {
        let leads_to_utc = match context.node.tree.entry("/etc/localtime") {
            Some(TreeEntry::Link(target)) => target.ends_with("/UTC") || target.ends_with("/Etc/UTC"),
            _ => false,
        };
        if path.path == "/etc/localtime" && leads_to_utc {
            found.add(path.place, "the node's time zone is UTC", help);
        }
        if path.path == "/etc/timezone" && !context.node.locate(path.path).is_there() {
            found.add(path.place, "the node has no /etc/timezone; its time zone is UTC", help);
        }
    }
}
