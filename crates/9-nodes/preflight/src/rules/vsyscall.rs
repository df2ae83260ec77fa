//! `vsyscall`: programs linked with an old C library.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "vsyscall",
    title: "An image is so old that its programs call a page that the kernel does not have",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Images,
    source: "https://github.com/CentOS/sig-cloud-instance-images/issues/103",
    reason: "glibc before 2.14 calls the vsyscall page. The kernel is built without it (CONFIG_LEGACY_VSYSCALL_NONE): programs of CentOS 6, Debian 6 \
             and their like end with signal 11, exit code 139.",
    examples: &[RuleExample::pod(
        "  containers:\n    - {name: main, image: 'centos:6.10'}",
    )],
    counter_examples: &[
        RuleExample::pod("  containers:\n    - {name: main, image: 'centos:7'}"),
        RuleExample::pod("  containers:\n    - {name: main, image: 'centos:6.10'}")
            .on(&[FactChange::OptionOff("CONFIG_LEGACY_VSYSCALL_NONE")]),
    ],
    check,
};

/// Images with a glibc before 2.14, with the beginnings of their tags.
const OLD: [(&str, &[&str]); 4] = [
    ("centos", &["5", "6", "centos5", "centos6"]),
    ("debian/eol", &["lenny", "squeeze"]),
    ("oraclelinux", &["5", "6"]),
    ("ubuntu", &["10.04", "lucid"]),
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    if !context.node.kernel.is_on("CONFIG_LEGACY_VSYSCALL_NONE") {
        return;
    }
    for container in subject.pod().into_iter().flat_map(|pod| &pod.containers) {
        let is_old = OLD.iter().any(|(name, tags)| {
            let tag = container.tag();
            let is_tag = |start: &str| {
                tag.strip_prefix(start)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
            };
            container.is_of(name) && tags.iter().any(|start| is_tag(start))
        });
        if let Some(image) = container.image.as_ref().filter(|_| is_old) {
            let help = "take a newer base image; `vsyscall=xonly` in `kernelArguments` of an image of your own brings the page back";
            found.add(
                &image.place,
                format!(
                    "programs of {} call the vsyscall page, which the kernel lacks",
                    image.value
                ),
                help,
            );
        }
    }
}
