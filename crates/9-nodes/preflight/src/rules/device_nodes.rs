//! `device-nodes`: device files that a pod makes in a volume.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};
use crate::script::Call;

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "device-nodes",
    title: "A pod makes device files on a file system that does not open them",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPrograms,
    source: "https://man7.org/linux/man-pages/man8/mount.8.html",
    reason: "Storage operators copy block devices with `cp -a` or mknod into a volume. If the state partition is mounted nodev, opening the copy \
             fails with EACCES, for privileged pods, too.",
    examples: &[RuleExample::pod(
        "  containers:\n    - name: main\n      image: example\n      securityContext: {privileged: true}\n      \
         command: [sh, -c, 'mknod /data/block b 8 0']",
    )
    .on(&[FactChange::MountOption("/var", "nodev")])],
    counter_examples: &[
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      securityContext: {privileged: true}\n      \
             command: [sh, -c, 'mkdir /data/block']",
        ),
        RuleExample::pod("  containers:\n    - {name: main, image: example, command: [sh, -c, 'mknod /tmp/pipe p']}"),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let volumes = context.node.locate(&context.node.kubelet.root);
    if !subject.is_powerful() || !volumes.options.iter().any(|option| option == "nodev") {
        return;
    }
    for call in subject.calls().iter().filter(|call| makes_device(call)) {
        let message = format!(
            "device files below {} cannot be opened: it is mounted nodev",
            volumes.path
        );
        found.add(
            &call.place,
            message,
            "make the device file in the container's own /dev or in /run",
        );
    }
}

/// Returns `true` for `mknod NAME b ...`, and for Rook's way of copying a block device: `cp --archive --remove-destination`.
fn makes_device(call: &Call) -> bool {
    let has = |word: &str| call.arguments.iter().any(|argument| argument == word);
    match call.name() {
        "mknod" => has("b") || has("c"),
        "cp" => has("--archive") && has("--remove-destination"),
        _ => false,
    }
}
