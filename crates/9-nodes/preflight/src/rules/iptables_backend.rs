//! `iptables-backend`: a fixed choice between the two ways to the kernel's packet filter.

use crate::examine::{Context, Found, Subject};
use crate::place::Placed;
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "iptables-backend",
    title: "A network add-on is set to a packet filter that the kernel does not have",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Kernel,
    source: "https://github.com/kubernetes/kops/issues/18179",
    reason: "Legacy iptables needs its tables in the kernel, nftables its own. The image's kernel has both; one built without the legacy tables \
             breaks whoever is set to them, and the other way round.",
    examples: &[
        RuleExample::pod(
            "  containers:\n    - name: calico-node\n      image: calico/node:v3.31.0\n      \
             env: [{name: FELIX_IPTABLESBACKEND, value: Legacy}]",
        )
        .on(&[FactChange::OptionOff("CONFIG_IP_NF_IPTABLES")]),
        RuleExample::pod(
            "  hostNetwork: true\n  containers:\n    - {name: kube-proxy, image: kube-proxy, command: [kube-proxy, --proxy-mode=nftables]}",
        )
        .on(&[FactChange::OptionOff("CONFIG_NF_TABLES")]),
    ],
    counter_examples: &[
        RuleExample::pod(
            "  containers:\n    - name: calico-node\n      image: calico/node:v3.31.0\n      \
             env: [{name: FELIX_IPTABLESBACKEND, value: Legacy}]",
        ),
        RuleExample::pod(
            "  containers:\n    - name: calico-node\n      image: calico/node:v3.31.0\n      \
             env: [{name: FELIX_IPTABLESBACKEND, value: Auto}]",
        )
        .on(&[FactChange::OptionOff("CONFIG_IP_NF_IPTABLES")]),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let kernel = &context.node.kernel;
    let mut report = |text: &Placed<String>| {
        let value = text.value.to_lowercase();
        let option = if value.contains("legacy") || value.ends_with("=iptables") {
            "CONFIG_IP_NF_IPTABLES"
        } else if value.contains("nft") {
            "CONFIG_NF_TABLES"
        } else {
            return;
        };
        if !kernel.is_on(option) {
            let help = "let it choose by itself (Auto), or set it to the one that the kernel has";
            found.add(&text.place, format!("{} needs {option}", text.value), help);
        }
    };
    for container in subject.pod().into_iter().flat_map(|pod| &pod.containers) {
        let names = ["FELIX_IPTABLESBACKEND", "IPTABLES_MODE", "FELIX_NFTABLESMODE"];
        let variables = container
            .environment
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()));
        variables.for_each(|(_, value)| report(value));
        let words = container.commands.iter().flatten();
        let is_choice = |word: &&Placed<String>| {
            word.value.starts_with("--proxy-mode=")
                || word.value.contains("iptables-legacy")
                || word.value.contains("iptables-nft")
        };
        words.filter(is_choice).for_each(&mut report);
    }
}
