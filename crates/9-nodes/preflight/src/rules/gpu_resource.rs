//! `gpu-resource`: accelerators that a pod asks for.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "gpu-resource",
    title: "A pod asks for an accelerator whose driver the image does not have",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Scheduling,
    source: "https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/",
    reason: "Device plug-ins offer accelerators for which the node has a driver. NVIDIA's is not part of Linux, and LoadPin refuses one that a \
             pod brings.",
    examples: &[RuleExample::pod(
        "  containers:\n    - {name: main, image: example, resources: {limits: {nvidia.com/gpu: 1}}}",
    )],
    counter_examples: &[
        RuleExample::pod("  containers:\n    - {name: main, image: example, resources: {limits: {nvidia.com/gpu: 1}}}")
            .on(&[FactChange::Module("nvidia")]),
        RuleExample::pod(
            "  containers:\n    - {name: main, image: example, resources: {limits: {example.com/fpga: 1}}}",
        ),
    ],
    check,
};

/// Beginnings of resources, with modules one of which is needed.
const RESOURCES: [(&str, &[&str]); 6] = [
    ("amd.com/gpu", &["amdgpu"]),
    ("gpu.intel.com/", &["i915", "xe"]),
    ("habana.ai/gaudi", &["habanalabs"]),
    ("nvidia.com/", &["nvidia", "nvidia_open"]),
    ("google.com/tpu", &["gasket", "tpu"]),
    ("aws.amazon.com/neuron", &["neuron"]),
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for container in subject.pod().into_iter().flat_map(|pod| &pod.containers) {
        for (name, place) in &container.resources {
            let of_name = RESOURCES.iter().find(|(start, _)| name.starts_with(start));
            let missing =
                of_name.filter(|(_, modules)| !modules.iter().any(|module| context.node.kernel.has_module(module)));
            if let Some((_, modules)) = missing {
                let message = format!("the image has no driver for {name} ({})", modules.join(" or "));
                found.add(
                    place,
                    message,
                    "keep the pod to nodes that have it: they offer the resource, this one does not",
                );
            }
        }
    }
}
