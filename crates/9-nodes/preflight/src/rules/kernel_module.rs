//! `kernel-module`: modules that a pod loads by name, or brings along.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "kernel-module",
    title: "A pod loads a module that the image does not have, or one of its own",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPrograms,
    source: "https://www.kernel.org/doc/html/v6.12/admin-guide/LSM/LoadPin.html",
    reason: "modprobe finds the modules of the image, built-in ones, too. LoadPin refuses those from another file system: what a pod brings, \
             compiles or downloads.",
    examples: &[
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      securityContext: {privileged: true}\n      \
             command: [modprobe, zfs]",
        ),
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      securityContext: {privileged: true}\n      \
             command: [sh, -c, 'insmod /drivers/example.ko']",
        ),
    ],
    counter_examples: &[
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      securityContext: {privileged: true}\n      \
             command: [sh, -c, 'modprobe -a rbd nbd ip_tables nf-conntrack || true']",
        ),
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      securityContext: {privileged: true}\n      \
             command: [modprobe, zfs]",
        )
        .on(&[FactChange::Module("zfs")]),
        RuleExample::pod("  containers:\n    - {name: main, image: example, command: [modprobe, -r, zfs]}"),
    ],
    check,
};

/// Options of modprobe that load nothing.
const NO_LOADING: [&str; 6] = ["-r", "--remove", "-V", "--version", "-c", "--showconfig"];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let kernel = &context.node.kernel;
    for call in subject.calls() {
        match call.name() {
            "insmod" if kernel.is_on("CONFIG_SECURITY_LOADPIN_ENFORCE") => {
                let help = "put the driver into a package of the image; LoadPin trusts the root only";
                found.add(&call.place, "LoadPin refuses modules that a pod brings", help);
            }
            "modprobe" if !call.arguments.iter().any(|word| NO_LOADING.contains(&word.as_str())) => {
                let all = call.arguments.iter().any(|word| word == "-a" || word == "--all");
                let names = call.arguments.iter().filter(|word| is_name(word));
                // Without -a, further words are parameters of the module.
                for name in names
                    .take(if all { usize::MAX } else { 1 })
                    .filter(|name| !kernel.has_module(name))
                {
                    let help = "run the pod on nodes that have the module, or turn it on in distro/packages/kernel and build the image";
                    found.add(&call.place, format!("the image has no module {name}"), help);
                }
            }
            _ => {}
        }
    }
}

fn is_name(word: &str) -> bool {
    !word.is_empty()
        && word
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter))
        && !word.starts_with('-')
}
