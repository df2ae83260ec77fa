//! `journal-folder`: the journal's other folder.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "journal-folder",
    title: "A log collector reads the journal where it is not",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPaths,
    source: "https://github.com/grafana/loki/issues/1286",
    reason: "journald writes to /var/log/journal if its storage is persistent, and to /run/log/journal otherwise; distributions differ. The \
             collector starts, and sends nothing.",
    examples: &[
        RuleExample::read_path("/run/log/journal"),
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: node-problem-detector\n      args: ['--log-path=/run/log/journal']",
        ),
    ],
    counter_examples: &[
        RuleExample::read_path("/var/log/journal"),
        RuleExample::read_path("/run/log"),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let is_persistent = context.node.journal_storage == "persistent";
    let (used, unused) = match is_persistent {
        true => ("/var/log/journal", "/run/log/journal"),
        false => ("/run/log/journal", "/var/log/journal"),
    };
    let message = format!("the journal is in {used}, not in {unused}");
    // Who mounts both reads the right one.
    if subject
        .host_paths()
        .iter()
        .any(|path| crate::facts::is_below(path.path, used))
    {
        return;
    }
    for path in subject.host_paths() {
        if crate::facts::is_below(&context.node.locate(path.path).path, unused) {
            found.add(path.place, &message, format!("mount and name {used}"));
        }
    }
    let words = subject.pod().into_iter().flat_map(|pod| pod.words());
    for text in words.chain(subject.texts().iter().map(|(_, text)| text)) {
        if text.value.contains(unused) && !text.value.contains(used) {
            found.add(&text.place, &message, format!("mount and name {used}"));
        }
    }
}
