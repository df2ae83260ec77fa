//! `host-program`: programs of the node that a pod runs in its namespaces.

use super::host_program_unknown::is_variable;
use super::package_manager;
use crate::Existence;
use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "host-program",
    title: "A pod runs a program of the node that the image does not have",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPrograms,
    source: "https://github.com/longhorn/longhorn/issues/4644",
    reason: "Behind `nsenter` into the mounts of process 1, and behind `chroot` into a mount of the node's root, programs are those of the node. \
             It has no shell, no coreutils and no interpreters. Looked up in /usr/bin of the image.",
    examples: &[
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - name: main\n      image: example\n      securityContext: {privileged: true}\n      \
             command: [nsenter, --mount=/proc/1/ns/mnt, --, iscsiadm, --version]",
        )
        .on(&[FactChange::NoPath("/usr/bin/iscsiadm")]),
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      command: [chroot, /node-root, bash, -c, 'echo 1 > /etc/x']\n      \
             volumeMounts: [{name: root, mountPath: /node-root}]\n  volumes:\n    - name: root\n      hostPath: {path: /}",
        ),
    ],
    counter_examples: &[
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - name: main\n      image: example\n      securityContext: {privileged: true}\n      \
             command: [nsenter, -t, '1', -m, --, /bin/mount, --version]",
        ),
        RuleExample::pod("  containers:\n    - {name: main, image: example, command: [bash, -c, 'iscsiadm --version']}"),
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - {name: main, image: example, command: [nsenter, -m/proc/1/ns/mnt, --, iscsiadm]}",
        )
        .on(&[FactChange::File("/usr/bin/iscsiadm")]),
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - {name: main, image: example, command: [nsenter, -m/proc/1/ns/mnt, --, /opt/cni/bin/tool]}",
        ),
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - name: main\n      image: example\n      env: [{name: BIN_PATH, value: /opt/cni/bin}]\n      \
             command: [sh, -c, 'nsenter -m/proc/1/ns/mnt \"${BIN_PATH}/tool\"']",
        ),
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - name: main\n      image: example\n      \
             command: [sh, -c, 'nsenter -m/proc/1/ns/mnt \"${BIN_PATH}/tool\"']",
        ),
    ],
    check,
};

/// Words of shells that are no programs.
const BUILTINS: [&str; 18] = [
    ":", "[", "cd", "done", "echo", "esac", "exit", "export", "false", "fi", "for", "read", "return", "set", "shift",
    "test", "trap", "true",
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let mut is_shell_missing = false;
    for call in subject.calls_on_node() {
        let name = call.name();
        let is_shell = ["ash", "bash", "dash", "sh"].contains(&name);
        // The rule `package-manager` reports those.
        let is_reported = package_manager::PROGRAMS.contains(&name);
        if context.node.has_program(&call.program) || is_reported || is_variable(&call.program) {
            continue;
        }
        // A program that a pod has put below /opt or /var.
        if call.program.starts_with('/') && context.node.locate(&call.program).existence == Existence::Unknown {
            continue;
        }
        // Without a shell, what a script calls is of no interest; built-in words are programs where there is no script.
        if is_shell_missing || subject.pod().is_none() && BUILTINS.contains(&name) {
            continue;
        }
        is_shell_missing = is_shell;
        let help = match name {
            "iscsiadm" | "mount.nfs" | "cryptsetup" | "mkfs.btrfs" | "multipath" | "zfs" | "zpool" => {
                "choose a backend that brings its own; for the program in the image, a package has to be written (CONTRIBUTING.md, \"Add a package\")"
            }
            _ if is_shell => {
                "let the pod do it with its own programs, in the node's namespaces (`nsenter --net`), or drop it"
            }
            _ => "let the pod bring the program, or build an image with it",
        };
        found.add(&call.place, format!("the node has no {}", call.program), help);
    }
}
