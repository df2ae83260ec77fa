//! `runtime-config`: files that configure containerd.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "runtime-config",
    title: "A pod writes a configuration that containerd does not read, or not for long",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::HostPaths,
    source: "https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/getting-started.html",
    reason: "The agent of the node writes containerd's configuration and the hosts.toml files of registries from the NodeConfig, in /run. \
             Files that match an import of it are read at the next start of containerd; those in /etc are gone after a boot.",
    examples: &[
        RuleExample::host_path("/etc/containerd"),
        RuleExample::host_path("/etc/containerd/certs.d"),
    ],
    counter_examples: &[
        RuleExample::read_path("/etc/containerd"),
        RuleExample::host_path("/run/containerd"),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let containerd = &context.node.containerd;
    for path in subject.host_paths().into_iter().filter(|path| path.is_written) {
        if !crate::facts::is_below(path.path, "/etc/containerd")
            || context.node.locate(&containerd.config).path == path.path
        {
            continue;
        }
        if crate::facts::is_below(path.path, "/etc/containerd/certs.d") {
            let message = format!(
                "registries are configured in {}, not in {}",
                containerd.registries, path.path
            );
            found.add(
                path.place,
                message,
                "name registries and mirrors in the NodeConfig (`registries`)",
            );
        } else {
            let message = format!("{} is in memory, and containerd reads {}", path.path, containerd.config);
            let help = match containerd.imports.first() {
                Some(import) => format!("let it write a file that {import} matches, at every start of the pod"),
                None => "put the runtime into the image".to_owned(),
            };
            found.add(path.place, message, help);
        }
    }
}
