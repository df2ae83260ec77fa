//! `ca-bundle`: certificate authorities under a name that the image does not have.

use super::ca_folder_empty;
use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "ca-bundle",
    title: "A pod mounts certificate authorities under another distribution's name",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPaths,
    source: "https://github.com/kubernetes/autoscaler/issues/2139",
    reason: "Debian, Red Hat and SUSE have the bundle at different paths. Where a file is missing, a folder of its name is made, or the \
             pod does not start; TLS then fails with an unknown authority.",
    examples: &[
        RuleExample::read_path("/etc/pki/tls/certs/ca-bundle.crt").on(&[FactChange::NoPath("/etc/pki")]),
        RuleExample::typed_path("/var/lib/ca-certificates/ca-bundle.pem", "File"),
        RuleExample::typed_path("/usr/local/share/ca-certificates", "Directory"),
    ],
    counter_examples: &[
        RuleExample::read_path("/etc/ssl/certs/ca-certificates.crt"),
        RuleExample::read_path("/etc/ssl/certs"),
        // The rule `ca-folder-empty` reports it.
        RuleExample::read_path("/usr/local/share/ca-certificates"),
        RuleExample::read_path("/etc/pki/tls/certs/ca-bundle.crt")
            .on(&[FactChange::File("/etc/pki/tls/certs/ca-bundle.crt")]),
    ],
    check,
};

/// Folders and files with certificate authorities: Debian, Fedora, SUSE, Alpine, and folders for one's own.
const PATHS: [&str; 8] = [
    "/etc/ca-certificates",
    "/etc/pki",
    "/etc/ssl",
    "/usr/local/share/ca-certificates",
    "/usr/local/share/certs",
    "/usr/share/ca-certificates",
    "/usr/share/pki",
    "/var/lib/ca-certificates",
];
/// Names of the bundle, which pods are pointed to where the image has one.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for path in subject.host_paths() {
        let is_one = PATHS.iter().any(|known| crate::facts::is_below(path.path, known));
        if is_one && !context.node.locate(path.path).is_there() && !ca_folder_empty::is_empty(&path, context) {
            let help = if path.path.starts_with("/usr/local/") {
                "authorities of one's own: mount them from a ConfigMap; for image pulls, name them in the NodeConfig (`caCertificates`)".to_owned()
            } else {
                format!("mount {BUNDLE}, or the folder /etc/ssl/certs")
            };
            found.add(path.place, format!("the node has no {}", path.path), help);
        }
    }
}
