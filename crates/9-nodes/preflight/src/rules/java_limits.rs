//! `java-limits`: Java, which finds limits of its container by /proc/cgroups.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "java-limits",
    title: "Java does not find the memory limit of its container",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::Images,
    source: "https://bugs.openjdk.org/browse/JDK-8346874",
    reason: "Before version 25, Java reads /proc/cgroups. A kernel of 6.12 or later without CONFIG_MEMCG_V1 and CONFIG_CPUSETS_V1 does not list \
             the controllers there, and the heap is sized by the memory of the node. The image's kernel has both options.",
    examples: &[
        RuleExample::pod("  containers:\n    - {name: main, image: 'eclipse-temurin:21-jre'}")
            .on(&[FactChange::OptionOff("CONFIG_MEMCG_V1")]),
    ],
    counter_examples: &[
        RuleExample::pod("  containers:\n    - {name: main, image: 'eclipse-temurin:21-jre'}").on(&[
            FactChange::OptionOn("CONFIG_MEMCG_V1"),
            FactChange::OptionOn("CONFIG_CPUSETS_V1"),
        ]),
        RuleExample::pod("  containers:\n    - {name: main, image: 'eclipse-temurin:25-jre'}")
            .on(&[FactChange::OptionOff("CONFIG_MEMCG_V1")]),
        RuleExample::pod("  containers:\n    - {name: main, image: 'nginx:1.29'}")
            .on(&[FactChange::OptionOff("CONFIG_MEMCG_V1")]),
    ],
    check,
};

/// Images of Java, and of programs that run on it.
const IMAGES: [&str; 14] = [
    "amazoncorretto",
    "bitnami/kafka",
    "eclipse-temurin",
    "elasticsearch",
    "elasticsearch/elasticsearch",
    "apache/kafka",
    "ibm-semeru-runtimes",
    "jenkins/jenkins",
    "keycloak/keycloak",
    "openjdk",
    "opensearchproject/opensearch",
    "strimzi/kafka",
    "tomcat",
    "zookeeper",
];
/// First version that does not read /proc/cgroups.
const MENDED: u32 = 25;

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let kernel = &context.node.kernel;
    let off = ["CONFIG_MEMCG_V1", "CONFIG_CPUSETS_V1"]
        .into_iter()
        .find(|option| !kernel.is_on(option));
    let (Some(option), Some(pod)) = (off, subject.pod()) else {
        return;
    };
    for container in pod.containers_of(&IMAGES) {
        let of_java = ["amazoncorretto", "eclipse-temurin", "openjdk"]
            .iter()
            .any(|name| container.is_of(name));
        let major = container
            .tag()
            .split(['.', '-', '_', 'u'])
            .next()
            .and_then(|major| major.parse::<u32>().ok());
        if of_java && major.is_some_and(|major| major >= MENDED) {
            continue;
        }
        if let Some(image) = &container.image {
            let help = "set -Xmx (JAVA_TOOL_OPTIONS), or take Java 25; or turn the option on in the kernel";
            found.add(
                &image.place,
                format!("Java may not see its memory limit: {option} is off"),
                help,
            );
        }
    }
}
