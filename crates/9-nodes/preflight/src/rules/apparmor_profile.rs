//! `apparmor-profile`: profiles of AppArmor that have to be loaded on the node.

use crate::examine::{Context, Found, Subject};
use crate::place::Place;
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "apparmor-profile",
    title: "A pod names an AppArmor profile that the image does not have",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Confinement,
    source: "https://kubernetes.io/docs/tutorials/security/apparmor/",
    reason: "Profiles of type Localhost have to be loaded on the node before the pod starts. Those of the image are in /etc/apparmor.d; \
             containerd loads its default profile itself. Profiles that people loaded on the nodes of before are not there.",
    examples: &[
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      \
             securityContext: {appArmorProfile: {type: Localhost, localhostProfile: k8s-nginx}}",
        ),
        RuleExample::objects(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: example\n  annotations:\n    \
             container.apparmor.security.beta.kubernetes.io/main: localhost/k8s-nginx\nspec:\n  containers: [{name: main, image: example}]\n",
        ),
    ],
    counter_examples: &[
        RuleExample::pod(
            "  securityContext: {appArmorProfile: {type: RuntimeDefault}}\n  containers: [{name: main, image: example}]",
        ),
        RuleExample::pod(
            "  containers:\n    - name: main\n      image: example\n      \
             securityContext: {appArmorProfile: {type: Localhost, localhostProfile: cri-containerd.apparmor.d}}",
        ),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let Some(pod) = subject.pod() else { return };
    let mut report = |name: &str, place: &Place| {
        if !context.node.apparmor_profiles.contains(name) {
            let help = "load it by a DaemonSet (the Security Profiles Operator does), or use RuntimeDefault";
            found.add(place, format!("the image has no AppArmor profile {name}"), help);
        }
    };
    let of_containers = pod.containers.iter().map(|container| &container.security);
    for profile in std::iter::once(&pod.security)
        .chain(of_containers)
        .filter_map(|security| security.apparmor.as_ref())
    {
        if let Some(name) = profile.of_node() {
            report(name, &profile.place);
        }
    }
    for (key, value) in &pod.annotations {
        let name = value.value.strip_prefix("localhost/");
        if let Some(name) = name.filter(|_| key.starts_with("container.apparmor.security.beta.kubernetes.io/")) {
            report(name, &value.place);
        }
    }
}
