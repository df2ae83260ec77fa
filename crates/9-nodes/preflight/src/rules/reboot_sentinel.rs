//! `reboot-sentinel`: files by which a distribution asks for a reboot.

use crate::examine::{Context, Found, Subject};
use crate::pod::Container;
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "reboot-sentinel",
    title: "A pod waits for a file that asks for a reboot",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPrograms,
    source: "https://kured.dev/docs/configuration/",
    reason: "kured looks for /var/run/reboot-required, which unattended-upgrades of Debian and Ubuntu writes. A node installs no packages \
             while it runs: nothing writes the file, and a command as sentinel (`needs-restarting`, `test`) is not on the node.",
    examples: &[
        RuleExample::pod(
            "  hostPID: true\n  containers:\n    - {name: kured, image: 'ghcr.io/kubereboot/kured:1.20.0'}",
        ),
        RuleExample::pod("  containers:\n    - {name: kured, image: 'registry.example/mirror/kured:1.20.0'}"),
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      args: [--sentinel=/var/run/reboot-required]",
        ),
    ],
    counter_examples: &[RuleExample::pod(
        "  containers:\n    - {name: main, image: example, args: [--reboot]}",
    )],
    check,
};

/// Images of kured.
const KURED: [&str; 2] = ["kubereboot/kured", "weaveworks/kured"];
/// Sentinel of kured, unless it is told another.
const DEFAULT: &str = "/var/run/reboot-required";

fn check(subject: &Subject<'_>, _: &Context<'_>, found: &mut Found<'_>) {
    let Some(pod) = subject.pod() else { return };
    let help = "exclude Basalt's nodes from it by a label";
    for container in pod.containers_of(&KURED) {
        let message = match option(container, "reboot-sentinel-command") {
            Some(command) => {
                format!("what kured asks whether to reboot (`{command}`) is not on the node, or says no for ever")
            }
            None => {
                let file = option(container, "reboot-sentinel");
                format!(
                    "nothing on the node writes {}, by which kured reboots",
                    file.unwrap_or(DEFAULT)
                )
            }
        };
        if let Some(image) = &container.image {
            found.add(&image.place, message, help);
        }
    }
    if pod.containers_of(&KURED).next().is_none() {
        for word in pod.words().filter(|word| word.value.contains("/run/reboot-required")) {
            found.add(&word.place, "nothing on the node writes /run/reboot-required", help);
        }
    }
}

/// Value of an option of kured: an argument (`--NAME=value`, `--NAME value`) or a variable (`KURED_NAME`).
fn option<'c>(container: &'c Container, name: &str) -> Option<&'c str> {
    let words: Vec<&str> = container
        .commands
        .iter()
        .flatten()
        .map(|word| word.value.as_str())
        .collect();
    let flag = format!("--{name}");
    let joined = words
        .iter()
        .find_map(|word| word.strip_prefix(&flag)?.strip_prefix('='));
    let apart = || {
        let position = words.iter().position(|word| *word == flag)?;
        words.get(position + 1).copied()
    };
    let variable = format!("KURED_{}", name.to_ascii_uppercase().replace('-', "_"));
    let by_variable = || {
        let mut variables = container.environment.iter();
        variables.find_map(|(name, value)| (*name == variable).then_some(value.value.as_str()))
    };
    let value = joined.or_else(apart).or_else(by_variable)?;
    Some(value).filter(|value| !value.is_empty())
}
