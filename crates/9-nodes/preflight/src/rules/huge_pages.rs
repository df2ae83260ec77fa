//! `huge-pages`: huge pages that a pod asks for.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "huge-pages",
    title: "A pod asks for huge pages, which the node does not reserve",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Scheduling,
    source: "https://kubernetes.io/docs/tasks/manage-hugepages/scheduling-hugepages/",
    reason: "Huge pages are reserved before the kubelet starts; otherwise the node offers none, and the pod stays Pending. Nodes of before had \
             them from a sysctl or from the kernel's command line.",
    examples: &[RuleExample::pod(
        "  containers:\n    - name: main\n      image: example\n      resources: {limits: {hugepages-2Mi: 512Mi, memory: 1Gi}}",
    )],
    counter_examples: &[
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      resources: {limits: {hugepages-2Mi: 512Mi, memory: 1Gi}}",
        )
        .on(&[FactChange::Sysctl("vm.nr_hugepages", "1024")]),
        RuleExample::pod("  containers:\n    - {name: main, image: example, resources: {limits: {memory: 1Gi}}}"),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let reserved = context.node.sysctls.get("vm.nr_hugepages");
    let is_reserved = reserved.is_some_and(|number| number != "0");
    for container in subject.pod().into_iter().flat_map(|pod| &pod.containers) {
        for (name, place) in container
            .resources
            .iter()
            .filter(|(name, _)| name.starts_with("hugepages-"))
        {
            if !context.node.kernel.is_on("CONFIG_HUGETLBFS") {
                found.add(
                    place,
                    "the kernel has no huge pages: CONFIG_HUGETLBFS is off",
                    "run the pod on other nodes",
                );
            } else if name == "hugepages-2Mi" && !is_reserved {
                let help = "reserve them in the NodeConfig: `sysctls: {vm.nr_hugepages: 1024}`";
                found.add(place, "the node reserves no huge pages", help);
            } else if name != "hugepages-2Mi" {
                let help = "reserve them by `kernelArguments` of an image of your own (hugepagesz=1G hugepages=4)";
                found.add(place, format!("the node reserves no {name}"), help);
            }
        }
    }
}
