//! Rules about authorities and profiles of confinement.

use std::collections::BTreeMap;

use basalt_inventory::HostCertificate;

use super::super::{HostFound, HostRule, HostSubject, listed};
use crate::WorkloadVerdict::{RunsOtherwise, WillNotRun};

pub(super) const RULES: [HostRule; 3] = [
    HostRule {
        id: "host-authority",
        title: "Authorities that were added have to be in the NodeConfig",
        verdict: RunsOtherwise,
        reason: "A node trusts the authorities of its image, and for pulls those of its NodeConfig. Pods that mounted the host's bundle find the image's.",
        check: authority,
    },
    HostRule {
        id: "host-apparmor-profile",
        title: "A profile of AppArmor is not in the image",
        verdict: WillNotRun,
        reason: "Pods that name a profile that is not loaded do not start.",
        check: apparmor,
    },
    HostRule {
        id: "host-seccomp-profile",
        title: "A seccomp profile of the host is not on a node",
        verdict: WillNotRun,
        reason: "Pods name profiles below /var/lib/kubelet/seccomp, and do not start without them. A node has none by itself.",
        check: seccomp,
    },
];

/// Returns `true` for a certificate that somebody added to the host's trust.
pub(in super::super) fn is_added(certificate: &HostCertificate) -> bool {
    certificate.file.starts_with("/usr/local/share/ca-certificates/")
}

fn authority(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    // The inventory has digests alone: that there are some is taken for these.
    if subject.given.section("caCertificates").is_some() {
        return;
    }
    let mut by_file: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for certificate in subject
        .host
        .certificates
        .iter()
        .filter(|certificate| is_added(certificate))
    {
        by_file.entry(&certificate.file).or_default().push(&certificate.subject);
    }
    for (file, subjects) in by_file {
        found.add(
            file,
            format!("the host trusts {}", listed(subjects, 4)),
            format!("give the content of {file} in `caCertificates`, for pulls; pods take it from a ConfigMap"),
        );
    }
}

fn apparmor(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for (file, names) in &subject.host.confinement.profiles {
        let missing = names
            .iter()
            .filter(|name| !subject.node.apparmor_profiles.contains(*name));
        let missing: Vec<&str> = missing.map(String::as_str).collect();
        if !missing.is_empty() {
            found.add(
                file,
                format!("the host has the profile {}", listed(missing, 6)),
                "have the Security Profiles Operator load it, if pods name it",
            );
        }
    }
}

fn seccomp(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let profiles = &subject.host.confinement.seccomp;
    // The operator's own folder: it makes them on every node.
    let own: Vec<&str> = profiles
        .iter()
        .map(String::as_str)
        .filter(|name| !name.starts_with("operator/"))
        .collect();
    if !own.is_empty() {
        found.add(
            "/var/lib/kubelet/seccomp",
            format!("the host has the profiles {}", listed(own, 8)),
            "have the Security Profiles Operator or a DaemonSet put them there",
        );
    }
}
