//! `cgroup-v1-runtime`: runtimes of languages that know version 1 of control groups only.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "cgroup-v1-runtime",
    title: "A runtime is too old for control groups of version 2",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::Images,
    source: "https://kubernetes.io/docs/concepts/architecture/cgroups/#migrating-cgroupv2",
    reason: "Java before 8u372 and 11.0.16, and .NET before 5, do not see the limits of their container with version 2, and size heap and threads \
             by the node. Nodes of before with version 2 have the same. Known by name and tag of the image only.",
    examples: &[
        RuleExample::pod("  containers:\n    - {name: main, image: 'openjdk:8u342-jre'}"),
        RuleExample::pod("  containers:\n    - {name: main, image: 'mcr.microsoft.com/dotnet/core/aspnet:3.1'}"),
    ],
    counter_examples: &[
        RuleExample::pod("  containers:\n    - {name: main, image: 'eclipse-temurin:8u402-b06-jre'}"),
        RuleExample::pod("  containers:\n    - {name: main, image: 'mcr.microsoft.com/dotnet/aspnet:9.0'}"),
        RuleExample::pod("  containers:\n    - {name: main, image: 'eclipse-temurin:21'}"),
    ],
    check,
};

fn check(subject: &Subject<'_>, _: &Context<'_>, found: &mut Found<'_>) {
    for container in subject.pod().into_iter().flat_map(|pod| &pod.containers) {
        let is_java = ["java", "openjdk", "adoptopenjdk", "eclipse-temurin", "amazoncorretto"]
            .iter()
            .any(|name| container.is_of(name));
        let is_dotnet = ["dotnet/core/aspnet", "dotnet/core/runtime", "dotnet/core/sdk"]
            .iter()
            .any(|name| container.is_of(name));
        let is_old = is_dotnet || is_java && is_old_java(container.tag());
        if let Some(image) = container.image.as_ref().filter(|_| is_old) {
            let help = "take a newer image of the same version, or set the size of heap and threads";
            found.add(
                &image.place,
                format!("{} does not see limits of control groups of version 2", image.value),
                help,
            );
        }
    }
}

/// Returns `true` for tags of Java before 8u372 and 11.0.16; tags without an update count as new.
fn is_old_java(tag: &str) -> bool {
    let number = |text: &str| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    };
    if let Some(update) = tag.strip_prefix("8u").and_then(number) {
        return update < 372;
    }
    if let Some(update) = tag.strip_prefix("11.0.").and_then(number) {
        return update < 16;
    }
    matches!(number(tag), Some(6 | 7))
}
