//! `host-program-unknown`: programs of the node whose names are known only when a pod runs.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "host-program-unknown",
    title: "A pod runs a program of the node that the manifest does not name",
    verdict: WorkloadVerdict::Note,
    topic: RuleTopic::HostPrograms,
    source: "https://man7.org/linux/man-pages/man1/nsenter.1.html",
    reason: "Behind `nsenter` or `chroot` stands a variable whose value is neither in the script nor in the container's `env`. Whether \
             the image has the program cannot be seen before it runs.",
    examples: &[
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - name: main\n      image: example\n      securityContext: {privileged: true}\n      \
             command: [sh, -c, 'nsenter -t 1 -m -- $TOOL --version']",
        ),
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - name: main\n      image: example\n      \
             env: [{name: BIN_PATH, valueFrom: {configMapKeyRef: {name: a, key: b}}}]\n      \
             command: [sh, -c, 'nsenter -t 1 -m -- $BIN_PATH/tool']",
        ),
    ],
    counter_examples: &[
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - name: main\n      image: example\n      securityContext: {privileged: true}\n      \
             command: [sh, -c, 'TOOL=/bin/mount; nsenter -t 1 -m -- $TOOL --version']",
        ),
        RuleExample::pod("  containers:\n    - {name: main, image: example, command: [sh, -c, '$TOOL --version']}"),
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - name: main\n      image: example\n      env: [{name: BIN_PATH, value: /opt/cni/bin}]\n      \
             command: [nsenter, -t, '1', -m, --, $(BIN_PATH)/tool]",
        ),
    ],
    check,
};

fn check(subject: &Subject<'_>, _: &Context<'_>, found: &mut Found<'_>) {
    for call in subject.calls_on_node().filter(|call| is_variable(&call.program)) {
        let help = "make sure that the image has the program: `basalt why --image node /usr/bin/PROGRAM`";
        found.add(
            &call.place,
            format!("which program `{}` is cannot be seen", call.program),
            help,
        );
    }
}

/// Returns `true` for programs that a shell would replace, in whole or in part.
pub(super) fn is_variable(program: &str) -> bool {
    program.is_empty() || program.ends_with('/') || program.contains(['$', '{', '*', '`'])
}
