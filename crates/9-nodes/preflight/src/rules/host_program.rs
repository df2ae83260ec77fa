//! `host-program`: programs of the node that a pod runs in its namespaces.

use super::host_program_unknown::is_variable;
use super::package_manager;
use crate::Existence;
use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};
use crate::script::Call;

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
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - name: main\n      image: example\n      \
             command: [nsenter, -t, '1', -m, --, mount, -t, nfs, 'server:/share', /mnt]",
        )
        .on(&[FactChange::NoPath("/usr/bin/mount.nfs")]),
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
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - name: main\n      image: example\n      \
             command: [nsenter, -t, '1', -m, --, mount, -t, nfs, 'server:/share', /mnt]",
        )
        .on(&[FactChange::File("/usr/bin/mount.nfs")]),
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - name: main\n      image: example\n      \
             command: [nsenter, -t, '1', -m, --, mount, -t, ext4, -o, ro, /dev/sdb, /mnt]",
        ),
    ],
    check,
};

/// Words of shells that are no programs.
const BUILTINS: [&str; 18] = [
    ":", "[", "cd", "done", "echo", "esac", "exit", "export", "false", "fi", "for", "read", "return", "set", "shift",
    "test", "trap", "true",
];

/// Programs of storage that backends call on the node.
const OF_STORAGE: [&str; 6] = ["cryptsetup", "iscsiadm", "mkfs.btrfs", "multipath", "zfs", "zpool"];

/// Types of file systems that `mount` leaves to a program of its own: the kernel alone does not know servers by name.
const MOUNTED_BY_HELPERS: [&str; 9] = [
    "cifs",
    "davfs",
    "fuse",
    "fuse3",
    "glusterfs",
    "lustre",
    "nfs",
    "nfs4",
    "smb3",
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for call in subject.calls_on_node() {
        // Without a shell, what its script calls is of no interest.
        if call
            .shell
            .as_ref()
            .is_some_and(|shell| !context.node.has_program(shell))
        {
            continue;
        }
        let name = call.name();
        if context.node.has_program(&call.program) {
            if let Some(helper) = mount_helper(call).filter(|helper| !context.node.has_program(helper)) {
                found.add(
                    &call.place,
                    format!("the node has no {helper}, which mount calls"),
                    help(&helper),
                );
            }
            continue;
        }
        // The rule `package-manager` reports those.
        let is_reported = package_manager::PROGRAMS.contains(&name);
        if is_reported || is_variable(&call.program) {
            continue;
        }
        // A program that a pod has put below /opt or /var.
        if call.program.starts_with('/') && context.node.locate(&call.program).existence == Existence::Unknown {
            continue;
        }
        // Built-in words are programs where there is no script.
        if (call.shell.is_some() || subject.pod().is_none()) && BUILTINS.contains(&name) {
            continue;
        }
        found.add(&call.place, format!("the node has no {}", call.program), help(name));
    }
}

fn help(name: &str) -> &'static str {
    match name {
        "ash" | "bash" | "dash" | "sh" => {
            "let the pod do it with its own programs, in the node's namespaces (`nsenter --net`), or drop it"
        }
        "[" | "cat" | "find" | "grep" | "head" | "ls" | "readlink" | "stat" | "test" => {
            "let the pod look with its own program: mount the folder with a hostPath volume, and drop nsenter or chroot"
        }
        _ if name.starts_with("mount.") || OF_STORAGE.contains(&name) => {
            "choose a backend that brings its own; for the program in the image, a package has to be written (CONTRIBUTING.md, \"Add a package\")"
        }
        _ => "let the pod bring the program, or build an image with it",
    }
}

/// Program that a call of `mount` calls: by the type that it names, or by the form of what is mounted.
fn mount_helper(call: &Call) -> Option<String> {
    if call.name() != "mount" {
        return None;
    }
    let mut words = call.arguments.iter().map(String::as_str);
    let mut sources = Vec::new();
    let mut named = None;
    let mut options = None;
    while let Some(word) = words.next() {
        match word {
            "-t" | "--types" => named = words.next(),
            "-o" | "--options" => options = words.next(),
            _ if word.starts_with("--types=") => named = word.split_once('=').map(|(_, types)| types),
            _ if word.starts_with("--") => {}
            _ if word.starts_with("-t") => named = word.get(2..),
            _ if word.starts_with('-') => {}
            _ => sources.push(word),
        }
    }
    // With the server's address, the kernel needs nobody.
    let has_address = |option: &str| option.starts_with("addr=") || option.starts_with("ip=");
    if options.is_some_and(|options: &str| options.split(',').any(has_address)) {
        return None;
    }
    let by_form = sources.first().and_then(|source| match *source {
        share if share.starts_with("//") => Some("cifs"),
        share if share.contains(":/") && !share.contains("://") => Some("nfs"),
        _ => None,
    });
    let kind = named.and_then(|types| types.split(',').next()).or(by_form)?;
    let kind = kind.split_once('.').map_or(kind, |(kind, _)| kind);
    MOUNTED_BY_HELPERS.contains(&kind).then(|| format!("mount.{kind}"))
}
