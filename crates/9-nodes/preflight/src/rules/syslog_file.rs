//! `syslog-file`: files of a syslog daemon.

use crate::examine::{Context, Found, Subject};
use crate::place::Place;
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "syslog-file",
    title: "A log collector reads files that a syslog daemon would write",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPaths,
    source: "https://docs.aws.amazon.com/linux/al2023/ug/journald.html",
    reason: "The node's log is journald's, in /var/log/journal. No daemon writes /var/log/syslog, messages, auth.log or secure; auditd does \
             not run.",
    examples: &[
        RuleExample::typed_path("/var/log/syslog", "File"),
        RuleExample::objects(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: collector}\ndata:\n  inputs.conf: |\n    [INPUT]\n        Name tail\n        \
             Path /var/log/messages\n",
        ),
    ],
    counter_examples: &[
        RuleExample::read_path("/var/log"),
        RuleExample::objects(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: collector}\ndata:\n  inputs.conf: |\n    [INPUT]\n        Name systemd\n        \
             Path /var/log/journal\n    [INPUT]\n        Name tail\n        Path /var/log/containers/*.log\n",
        ),
    ],
    check,
};

const FILES: [&str; 8] = [
    "/var/log/audit/audit.log",
    "/var/log/auth.log",
    "/var/log/daemon.log",
    "/var/log/kern.log",
    "/var/log/messages",
    "/var/log/secure",
    "/var/log/syslog",
    "/var/log/audit",
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let absent = |path: &str| !context.node.locate(path).is_there();
    let mut report = |place: &Place, path: &str| {
        let help = "collect the journal, /var/log/journal";
        found.add(place, format!("nothing on the node writes {path}"), help);
    };
    for path in subject.host_paths() {
        if FILES.contains(&path.path) && absent(path.path) {
            report(path.place, path.path);
        }
    }
    let words = subject.pod().into_iter().flat_map(|pod| pod.words());
    let texts = subject.texts().iter().map(|(_, text)| text);
    for text in words.chain(texts) {
        if let Some(file) = FILES
            .iter()
            .find(|file| names(&text.value, file))
            .filter(|file| absent(file))
        {
            report(&text.place, file);
        }
    }
}

/// Returns `true` for a text in which a path ends where a word does.
fn names(text: &str, path: &str) -> bool {
    let is_boundary =
        |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric() && !"-_/.".contains(letter));
    // Before it may stand the mount's folder in the container; `*` behind it is a pattern for rotated files.
    text.match_indices(path)
        .any(|(start, _)| is_boundary(text.get(start + path.len()..).and_then(|text| text.chars().next())))
}
