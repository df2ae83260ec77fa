//! `image-i386`: programs of 32 bits.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "image-i386",
    title: "An image has programs of 32 bits, which the kernel does not run",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Images,
    source: "https://docs.kernel.org/arch/x86/x86_64/index.html",
    reason: "The kernel is built without CONFIG_IA32_EMULATION: a second system call table, with races of its own. Images for 386 end with \
             `exec format error`.",
    examples: &[RuleExample::pod(
        "  containers:\n    - {name: main, image: 'i386/busybox:1.37'}",
    )],
    counter_examples: &[
        RuleExample::pod("  containers:\n    - {name: main, image: 'busybox:1.37'}"),
        RuleExample::pod("  containers:\n    - {name: main, image: 'i386/busybox:1.37'}")
            .on(&[FactChange::OptionOn("CONFIG_IA32_EMULATION")]),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    if context.node.kernel.is_on("CONFIG_IA32_EMULATION") {
        return;
    }
    for container in subject.pod().into_iter().flat_map(|pod| &pod.containers) {
        let is_i386 = container.repository().starts_with("i386/") || container.tag().ends_with("-i386");
        if let Some(image) = container.image.as_ref().filter(|_| is_i386) {
            found.add(
                &image.place,
                "the kernel runs no programs of 32 bits",
                "take the image for amd64",
            );
        }
    }
}
